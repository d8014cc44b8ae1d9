"""The verdict on a terminal: a progress bar while it is found, a table and one sentence when it is."""

import json
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from novate.verification.findings import FAILED, OK, Verdict
from novate.verification.rebuild import ChainSource
from novate.verification.verdict import Progress as ShowProgress
from novate.verification.verdict import ignore_progress, verify_chain, verify_directory

STYLE = {OK: "green", FAILED: "bold red"}


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Print one line for each check, and what is wrong if something is."""
    table = Table(box=None, pad_edge=False)
    for title in ("check", "", "count", "seconds", ""):
        table.add_column(title, justify="right" if title in ("count", "seconds") else "left")
    for check in verdict.checks:
        style = STYLE.get(check.state, "dim")
        state = f"[{style}]{check.state}[/]"
        table.add_row(check.name, state, f"{check.count:,}", f"{check.seconds:.2f}", escape(check.note))
    console.print(table)
    if verdict.ok:
        console.print(
            "[green]ok[/] everything in this folder follows from its commands and agrees with the chain"
        )
    else:
        console.print(f"[bold red]not ok[/] {escape(verdict.describe())}", soft_wrap=True)


def find_verdict(target: str | Path | ChainSource, rpc: str | None, progress: ShowProgress) -> Verdict:
    """Return the verdict on a folder, an address, or what stands on a chain."""
    if isinstance(target, ChainSource):
        return verify_chain(target, progress)
    return verify_directory(target, progress, rpc)


def run_verification(
    target: str | Path | ChainSource,
    rpc: str | None = None,
    as_json: bool = False,
    console: Console | None = None,
) -> int:
    """Verify a folder, an address or a chain, print the verdict, return the exit status: 0 if it holds."""
    console = console or Console()
    if as_json:
        verdict = find_verdict(target, rpc, ignore_progress)
        console.print_json(json.dumps(verdict.to_json()))
        return 0 if verdict.ok else 1
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show_progress(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total or None)
            bars.update(tasks[name], completed=done, total=total or None)

        verdict = find_verdict(target, rpc, show_progress)
    print_verdict(verdict, console)
    return 0 if verdict.ok else 1
