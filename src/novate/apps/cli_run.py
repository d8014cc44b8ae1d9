"""What the commands share: options of serving, one line for what is refused, and the event loop."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

Result = TypeVar("Result")
INTERRUPTED = 130
REFUSED = 2

ServeHost = Annotated[
    str | None, typer.Option(envvar="NOVATE_HOST", help="Address to listen on, if not that of serve.toml.")
]
ServePort = Annotated[
    int | None,
    typer.Option(min=0, max=65_535, envvar="NOVATE_PORT", help="Port, if not that of serve.toml."),
]
AdminPort = Annotated[
    int | None,
    typer.Option(min=0, max=65_535, envvar="NOVATE_ADMIN_PORT", help="Port of /metrics, /health and /ready."),
]


def fail(message: object) -> typer.Exit:
    """Print one line on standard error and return the exit with status 2."""
    typer.secho(f"novate: {message}", err=True, fg="red")
    return typer.Exit(REFUSED)


def run_loop(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on uvloop; a cancelled one exits with status 130, as an interrupted program does."""
    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
    except (KeyboardInterrupt, asyncio.CancelledError):
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
