"""The report of a stress test: what happened, its worst moments, who lost, and plots made of characters."""

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from novate.apps.report import make_table
from novate.apps.stress import StressRun
from novate.apps.stress_market import format_time
from novate.apps.stress_record import find_worst
from novate.protocol.generated.constants import E6

BLOCKS = " ▁▂▃▄▅▆▇█"
PLOT_WIDTH = 64
PLOT_ROWS = 4
TOTALS = (
    ("margin calls", "margin_calls"),
    ("liquidations begun", "started"),
    ("auctions begun", "auctions_started"),
    ("taken by backstops", "auctions_taken"),
    ("positions deleveraged", "deleveragings"),
)
AMOUNTS = (
    ("penalties into the fund", "penalties_atoms"),
    ("debts paid by the fund", "insured_atoms"),
    ("losses shared", "shared_atoms"),
)


def show_usdc(atoms: int) -> str:
    """Return an amount in whole USDC."""
    return f"{atoms / E6:,.0f}"


def to_json(run: StressRun) -> dict[str, Any]:
    """Return the whole report: money in atoms, times in ns UTC, a row per tick."""
    plan, record = run.plan, run.record
    return {
        "sources": [each.source for each in plan.histories],
        "underlyings": [each.name for each in plan.histories],
        "begin_ns": plan.window.begin_ns,
        "end_ns": plan.window.end_ns,
        "tick_seconds": plan.options.tick_seconds,
        "instruments": len(run.venue.instruments),
        "accounts": len(run.opening.tested),
        "scaled_down": run.opening.scaled_count,
        "notes": dict(run.opening.notes),
        "refused": dict(run.venue.refused),
        "totals": {name: record.total(name) for _, name in (*TOTALS, *AMOUNTS)}
        | {"slices": record.total("slices"), "slices_filled": record.slices_filled},
        "accounts_liquidated": len(record.liquidated),
        "accounts_bankrupt": len(record.bankrupt),
        "conserved": record.conserved,
        "styles": [row._asdict() for row in record.list_styles(run.venue, run.opening)],
        "moments": [moment._asdict() for moment in record.moments],
    }


def list_setting_rows(run: StressRun) -> list[tuple[str, str]]:
    """Return what was replayed, over whom."""
    plan, opening = run.plan, run.opening
    notes = "".join(f"; {count:,} {reason}" for reason, count in sorted(opening.notes.items()))
    options = plan.options
    return [
        ("prices", escape(", ".join(each.source for each in plan.histories))),
        ("window, UTC", f"{format_time(plan.window.begin_ns)} to {format_time(plan.window.end_ns)}"),
        ("ticks", f"{plan.tick_count:,}, one every {options.tick_seconds} s"),
        ("instruments", f"{len(run.venue.instruments):,}"),
        ("accounts", f"{len(opening.tested):,}; {opening.scaled_count:,} scaled down to their margin{notes}"),
        (
            "insurance fund, backstops",
            f"{show_usdc(options.insurance_atoms)}, {show_usdc(options.backstop_atoms)} USDC",
        ),
    ]


def list_total_rows(run: StressRun) -> list[tuple[str, str]]:
    """Return sums over all ticks."""
    record = run.record
    rows = [(label, f"{record.total(name):,}") for label, name in TOTALS]
    rows.insert(2, ("accounts liquidated, bankrupt", f"{len(record.liquidated):,}, {len(record.bankrupt):,}"))
    rows.insert(3, ("slices, of them filled", f"{record.total('slices'):,}, {record.slices_filled:,}"))
    rows += [(label, f"{show_usdc(record.total(name))} USDC") for label, name in AMOUNTS]
    if record.moments:
        rows.append(("insurance fund at the end", f"{show_usdc(record.moments[-1].insurance_atoms)} USDC"))
    refused = ", ".join(f"{code} {count:,}" for code, count in run.venue.refused.most_common())
    rows.append(("refused orders", refused or "none"))
    return rows


def make_wide_table(title: str, columns: Sequence[str]) -> Table:
    """Return a table whose first column is words and whose others are figures."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True, header_style="dim")
    return table


def make_worst_table(run: StressRun) -> Table:
    """Return the worst moments."""
    names = [each.name for each in run.plan.histories]
    columns = ("", "UTC", *names, "in liq.", "< initial", "fund", "shared")
    table = make_wide_table("Worst moments", columns)
    for label, moment in find_worst(run.record.moments, names):
        table.add_row(
            label,
            format_time(moment.time_ns)[5:],
            *(show_usdc(each) for each in moment.indexes_atoms),
            f"{moment.in_liquidation:,}",
            f"{moment.below_initial:,}",
            show_usdc(moment.insurance_atoms),
            show_usdc(moment.shared_atoms),
        )
    return table


def make_style_table(run: StressRun) -> Table:
    """Return what became of the accounts of each style."""
    columns = ("", "started", "liquidated", "bankrupt", "equity at start", "lost", "lost, %")
    table = make_wide_table("Accounts by style", columns)
    for row in run.record.list_styles(run.venue, run.opening):
        share = row.lost_atoms / max(1, row.equity_start_atoms)
        table.add_row(
            row.style,
            f"{row.accounts:,}",
            f"{row.liquidated:,}",
            f"{row.bankrupt:,}",
            show_usdc(row.equity_start_atoms),
            show_usdc(row.lost_atoms),
            f"{share:.1%}",
        )
    return table


def squeeze(values: Sequence[float], width: int, worst: str) -> list[float]:
    """Return at most `width` values, each the least ("low") or greatest ("high") of its part."""
    if len(values) <= width:
        return list(values)
    pick = min if worst == "low" else max
    edges = [i * len(values) // width for i in range(width + 1)]
    return [pick(values[edges[i] : edges[i + 1]]) for i in range(width)]


def draw_blocks(values: Sequence[float], rows: int, low: float, high: float) -> list[str]:
    """Return lines of block characters, the topmost first; the lowest value shows as the lowest block."""
    span = high - low
    eighths = [1 + math.floor((rows * 8 - 1) * (value - low) / span) if span > 0.0 else 1 for value in values]
    return [
        "".join(BLOCKS[min(8, max(0, each - 8 * row))] for each in eighths) for row in reversed(range(rows))
    ]


def print_plot(console: Console, title: str, values: Sequence[float], worst: str, from_zero: bool) -> None:
    """Print one plot with its bounds at the left; a count of nothing is a line, not a block."""
    shown = squeeze(values, PLOT_WIDTH, worst)
    low, high = 0.0 if from_zero else min(values), max(values)
    console.print(f"[bold]{escape(title)}[/]")
    for row, text in enumerate(draw_blocks(shown, PLOT_ROWS, low, high)):
        bound = f"{high:,.0f}" if row == 0 else ""
        if row == PLOT_ROWS - 1:
            bound = f"{low:,.0f}"
            if from_zero:
                text = "".join(block if value else "_" for block, value in zip(text, shown, strict=True))
        console.print(f"[dim]{bound:>12}[/] {text}", highlight=False, no_wrap=True)


def print_stress_report(run: StressRun, console: Console) -> None:
    """Print tables and plots, and last whether the books balanced after every tick."""
    moments = run.record.moments
    console.print()
    console.print(make_table("Replay", list_setting_rows(run)))
    console.print()
    console.print(make_table("Totals", list_total_rows(run)))
    console.print()
    console.print(make_worst_table(run))
    console.print()
    console.print(make_style_table(run))
    console.print()
    for number, history in enumerate(run.plan.histories):
        prices = [moment.indexes_atoms[number] / E6 for moment in moments]
        print_plot(console, f"{history.name}, USDC", prices, "low", False)
    fund = [moment.insurance_atoms / E6 for moment in moments]
    print_plot(console, "insurance fund, USDC", fund, "low", False)
    print_plot(console, "accounts in liquidation", [float(m.in_liquidation) for m in moments], "high", True)
    console.print()
    if run.record.conserved:
        console.print("[bold green]ok[/] not an atom and not a lot was missing after any tick")
    else:
        console.print("[bold red]not ok[/] the books did not balance after every tick \\[CASH-3]")
