"""The command `novate standby`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from novate.apps.cli_run import AdminPort, ServeHost, ServePort, fail, run_loop


def standby(
    data: Annotated[Path, typer.Option(file_okay=False, help="Data directory; at first only its keys.")],
    follow: Annotated[list[str] | None, typer.Option(metavar="URL", help="NATS server. Repeatable.")] = None,
    host: ServeHost = None,
    port: ServePort = None,
    admin_port: AdminPort = None,
    feed: Annotated[bool, typer.Option(help="Let the built-in oracles report after a take-over.")] = True,
    listing: Annotated[bool, typer.Option("--list/--no-list", help="List by rule after a take-over.")] = True,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Serve now: the primary is known to be off for good.")
    ] = False,
) -> None:
    """Hold everything that a venue acknowledges on this disk too, and take over when it is gone.

    [bold]Examples[/]

      mkdir second && cp -r venue/keys second/ && novate standby --data second --follow nats://127.0.0.1:4222
    """
    from novate.apps.serve import ServeOptions
    from novate.apps.standby import StandbyOptions, run_standby
    from novate.apps.venue import VenueError
    from novate.settlement.chain_log import ChainLogError

    options = StandbyOptions(
        ServeOptions(data, host, port, admin_port, feed, listing), tuple(follow or ()), take_over
    )
    try:
        run_loop(run_standby(options, Console()))
    except (VenueError, ChainLogError, RuntimeError, ValueError, OSError) as error:
        raise fail(error) from error
