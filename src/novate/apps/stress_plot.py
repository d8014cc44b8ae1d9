"""The picture of a stress test: prices, insurance fund and accounts in liquidation over time, as plain SVG.

No library draws it, so the same run gives the same bytes.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from novate.apps.stress import StressRun
from novate.apps.stress_market import HOUR_NS, format_time
from novate.protocol.generated.constants import E6

WIDTH = 960
LEFT, RIGHT, TOP = 92, 24, 84
PANEL_HEIGHT, GAP, BOTTOM = 170, 54, 48
COLOURS = ("#c2410c", "#0369a1")
FUND_COLOUR, ACTIVE_COLOUR, BELOW_COLOUR = "#15803d", "#7f1d1d", "#fbbf24"
POINTS_MAX = 960
# Of the widest usual letters, so that a name never reaches its swatch.
CHARACTER_WIDTH, SWATCH = 8.0, 11
GRID_LINES_MAX = 5
TIME_STEPS_HOURS = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336)
TIME_LINES_MAX = 9


class Line(NamedTuple):
    """One curve: its name, its colour, and a value per moment; a filled one reaches down to zero."""

    name: str
    colour: str
    values: Sequence[float]
    filled: bool = False


def choose_step(span: float) -> float:
    """Return the least of 1, 2, 5, 10, ... (or 0.1, 0.2, ...) that gives few grid lines."""
    steps = (digit * 10.0**power for power in range(-3, 13) for digit in (1, 2, 5))
    return next(step for step in steps if span <= GRID_LINES_MAX * step)


def write(x: float, y: float, words: str, style: str = "") -> str:
    """Return a text element."""
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def thin(count: int) -> list[int]:
    """Return the numbers of at most POINTS_MAX moments, the first and last among them."""
    stride = -(-count // POINTS_MAX)
    return sorted({*range(0, count, stride), count - 1})


class Canvas:
    """The time axis, which all panels share."""

    def __init__(self, times_ns: Sequence[int]) -> None:
        self.times_ns = times_ns
        self.out: list[str] = []

    def at_x(self, time_ns: int) -> float:
        """Return the place of a time."""
        span = max(1, self.times_ns[-1] - self.times_ns[0])
        return LEFT + (time_ns - self.times_ns[0]) / span * (WIDTH - LEFT - RIGHT)

    def draw_times(self, top: float, bottom: float, labelled: bool) -> None:
        """Draw the vertical lines of a panel, and their times below the last."""
        first, last = self.times_ns[0], self.times_ns[-1]
        hours = (last - first) / HOUR_NS
        step = next((each for each in TIME_STEPS_HOURS if hours <= TIME_LINES_MAX * each), 672) * HOUR_NS
        if hours < 1.0:
            step = HOUR_NS // 6
        for time_ns in range(-(-first // step) * step, last + 1, step):
            x = self.at_x(time_ns)
            self.out.append(
                f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="#f0eeec"/>'
            )
            if labelled:
                date, clock = format_time(time_ns).split()
                self.out.append(write(x, bottom + 16, clock, 'text-anchor="middle"'))
                self.out.append(write(x, bottom + 30, date[5:], 'text-anchor="middle" class="small"'))

    def draw_panel(self, number: int, title: str, lines: Sequence[Line], labelled: bool) -> None:
        """Draw one panel: grid, curves, title and legend."""
        top = TOP + number * (PANEL_HEIGHT + GAP)
        bottom = top + PANEL_HEIGHT
        filled = any(line.filled for line in lines)
        low = 0.0 if filled else min(min(line.values) for line in lines)
        high = max(max(line.values) for line in lines)
        pad = 0.06 * (high - low) if high > low else max(1.0, 0.01 * abs(high))
        low, high = low - (0.0 if filled else pad), high + pad
        step = choose_step(high - low)
        self.draw_times(top, bottom, labelled)
        level = -(-low // step) * step
        while level <= high:
            y = bottom - (level - low) / (high - low) * PANEL_HEIGHT
            self.out.append(
                f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#e7e5e4"/>'
            )
            # A sum of steps may end a hair below zero, which would read as -0.
            rounded = round(level, 3) + 0.0
            text = f"{rounded:,.0f}" if step >= 1.0 else f"{rounded:.1f}"
            self.out.append(write(LEFT - 8, y + 4, text, 'text-anchor="end"'))
            level += step
        for line in lines:
            self.draw_line(line, low, high, bottom)
        self.out.append(write(LEFT, top - 10, title, 'class="name"'))
        self.draw_legend(lines, top)

    def draw_legend(self, lines: Sequence[Line], top: float) -> None:
        """Name the curves at the right of the title, from the last to the first."""
        x = WIDTH - RIGHT - 4.0
        for line in reversed(lines):
            x -= CHARACTER_WIDTH * len(line.name)
            self.out.append(write(x, top - 10, line.name))
            x -= SWATCH + 6.0
            swatch = f'x="{x:.1f}" y="{top - 20:.1f}" width="{SWATCH}" height="{SWATCH}"'
            self.out.append(f'<rect {swatch} fill="{line.colour}"/>')
            x -= 16.0

    def draw_line(self, line: Line, low: float, high: float, bottom: float) -> None:
        """Draw one curve, or an area down to zero."""
        places = []
        chosen = thin(len(line.values))
        for i, following in zip(chosen, [*chosen[1:], chosen[-1] + 1], strict=True):
            # A thinned area keeps the greatest of what it leaves out.
            value = max(line.values[i:following]) if line.filled else line.values[i]
            y = bottom - (value - low) / (high - low) * PANEL_HEIGHT
            places.append(f"{self.at_x(self.times_ns[i]):.1f},{y:.1f}")
        path = " ".join(places)
        if line.filled:
            left, right = self.at_x(self.times_ns[0]), self.at_x(self.times_ns[-1])
            corners = f"{left:.1f},{bottom:.1f} {path} {right:.1f},{bottom:.1f}"
            self.out.append(f'<polygon points="{corners}" fill="{line.colour}" fill-opacity="0.75"/>')
        else:
            self.out.append(
                f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.6" '
                'stroke-linejoin="round"/>'
            )


def draw_stress(run: StressRun) -> str:
    """Return the picture of a run that has had at least one tick."""
    moments = run.record.moments
    canvas = Canvas([moment.time_ns for moment in moments])
    height = TOP + 3 * PANEL_HEIGHT + 2 * GAP + BOTTOM
    first = moments[0].indexes_atoms
    prices = [
        Line(
            history.name,
            COLOURS[number % len(COLOURS)],
            [100.0 * moment.indexes_atoms[number] / first[number] for moment in moments],
        )
        for number, history in enumerate(run.plan.histories)
    ]
    fund = Line("fund", FUND_COLOUR, [moment.insurance_atoms / E6 for moment in moments])
    below = Line("below initial margin", BELOW_COLOUR, [float(m.below_initial) for m in moments], True)
    active = Line("in liquidation", ACTIVE_COLOUR, [float(m.in_liquidation) for m in moments], True)
    canvas.draw_panel(0, "Index, % of the beginning", prices, False)
    canvas.draw_panel(1, "Insurance fund, USDC", [fund], False)
    canvas.draw_panel(2, "Accounts", [below, active], True)
    window = f"{format_time(run.plan.window.begin_ns)} to {format_time(run.plan.window.end_ns)} UTC"
    sources = ", ".join(each.source for each in run.plan.histories)
    title = f"{len(run.opening.tested):,} accounts, {window}"
    return (
        "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
                f'width="{WIDTH}" height="{height}">',
                f"<title>{escape(title)}</title>",
                "<style>text{font:12px sans-serif;fill:#292524}"
                ".name{font:bold 14px sans-serif}.small{font-size:10px}</style>",
                f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
                write(LEFT, 20, title, 'class="name"'),
                write(LEFT, 36, sources, 'class="small"'),
                *canvas.out,
                "</svg>",
            ]
        )
        + "\n"
    )
