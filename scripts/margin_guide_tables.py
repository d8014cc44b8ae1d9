"""The portfolios of docs/guides/margin.md and every number of its tables.

Ours come from the law's own kernels, those of other venues from their published formulas.
`python -m scripts.plot_margin_guide` writes them into the guide.
"""

from collections.abc import Callable

import numpy as np

from novate.analytics import rival_margin
from novate.analytics.greeks import add_greeks, compute_option_greeks
from novate.analytics.margin_preview import Holding, MarginPreview, Series, preview_margin, value_holding
from novate.analytics.rival_margin import LINEAR, MOVES, TAIL_MOVES, Leg, compute_inverse_profit, dampen
from novate.protocol import margin
from novate.protocol.arithmetic import div_ceil, mul_ratio_ceil_e6
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import NS_PER_DAY, NS_PER_YEAR, SCENARIO_COUNT
from novate.protocol.generated.tables import DAMPING_E6, MOVE_E6, VOLATILITY_MODE
from novate.protocol.genesis import PARAMETERS

USDC = 1_000_000
INDEX = 80_000
VOLATILITY = 0.5
# Those of the venue that `novate demo` runs.
RATES_E6 = {
    "futures_initial_e6": 20_000,
    "futures_maintenance_e6": 10_000,
    "short_initial_e6": 10_000,
    "short_maintenance_e6": 5_000,
    "basis_shift_e6": 3_000,
    "confidence_threshold_e6": 990_000,
    "confidence_rate_e6": 50_000,
    "option_taker_e6": 300,
}
OPTION_LOTS, PERPETUAL_LOTS = 100, 1_000
NEAR_DAYS, FAR_DAYS = 7, 30
CALL, PUT = InstrumentKind.CALL, InstrumentKind.PUT
PERPETUAL, FUTURE = InstrumentKind.PERPETUAL, InstrumentKind.FUTURE
LINEAR_KINDS = (PERPETUAL, FUTURE)
LETTERS = {CALL: "C", PUT: "P"}
Position = tuple[InstrumentKind, int, int, int]  # kind, strike in USDC, days to expiry, signed lots.

HEDGE_LOTS = 69  # The whole lots of the perpetual that leave the strangle the least delta.
PORTFOLIOS: dict[str, list[Position]] = {
    "long straddle": [(CALL, 80_000, 30, 100), (PUT, 80_000, 30, 100)],
    "short straddle": [(CALL, 80_000, 30, -100), (PUT, 80_000, 30, -100)],
    "calendar": [(CALL, 80_000, 7, -100), (CALL, 80_000, 30, 100)],
    "iron condor": [
        (PUT, 65_000, 30, 100),
        (PUT, 70_000, 30, -100),
        (CALL, 90_000, 30, -100),
        (CALL, 95_000, 30, 100),
    ],
    "box": [
        (CALL, 70_000, 30, 100),
        (CALL, 90_000, 30, -100),
        (PUT, 90_000, 30, 100),
        (PUT, 70_000, 30, -100),
    ],
    "covered call": [(PERPETUAL, 0, 0, 1_000), (CALL, 90_000, 30, -100)],
    "hedged short strangle": [
        (PUT, 70_000, 30, -100),
        (CALL, 90_000, 30, -100),
        (PERPETUAL, 0, 0, HEDGE_LOTS),
    ],
    "perpetual basis": [(PERPETUAL, 0, 0, 1_000), (FUTURE, 0, 30, -1_000)],
    "synthetic basis": [(PERPETUAL, 0, 0, 1_000), (CALL, 80_000, 30, -100), (PUT, 80_000, 30, 100)],
}


def make_parameters() -> np.void:
    """The genesis parameters as the law's record; what margin does not use is zero."""
    record = np.zeros(1, PARAMETERS)[0]
    for name, value in RATES_E6.items():
        if name in PARAMETERS.fields:  # The fee is a tier's.
            record[name] = value
    return record


def make_series(days: int) -> Series:
    """A flat surface: total variance is 0.25 a year, 80 000 USDC the forward."""
    variance_x48 = round(VOLATILITY**2 * 2**48 * days * NS_PER_DAY / NS_PER_YEAR)
    return Series(INDEX * USDC, (variance_x48, 0, 0, 0, 1 << 48), days * NS_PER_DAY)


def make_holdings(positions: list[Position]) -> list[Holding]:
    """The positions as the law sees them."""
    return [
        Holding(
            kind,
            make_series(days) if days else None,
            strike * USDC,
            lots,
            PERPETUAL_LOTS if kind in LINEAR_KINDS else OPTION_LOTS,
        )
        for kind, strike, days, lots in positions
    ]


def make_legs(positions: list[Position]) -> list[Leg]:
    """The positions as other venues see them, in bitcoins."""
    return [
        Leg(LINEAR, 0.0, days / 365, INDEX, 0.0, lots / PERPETUAL_LOTS)
        if kind in LINEAR_KINDS
        else Leg(int(kind), strike, days / 365, INDEX, VOLATILITY, lots / OPTION_LOTS)
        for kind, strike, days, lots in positions
    ]


def preview(name: str) -> MarginPreview:
    """Our requirement of one of the portfolios."""
    return preview_margin(make_holdings(PORTFOLIOS[name]), INDEX * USDC, make_parameters())


def money(usdc: float) -> str:
    """USDC with two decimals and a sign only if negative."""
    return f"{round(usdc, 2) + 0.0:,.2f}"


def atoms(value: int) -> str:
    """Atoms, shown as USDC."""
    return money(value / USDC)


def percent(rate_e6: int) -> str:
    """Millionths, shown as percent."""
    return f"{rate_e6 / 10_000:g} %"


def describe(positions: list[Position]) -> str:
    """The legs in words, sizes in bitcoins."""
    parts = []
    for kind, strike, days, lots in positions:
        if kind in LINEAR_KINDS:
            name = "future " + f"{days}d" if days else "perpetual"
            parts.append(f"{lots / PERPETUAL_LOTS:+g} {name}")
        else:
            parts.append(f"{lots / OPTION_LOTS:+g} {strike // 1_000}k {LETTERS[kind]} {days}d")
    return ", ".join(parts)


def describe_scenario(s: int) -> str:
    """A scenario in words."""
    mode = ("same", "up", "down")[int(VOLATILITY_MODE[s])]
    damping = int(DAMPING_E6[s])
    tail = "" if damping == USDC else f", x {damping / USDC:g}"
    return f"{int(MOVE_E6[s]) / 10_000:+g} %, vol {mode}{tail}"


Rows = list[list[str]]


def tabulate_parameters() -> Rows:
    """The rates of the genesis file that the guide uses."""
    return [["parameter", "value"]] + [[f"`{name}`", percent(rate)] for name, rate in RATES_E6.items()]


def tabulate_marks() -> Rows:
    """What one bitcoin of each option is worth, and its mark and worst row of one lot."""
    rows = [["option", "mark of one lot", "per bitcoin", "worst row entry", "in scenario"]]
    options = sorted({leg[:3] for legs in PORTFOLIOS.values() for leg in legs if leg[0] in LETTERS})
    for kind, strike, days in sorted(options, key=lambda each: (each[2], each[1], each[0])):
        holding = make_holdings([(kind, strike, days, 1)])[0]
        mark, row, _ = value_holding(holding, INDEX * USDC, RATES_E6["basis_shift_e6"])
        worst = int(np.argmin(row))
        name = f"{strike // 1_000}k {LETTERS[kind]} {days}d"
        rows.append(
            [name, atoms(mark), atoms(mark * OPTION_LOTS), atoms(int(row[worst])), describe_scenario(worst)]
        )
    return rows


def tabulate_scenarios() -> Rows:
    """All 32 scenarios of the short straddle, leg by leg."""
    legs = PORTFOLIOS["short straddle"]
    rows = [["s", "scenario", "row of the call", "row of the put", "P[s] of the straddle"]]
    values = [
        value_holding(each, INDEX * USDC, RATES_E6["basis_shift_e6"]).row for each in make_holdings(legs)
    ]
    total = preview("short straddle").pnl
    for s in range(SCENARIO_COUNT):
        rows.append(
            [str(s), describe_scenario(s), *(atoms(int(row[s])) for row in values), atoms(int(total[s]))]
        )
    return rows


def tabulate_parts() -> Rows:
    """What our requirements are made of."""
    rows = [
        ["portfolio", "worst scenario", "scan", "futures", "short", "basis", "**initial**", "**maintenance**"]
    ]
    for name in PORTFOLIOS:
        p = preview(name)
        worst = describe_scenario(p.worst_scenario) if p.scan_atoms else "none loses"
        futures = f"{atoms(p.futures_initial_atoms)} / {atoms(p.futures_maintenance_atoms)}"
        short = f"{atoms(p.short_initial_atoms)} / {atoms(p.short_maintenance_atoms)}"
        parts = [atoms(p.scan_atoms), futures, short, atoms(p.basis_atoms)]
        rows.append([name, worst, *parts, atoms(p.initial_atoms), atoms(p.maintenance_atoms)])
    return rows


UNLISTED = "n/a"


def compare(positions: list[Position]) -> tuple[list[str], list[str]]:
    """Initial and maintenance requirements: Deribit SM, Derive SM, Deribit PM, ours."""
    legs = make_legs(positions)
    ours = preview_margin(make_holdings(positions), INDEX * USDC, make_parameters())
    theirs = (
        rival_margin.compute_deribit_standard(legs, INDEX),
        rival_margin.compute_derive_standard(legs, INDEX),
        rival_margin.compute_deribit_portfolio(legs, INDEX),
    )
    initial = [money(each.initial) for each in theirs] + [atoms(ours.initial_atoms)]
    maintenance = [money(each.maintenance) for each in theirs] + [atoms(ours.maintenance_atoms)]
    if any(leg[0] == FUTURE for leg in positions):
        initial[1] = maintenance[1] = UNLISTED
    return initial, maintenance


VENUES = ["Deribit SM", "Derive SM", "Deribit PM", "**novate**"]


def tabulate_portfolios() -> Rows:
    """Both requirements of every portfolio on every venue, side by side."""
    rows = [["portfolio (1 BTC a leg)", "value", *(f"{v} {kind}" for v in VENUES for kind in ("IM", "MM"))]]
    for name, positions in PORTFOLIOS.items():
        initial, maintenance = compare(positions)
        pairs = [cell for pair in zip(initial, maintenance, strict=True) for cell in pair]
        rows.append([name, atoms(preview(name).value_atoms), *pairs])
    return rows


def tabulate_legs() -> Rows:
    """What the portfolios hold."""
    return [["portfolio", "legs"]] + [[name, describe(legs)] for name, legs in PORTFOLIOS.items()]


def tabulate_sizes() -> Rows:
    """Initial requirement of short straddles of growing size."""
    rows = [["short straddles", *(f"{venue} IM" for venue in VENUES)]]
    for size in (1, 10, 100):
        positions = [(k, x, d, lots * size) for k, x, d, lots in PORTFOLIOS["short straddle"]]
        rows.append([f"{size} BTC", *compare(positions)[0]])
    return rows


def tabulate_hedge() -> Rows:
    """Greeks of the hedged strangle, from the float library."""
    legs = [leg for leg in make_legs(PORTFOLIOS["hedged short strangle"]) if leg.kind != LINEAR]
    kinds, strikes = [leg.kind for leg in legs], [leg.strike for leg in legs]
    one = compute_option_greeks(kinds, INDEX, strikes, legs[0].time_years, VOLATILITY)
    bare = {name: float(x[0]) for name, x in add_greeks(one, [-100, -100], OPTION_LOTS, 0, 1).quote().items()}
    rows = [["Greek", "short strangle", f"with {HEDGE_LOTS} lots of the perpetual"]]
    for name in ("delta", "gamma", "vega", "theta"):
        hedge = HEDGE_LOTS / PERPETUAL_LOTS if name == "delta" else 0.0
        digits = 7 if name == "gamma" else 4
        rows.append([name, f"{bare[name]:.{digits}f}", f"{bare[name] + hedge:.{digits}f}"])
    return rows


def tabulate_quotes() -> Rows:
    """A flat account that bids and offers one bitcoin of the 80k call, 50 USDC around its mark."""
    rows = [["open orders", "worst scenario", "scan", "short", "basis", "**initial**"]]
    holding = make_holdings([(CALL, 80_000, 30, 0)])[0]
    mark, row, basis_row = value_holding(holding, INDEX * USDC, RATES_E6["basis_shift_e6"])
    notional = div_ceil(INDEX * USDC, OPTION_LOTS)
    fee = mul_ratio_ceil_e6(notional, RATES_E6["option_taker_e6"])
    for name, sides in (("the bid", (1,)), ("the offer", (-1,)), ("both", (1, -1))):
        orders, opened = np.zeros(SCENARIO_COUNT, np.int64), np.zeros(2, np.int64)
        for direction in sides:
            limit = mark - direction * 50 * USDC // OPTION_LOTS
            base = margin.compute_order_base(direction, mark, limit, fee)
            margin.add_order_effect(orders, row, direction, base, 100)
            margin.add_basis_order(opened, basis_row, direction, 100)
        sells = 100 if -1 in sides else 0
        scan, basis = int(margin.compute_scan_held(orders)), int(margin.compute_basis_held(opened))
        total = margin.compute_initial_from(scan, 0, sells * notional, basis, 0, USDC, make_parameters())
        worst = describe_scenario(int(np.argmin(orders)))
        short = mul_ratio_ceil_e6(sells * notional, RATES_E6["short_initial_e6"])
        rows.append([name, worst, atoms(scan), atoms(short), atoms(basis), atoms(int(total))])
    return rows


def tabulate_published_standard() -> Rows:
    """Deribit's own example of a linear perpetual at 100 000 USDC, with our requirement beside it."""
    rows = [
        [
            "long perpetual",
            "Deribit SM IM",
            "Deribit SM MM",
            "Deribit PM IM",
            "**novate** IM",
            "**novate** MM",
        ]
    ]
    for size in (25, 350):
        one = rival_margin.compute_deribit_perpetual(size, 100_000)
        both = rival_margin.compute_deribit_portfolio([Leg(LINEAR, 0, 0, 100_000, 0, size)], 100_000)
        holding = Holding(PERPETUAL, None, 0, size * PERPETUAL_LOTS, PERPETUAL_LOTS)
        ours = preview_margin([holding], 100_000 * USDC, make_parameters())
        theirs = [money(one.initial), money(one.maintenance), money(both.initial)]
        rows.append([f"{size} BTC", *theirs, atoms(ours.initial_atoms), atoms(ours.maintenance_atoms)])
    return rows


# The response that Deribit's reference of private/pme/simulate shows: coin-settled, June 2024, sizes in BTC.
PUBLISHED_INDEX, PUBLISHED_DAMPENER = 65_666.19, 100_000
PUBLISHED_SIZES = {"BTC-PERPETUAL": 0.314538364, "BTC-28JUN24": -0.001187534}


def tabulate_published_portfolio() -> Rows:
    """That response, computed again."""
    rows = [["spot move", *PUBLISHED_SIZES, "sum"]]
    worst = 0.0
    for move in [*MOVES, *TAIL_MOVES]:
        profits = [compute_inverse_profit(size, float(move)) for size in PUBLISHED_SIZES.values()]
        total = sum(profits)
        if abs(move) > 0.2:
            total = dampen(total, float(move), PUBLISHED_DAMPENER / PUBLISHED_INDEX)
        worst = min(worst, total)
        rows.append([f"{move * 100:+.0f} %", *(f"{x + 0.0:.8f}" for x in (*profits, total))])
    roll = 0.01 * sum(abs(size) for size in PUBLISHED_SIZES.values())
    for name, value in (
        ("worst case", -worst),
        ("roll shock", roll),
        ("risk matrix margin", roll - worst),
        ("its maintenance", 0.8 * (roll - worst)),
    ):
        rows.append([name, "", "", f"{value:.8f}"])
    return rows


TABLES: dict[str, Callable[[], Rows]] = {
    "parameters": tabulate_parameters,
    "legs": tabulate_legs,
    "marks": tabulate_marks,
    "scenarios": tabulate_scenarios,
    "parts": tabulate_parts,
    "portfolios": tabulate_portfolios,
    "sizes": tabulate_sizes,
    "hedge": tabulate_hedge,
    "quotes": tabulate_quotes,
    "published standard": tabulate_published_standard,
    "published portfolio": tabulate_published_portfolio,
}
