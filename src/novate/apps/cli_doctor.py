"""The command `novate doctor`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def doctor(
    data: Annotated[Path, typer.Option(file_okay=False, help="Data directory; it need not exist yet.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Say what would keep a venue from starting, or make it slow or unsafe.

    Looks at this machine, the disk and what a sync of it costs, the operator's files, keys, ports, journal
    and snapshots. Changes nothing. Exit status 0 if a venue can run here, 1 if not.

    [bold]Examples[/]

      novate doctor --data venue

      novate doctor --data venue --json
    """
    from novate.apps.doctor import run_doctor

    raise typer.Exit(run_doctor(data, as_json, Console()))
