"""docs/guides/api.md says what the code does: every method, struct, channel and error, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from novate.access.dispatch import METHOD_NAMES
from novate.access.limits import ServerLimits
from novate.access.signing_domain import STRUCT_TYPES
from novate.protocol.generated.codes import EXPECTED, JSONRPC_NUMBER, AccessCode, Code

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "api.md").read_text()


def test_every_method_is_documented() -> None:
    """Each method has its name in the guide, and the guide names no other."""
    named = set(re.findall(r"`((?:public|private)/[a-z_]+)`", GUIDE))
    assert sorted(METHOD_NAMES) == sorted(named)


def test_every_error_is_documented() -> None:
    """The error table is the schema's, number by number and word by word."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (-?[0-9]+) \| (.+) \|$", GUIDE, re.MULTILINE)
    codes = [*AccessCode, *(code for code in Code if code != Code.OK)]
    assert [(code.name.lower(), str(JSONRPC_NUMBER[code]), EXPECTED[code]) for code in codes] == rows


def test_every_struct_is_documented() -> None:
    """Each type that a user signs stands in the guide as it is signed."""
    assert [] == [text for text in STRUCT_TYPES.values() if text not in GUIDE]


def test_limits_are_those_of_the_server() -> None:
    """The numbers of the section on limits are the server's defaults."""
    limits = ServerLimits()
    section = GUIDE[GUIDE.index("## Limits") : GUIDE.index("## Errors")]
    stated = [int(number.replace(",", "")) for number in re.findall(r"\b[0-9][0-9,]*\b", section)]
    assert [
        limits.message_bytes // 1024,
        limits.rate_per_s,
        limits.burst,
        limits.subscriptions_per_connection,
        limits.writes_in_flight,
        limits.outgoing_messages,
        limits.outgoing_bytes >> 20,
        limits.refusals_before_close,
    ] == stated
