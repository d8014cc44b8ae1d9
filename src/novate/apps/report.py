"""The demo's report: what happened, how fast, what it cost, and whether every check held. Tables or JSON."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from novate.apps.watch import MarginExtremes
from novate.protocol.generated.constants import E6

OK = "ok"


class ReportCheck(NamedTuple):
    """One thing that had to hold, in words, and what was found."""

    name: str
    held: bool
    detail: str


@dataclass
class DemoReport:
    """All figures of one run. `checks` stand in the order in which they were made."""

    market: str = ""
    path: str = ""
    instruments: int = 0
    accounts: int = 0
    seconds: float = 0.0
    orders_acknowledged: int = 0
    commands_acknowledged: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    oracle_reports: dict[str, int] = field(default_factory=dict)
    fills: int = 0
    volume_atoms: int = 0
    ack_ms: dict[str, float] = field(default_factory=lambda: {"p50": 0.0, "p99": 0.0, "p999": 0.0})
    engine_us_per_order: float = 0.0
    commands_sequenced: int = 0
    batches_posted: int = 0
    batches_verified: int = 0
    gas_posting: int = 0
    gas_total: int = 0
    withdrawals_paid: int = 0
    conservation_ok: bool = False
    margin: MarginExtremes = field(default_factory=MarginExtremes)
    fit: dict[str, float] | None = None
    checks: list[ReportCheck] = field(default_factory=list)

    def check(self, name: str, held: bool, detail: str) -> None:
        """Note a check."""
        self.checks.append(ReportCheck(name, held, detail))

    @property
    def verdict(self) -> str:
        """Return "ok", or the first check that failed and what was found."""
        failed = next((each for each in self.checks if not each.held), None)
        if failed is not None:
            return f"{failed.name}: {failed.detail}"
        return OK if self.checks else "nothing was checked"

    @property
    def orders_per_s(self) -> float:
        """Accepted orders per second of trading."""
        return self.orders_acknowledged / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object; money in atoms, times in the unit that the key names."""
        equity_min = self.margin.equity_min_usdc
        return {
            "market": self.market,
            "path": self.path,
            "instruments": self.instruments,
            "accounts": self.accounts,
            "seconds": round(self.seconds, 3),
            "orders_acknowledged": self.orders_acknowledged,
            "orders_per_s": round(self.orders_per_s, 1),
            "commands_acknowledged": self.commands_acknowledged,
            "refusals": self.refusals,
            "oracle_reports": self.oracle_reports,
            "fills": self.fills,
            "volume_atoms": self.volume_atoms,
            "ack_ms": {name: round(value, 3) for name, value in self.ack_ms.items()},
            "engine_us_per_order": round(self.engine_us_per_order, 3),
            "commands_sequenced": self.commands_sequenced,
            "batches_posted": self.batches_posted,
            "batches_verified": self.batches_verified,
            "gas_posting": self.gas_posting,
            "gas_total": self.gas_total,
            "withdrawals_paid": self.withdrawals_paid,
            "conservation_ok": self.conservation_ok,
            "margin": {
                "maintenance_over_equity_max": round(self.margin.usage_max, 6),
                "initial_over_equity_max": round(self.margin.initial_usage_max, 6),
                "equity_atoms_min": round(equity_min * E6) if equity_min != float("inf") else None,
                "liquidatable_accounts_max": self.margin.liquidatable_max,
            },
            "surface_fit": self.fit,
            "checks": [each._asdict() for each in self.checks],
            "verdict": self.verdict,
        }


def make_table(title: str, rows: list[tuple[str, str]]) -> Table:
    """Return a table of labelled figures."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False
    )
    table.add_column(style="dim", min_width=34, no_wrap=True)
    table.add_column(min_width=40)
    for label, figure in rows:
        table.add_row(label, figure)
    return table


def list_trading_rows(report: DemoReport) -> list[tuple[str, str]]:
    """Return what was traded and how fast."""
    ack = report.ack_ms
    refused = ", ".join(f"{reason} {count:,}" for reason, count in report.refusals.items())
    return [
        ("market", escape(report.market)),
        ("index", escape(report.path)),
        ("instruments, accounts", f"{report.instruments:,}, {report.accounts:,}"),
        (
            "orders accepted",
            f"{report.orders_acknowledged:,} in {report.seconds:.1f} s, {report.orders_per_s:,.0f} a second",
        ),
        ("fills, volume", f"{report.fills:,}, {report.volume_atoms / E6:,.0f} USDC"),
        ("refused", escape(refused) or "nothing"),
        (
            "acknowledged (durable) in",
            f"p50 {ack['p50']:.1f} ms, p99 {ack['p99']:.1f} ms, p99.9 {ack['p999']:.1f} ms",
        ),
        ("engine per order", f"{report.engine_us_per_order:.1f} µs"),
    ]


def list_settlement_rows(report: DemoReport) -> list[tuple[str, str]]:
    """Return what reached the chain and how safe it was."""
    margin, posted = report.margin, max(1, report.batches_posted)
    rows = [
        ("commands sequenced", f"{report.commands_sequenced:,}"),
        ("batches posted, verified", f"{report.batches_posted:,}, {report.batches_verified:,}"),
        ("gas per batch", f"{report.gas_posting // posted:,} (all transactions: {report.gas_total:,})"),
        ("withdrawals paid", f"{report.withdrawals_paid:,}"),
        (
            "highest maintenance over equity",
            f"{margin.usage_max:.1%} (initial {margin.initial_usage_max:.1%})",
        ),
        (
            "lowest equity",
            f"{margin.equity_min_usdc:,.0f} USDC; {margin.liquidatable_max} accounts liquidatable",
        ),
    ]
    if report.fit is not None:
        fit = report.fit
        share = f"{fit['within_one_point']:.1%} of {fit['options']:,.0f} options within one point"
        text = f"{share}, worst {fit['worst']:.1f}"
        rows.append(("surface fit, volatility points", text))
    return rows


def print_report(report: DemoReport, console: Console) -> None:
    """Print the tables, the checks, and one line that says whether every check held."""
    console.print()
    console.print(make_table("Trading", list_trading_rows(report)))
    console.print()
    console.print(make_table("Settlement and risk", list_settlement_rows(report)))
    console.print()
    checks = Table(
        title="Checks", title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False
    )
    checks.add_column(no_wrap=True)
    checks.add_column(no_wrap=True, min_width=32)
    checks.add_column(style="dim")
    for each in report.checks:
        mark = "[green]ok[/]" if each.held else "[bold red]failed[/]"
        checks.add_row(mark, each.name, escape(each.detail))
    console.print(checks)
    console.print()
    if report.verdict == OK:
        console.print("[bold green]ok[/] every check held")
    else:
        console.print(f"[bold red]not ok[/] {escape(report.verdict)}", soft_wrap=True)
