"""A stress test as the program shows it: bars while it runs, then the report and the picture."""

import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from novate.apps.stress import StressOptions, StressRun, plan_stress, prepare_stress, run_stress
from novate.apps.stress_plot import draw_stress
from novate.apps.stress_report import print_stress_report, to_json
from novate.execution.warmup import warm_up


def follow(bars: Progress, title: str) -> Callable[[int, int], None]:
    """Return a progress function that moves a new bar."""
    task = bars.add_task(title, total=None)

    def move(done: int, total: int) -> None:
        bars.update(task, completed=done, total=total)

    return move


def replay(options: StressOptions, console: Console) -> StressRun:
    """Plan, compile, open the venue and replay, with a bar for each; StressError as `plan_stress`."""
    # First, because a wrong file should be refused at once and not after a minute of compilation.
    plan = plan_stress(options)
    columns = TextColumn("{task.description:<34}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bars:
        warm_up(follow(bars, "compile or load the law's kernels"))
        run = prepare_stress(plan, follow(bars, "open the accounts"))
        return run_stress(run, follow(bars, "replay"))


def show_stress(options: StressOptions, plot: Path | None, as_json: bool) -> bool:
    """Run, print the report or its JSON, draw the picture, and return whether the books balanced.

    Errors     StressError for what cannot be run as asked, OSError if the picture cannot be written.
    """
    run = replay(options, Console(stderr=True))
    if plot is not None:
        plot.write_text(draw_stress(run), encoding="utf-8")
    if as_json:
        print(json.dumps(to_json(run)))
    else:
        print_stress_report(run, Console())
    return run.record.conserved
