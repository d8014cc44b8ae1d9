"""Write the tables of docs/guides/margin.md and draw its plot: `python -m scripts.plot_margin_guide`.

Run it after the law, its parameters or the portfolios change. `--check` writes nothing and fails if the guide
or the plot differs. The plot is plain SVG made of the law's integers: no library draws it.
"""

import argparse
import re
import sys
from pathlib import Path

from scripts.margin_guide_tables import TABLES, USDC, Rows, describe_scenario, preview

from novate.protocol.generated.tables import MOVE_E6, VOLATILITY_MODE

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "guides" / "margin.md"
PLOT = ROOT / "docs" / "guides" / "images" / "margin_scenarios.svg"
PLOTTED = ("short straddle", "iron condor", "calendar", "hedged short strangle")

REGULAR_COUNT = 24
COLOURS = {1: "#c2410c", 0: "#57534e", 2: "#0369a1"}
MODES = {1: "volatility up", 0: "unchanged", 2: "volatility down"}
PANEL_WIDTH, PANEL_HEIGHT = 470, 290
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 40, 40
TAIL_GAP, TAIL_STEP = 24, 24


def render_table(rows: Rows) -> str:
    """Markdown of a table: the first row is the head, numbers are right-aligned."""
    aligns = [
        "---:"
        if all(re.fullmatch(r"([-+0-9.,]*( / [-+0-9.,]+)?|n/a)", row[i]) for row in rows[1:])
        else "---"
        for i in range(len(rows[0]))
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], aligns, *rows[1:]))


def fill_guide(text: str) -> str:
    """The guide with each table between `<!-- table: name -->` and `<!-- end -->` computed again."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{render_table(TABLES[match[2]]())}\n{match[3]}"

    return re.sub(r"(<!-- table: ([a-z ]+) -->)\n.*?\n?(<!-- end -->)", fill, text, flags=re.DOTALL)


def choose_step(span: float) -> int:
    """The least of 1, 2, 5, 10, 20, ... that gives at most seven grid lines."""
    return next(step for k in range(12) for step in (10**k, 2 * 10**k, 5 * 10**k) if span <= 7 * step)


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def write(x: float, y: float, words: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{words}</text>'


def draw_panel(name: str, left: float, top: float) -> list[str]:
    """One portfolio: profit over the spot move, a line per volatility, and a bar per damped tail."""
    result = preview(name)
    profits = [int(x) / USDC for x in result.pnl]
    low, high = min(*profits, 0.0), max(*profits, 0.0)
    margin = 0.06 * (high - low)
    low, high = low - margin, high + margin
    bottom = top + PANEL_HEIGHT - TOP - BOTTOM
    tails = 8 * TAIL_STEP
    width = PANEL_WIDTH - LEFT - RIGHT - TAIL_GAP - tails

    def at_y(usdc: float) -> float:
        return bottom - (usdc - low) / (high - low) * (bottom - top)

    def at_x(s: int) -> float:
        if s < REGULAR_COUNT:
            return left + (int(MOVE_E6[s]) / 320_000 + 0.5) * width
        return left + width + TAIL_GAP + (s - REGULAR_COUNT + 0.5) * TAIL_STEP

    out = [write(left - 4, top - 18, name, 'class="name"')]
    step = choose_step(high - low)
    for level in range(int(low // step) * step, int(high) + step, step):
        if low <= level <= high:
            style = 'stroke="#78716c"' if level == 0 else 'stroke="#e7e5e4"'
            out.append(line(left, at_y(level), left + width + TAIL_GAP + tails, at_y(level), style))
            out.append(write(left - 6, at_y(level) + 4, f"{level:,}", 'text-anchor="end"'))
    for s in range(9):
        if s % 2 == 0:
            move = f"{int(MOVE_E6[s]) // 10_000:d} %"
            out.append(write(at_x(s), bottom + 15, move, 'text-anchor="middle"'))
    for s in range(REGULAR_COUNT, 32):
        zero, value = at_y(0.0), at_y(profits[s])
        y, height = min(zero, value), max(abs(zero - value), 0.5)
        out.append(
            f'<rect x="{at_x(s) - 7:.1f}" y="{y:.1f}" width="14" height="{height:.1f}" fill="#c2410c"/>'
        )
        move = f"{int(MOVE_E6[s]) // 10_000:d}"
        out.append(write(at_x(s), bottom + 15, move, 'text-anchor="middle" class="small"'))
    for mode, colour in COLOURS.items():
        points = sorted(
            (at_x(s), at_y(profits[s])) for s in range(REGULAR_COUNT) if VOLATILITY_MODE[s] == mode
        )
        if mode:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{colour}"/>' for x, y in points]
    worst = result.worst_scenario
    ring = f'cx="{at_x(worst):.1f}" cy="{at_y(profits[worst]):.1f}" r="7"'
    out.append(f'<circle {ring} fill="none" stroke="#111827" stroke-width="1.6"/>')
    label = f"worst: {describe_scenario(worst)}: {profits[worst]:,.0f} USDC"
    out.append(write(left - 4, top - 4, label))
    out.append(
        write(left + width + TAIL_GAP + tails / 2, bottom + 31, "tails, %, damped", 'text-anchor="middle"')
    )
    out.append(write(left + width / 2, bottom + 31, "move of the forward", 'text-anchor="middle"'))
    return out


def draw_plot() -> str:
    """The whole picture: four panels and a legend."""
    width, height = 2 * PANEL_WIDTH, 2 * PANEL_HEIGHT + 30
    size = f'width="{width}" height="{height}"'
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size}>',
        "<title>Profit of four portfolios in the 32 scenarios</title>",
        "<style>text{font:12px sans-serif;fill:#292524}"
        ".name{font:bold 14px sans-serif}.small{font-size:10px}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, name in enumerate(PLOTTED):
        out += draw_panel(name, LEFT + number % 2 * PANEL_WIDTH, 30 + TOP + number // 2 * PANEL_HEIGHT)
    x = LEFT
    for mode, colour in COLOURS.items():
        out.append(f'<circle cx="{x}" cy="17" r="4" fill="{colour}"/>')
        out.append(write(x + 10, 21, MODES[mode]))
        x += 130
    out.append(write(x, 21, "ring: the worst scenario, which sets the scan; profit in USDC, 1 BTC a leg"))
    return "\n".join([*out, "</svg>"]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if anything would change")
    arguments = parser.parse_args()
    made = {GUIDE: fill_guide(GUIDE.read_text()), PLOT: draw_plot()}
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if not arguments.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made[path])
        print(f"{'stale' if arguments.check else 'wrote'} {path.relative_to(ROOT)}")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
