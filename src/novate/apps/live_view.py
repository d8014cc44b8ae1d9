"""The demo while it runs, on a terminal: prices, the busiest instruments, flow, latency and margin."""

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from novate.apps.watch import Snapshot
from novate.protocol.generated.constants import NS_PER_S

BLOCKS = "▁▂▃▄▅▆▇█"
INDEX_WIDTH = 60


def draw_sparkline(points: list[float], width: int) -> str:
    """Return the last points as a row of blocks between their lowest and highest."""
    shown = points[-width:]
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    if high <= low:
        return BLOCKS[0] * len(shown)
    return "".join(BLOCKS[int((each - low) / (high - low) * (len(BLOCKS) - 1))] for each in shown)


def format_price(price: float) -> str:
    """Return a price with two decimals, or a dash if there is none."""
    return f"{price:,.2f}" if price else "-"


def draw_indexes(snapshot: Snapshot) -> RenderableType:
    """Return a line per index: price, change over what is drawn, sparkline."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, ratio=1)
    for name, points in snapshot.indexes.items():
        if not points or points[0] <= 0:
            continue
        change = points[-1] / points[0] - 1.0
        style = "green" if change >= 0 else "red"
        spark = Text(draw_sparkline(points, INDEX_WIDTH), style=style)
        table.add_row(name, format_price(points[-1]), Text(f"{change:+.2%}", style=style), spark)
    moment = datetime.fromtimestamp(snapshot.venue_time_ns // NS_PER_S, UTC)
    return Panel(
        table, title="index", subtitle=f"{moment:%Y-%m-%d %H:%M:%S} UTC, venue time", border_style="cyan"
    )


def draw_instruments(snapshot: Snapshot) -> RenderableType:
    """Return the busiest instruments."""
    table = Table(box=None, expand=True, pad_edge=False)
    table.add_column("instrument", no_wrap=True)
    for title in ("bid", "mark", "ask", "traded, USDC"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in snapshot.instruments:
        prices = (format_price(row.bid), format_price(row.mark), format_price(row.ask))
        table.add_row(row.name, *prices, f"{row.volume_usdc:,.0f}")
    title = f"busiest of {snapshot.instrument_count:,} instruments"
    return Panel(table, title=title, border_style="cyan")


def draw_figures(title: str, rows: list[tuple[str, str]]) -> Panel:
    """Return a panel of labelled figures."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for label, figure in rows:
        table.add_row(label, figure)
    return Panel(table, title=title, border_style="cyan")


def draw_flow(snapshot: Snapshot) -> RenderableType:
    """Return flow, latency and margin side by side."""
    flow = [
        ("orders accepted", f"{snapshot.orders:,}"),
        ("per second", f"{snapshot.orders_per_s:,.0f}"),
        ("fills", f"{snapshot.fills:,}"),
        ("traded, USDC", f"{snapshot.volume_usdc:,.0f}"),
    ]
    p50, p99, p999 = snapshot.ack_ms
    latency = [
        ("p50", f"{p50:.1f} ms"),
        ("p99", f"{p99:.1f} ms"),
        ("p99.9", f"{p999:.1f} ms"),
        ("engine per order", f"{snapshot.engine_us:.1f} µs"),
    ]
    margin = snapshot.margin
    risk = [
        ("accounts", f"{snapshot.account_count:,}"),
        ("highest margin use", f"{margin.usage_max:.1%}"),
        ("lowest equity", f"{min(margin.equity_min_usdc, 1e15):,.0f}"),
        ("batches on chain", f"{snapshot.batches:,}"),
    ]
    table = Table.grid(expand=True)
    for ratio in (4, 4, 5):
        table.add_column(ratio=ratio)
    table.add_row(
        draw_figures("flow", flow),
        draw_figures("acknowledgement", latency),
        draw_figures("margin and chain", risk),
    )
    return table


def draw_refusals(snapshot: Snapshot) -> Text:
    """Return what was refused most, by reason."""
    shown = ", ".join(f"{reason} {count:,}" for reason, count in snapshot.refusals.items())
    return Text(f" refused: {shown or 'nothing yet'}", style="dim", overflow="ellipsis", no_wrap=True)


def draw_live_view(snapshot: Snapshot) -> RenderableType:
    """Return the whole view of one moment."""
    bar = ProgressBar(total=max(snapshot.total_s, 1e-9), completed=min(snapshot.elapsed_s, snapshot.total_s))
    return Group(
        draw_indexes(snapshot), draw_instruments(snapshot), draw_flow(snapshot), draw_refusals(snapshot), bar
    )
