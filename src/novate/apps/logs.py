"""What a venue writes to standard error: lines for people, or JSON for machines, and never a secret.

Everything goes through the standard library's logging, so that libraries are covered too; structlog renders.
A key of 32 bytes in hexadecimal, a signature and a bearer token are struck out wherever they stand, because
an exception's text may quote what a user sent.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

STRUCK_OUT = "[struck out]"
# 64 hexadecimal digits are a key as well as a hash; a log can do without either. 130 are a signature.
SECRETS = re.compile(r"(?i)\b(?:0x)?[0-9a-f]{64,}\b|(?<=bearer )\S+|(?<=access_token[\"'=: ])[^\s\"',}]+")
SECRET_NAMES = frozenset(
    {"key", "secret", "private_key", "signature", "access_token", "authorization", "password"}
)
# What the loggers of this house add to a record: numbers, never contents.
FIELDS = ("sequence", "order_id", "account", "batch", "cursor", "task", "method")


def strike_out(value: object) -> object:
    """Return a value without what looks like a key, a signature or a token."""
    if isinstance(value, str):
        return SECRETS.sub(STRUCK_OUT, value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return {name: strike_out_named(str(name), each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [strike_out(each) for each in value]
    return value


def strike_out_named(name: str, value: object) -> object:
    """Return a named value, nothing of it if the name says that it is secret."""
    return STRUCK_OUT if name.lower() in SECRET_NAMES else strike_out(value)


def strike_out_event(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Strike secrets out of a whole event, its rendered traceback included."""
    return {name: strike_out_named(name, value) for name, value in event.items()}


def make_formatter(form: str) -> logging.Formatter:
    """Return the formatter of lines of text, or of JSON."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(allow=FIELDS),
        # Before the traceback is struck out it must be text.
        structlog.processors.format_exc_info,
        strike_out_event,
    ]
    if form == "json":
        renderer: Any = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def configure_logs(form: str, level: str, stream: TextIO | None = None) -> None:
    """Write all logging from a level up to a stream (standard error if None), as `text` or as `json`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(make_formatter(form))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
