"""The replayer's reading of combos: what makes one, its price, orders and margin, its fills and its end."""

import pytest

from novate.protocol.generated.codes import (
    Code,
    CommandKind,
    EventKind,
    InstrumentKind,
    InstrumentState,
    OrderFlag,
    Side,
    TimeInForce,
)
from novate.protocol.generated.constants import (
    COMBO_TICK_OFFSET,
    GROSS_LOTS_MAX,
    NO_MARK_ATOMS,
    ORDER_LOTS_MAX,
    PRICE_TICKS_MAX,
)
from novate.verification.risk import compute_summary
from novate.verification.state import Instrument
from novate.verification.steps import Step
from novate.verification.tree import list_instrument_elements
from tests.verification.order_desk import (
    CALL,
    EXPIRY_NS,
    MARK_TICKS,
    OPERATOR,
    PERPETUAL,
    USDC,
    Desk,
    make_genesis,
)

BUY, SELL = Side.BUY, Side.SELL
MAKER, TAKER, OTHER = range(3)
PUT, FUTURE, COMBO = 2, 3, 4  # Numbers of the instruments that a desk of these cases lists.
DEPOSIT = 10**6 * USDC


class ComboDesk(Desk):
    """A desk with a put, a future, and a combo that buys the call, sells two puts and buys three futures."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind, strike in ((InstrumentKind.PUT, 78_000 * USDC), (InstrumentKind.FUTURE, 0)):
            terms = {"instrument_kind": kind, "strike_atoms": strike, "expiry_ns": EXPIRY_NS}
            assert Code.OK == self.apply(CommandKind.LIST_INSTRUMENT, OPERATOR, underlying=0, **terms)
        assert Code.OK == self.list_combo((CALL, 1), (PUT, -2), (FUTURE, 3))
        self.tick(80_000)

    @property
    def combo(self) -> Instrument:
        return self.state.instruments[COMBO]

    @property
    def fair(self) -> int:
        """The combo's mark as price_ticks, rounded down."""
        return self.combo.mark_atoms // 50_000 + COMBO_TICK_OFFSET

    def marks(self) -> list[int]:
        """The marks of the legs."""
        return [self.state.instruments[number].mark_atoms for number in (CALL, PUT, FUTURE)]

    def send(self, trader: int, side: Side, lots: int = 1, **fields: int) -> Code:
        """A PLACE in the combo, at its mark unless a price is given."""
        terms = {"instrument": COMBO, "lots": lots, "price_ticks": self.fair} | fields
        return self.ask(CommandKind.PLACE, trader, side=side, **terms)

    def held(self, trader: int) -> list[int]:
        """What a trader holds of each leg."""
        return [self.lots(trader, number) for number in (CALL, PUT, FUTURE)]


BAD_LEGS = [
    ((CALL, 1),),
    ((PERPETUAL, 1), (CALL, 1), (PUT, 1), (FUTURE, 1), (COMBO, 1)),
    ((PUT, 1), (CALL, 1)),
    ((CALL, 1), (CALL, 1)),
    ((CALL, 1), (9, 1)),
    ((-1, 1), (CALL, 1)),
    ((CALL, 1), (COMBO, 1)),
    ((CALL, 0), (PUT, 1)),
    ((CALL, 1), (PUT, 17)),
    ((CALL, 1), (PUT, -17)),
    ((CALL, 2), (PUT, -4)),
    ((CALL, -1), (PUT, 1)),
]


@pytest.mark.parametrize("legs", BAD_LEGS)
def test_only_lawful_legs_make_a_combo(legs: tuple[tuple[int, int], ...]) -> None:
    """[COMBO-1]: number, order, kind, ratio, common divisor and the first sign."""
    desk = ComboDesk()
    assert Code.INSTRUMENT_INVALID == desk.list_combo(*legs)
    assert (COMBO + 1, -1) == (len(desk.state.instruments), desk.outcome.account)
    assert desk.nonce == desk.state.operator_nonce


def test_a_combo_takes_its_terms_from_its_legs() -> None:
    """[COMBO-1] [STATE-4]: name, expiry, lot and tick, and a leaf that ends with the legs."""
    desk = ComboDesk()
    assert "BTC_USDC-COMBO-1x25APR26-82000-C_-2x25APR26-78000-P_3x25APR26" == desk.replayer.names[COMBO]
    assert (100, 50_000, EXPIRY_NS) == (desk.combo.lots_per_unit, desk.combo.tick_atoms, desk.combo.expiry_ns)
    assert Code.INSTRUMENT_EXISTS == desk.list_combo((CALL, 1), (PUT, -2), (FUTURE, 3))
    assert Code.OK == desk.list_combo((PERPETUAL, 16), (FUTURE, -15))
    linear = desk.state.instruments[COMBO + 1]
    assert (1_000, 2_500, EXPIRY_NS, -1) == (
        linear.lots_per_unit,
        linear.tick_atoms,
        linear.expiry_ns,
        linear.series,
    )
    leaf = (0, 4, 0, EXPIRY_NS, 0, NO_MARK_ATOMS, 0, 0, 0, 0, 0, 0, PERPETUAL, 16, FUTURE, -15)
    assert leaf == list_instrument_elements(linear), "Its mark comes with the next TICK of new prices."
    full = ComboDesk(make_genesis(instruments=5))
    assert Code.INSTRUMENT_TABLE_FULL == full.list_combo((CALL, 1), (PUT, 1))
    desk.time_ns = EXPIRY_NS - 1_000_000
    assert Code.INSTRUMENT_INVALID == desk.list_combo((PERPETUAL, 1), (CALL, 1)), "It is past its expiry."
    desk.check()


def test_only_the_operator_lists_a_combo() -> None:
    """[COMBO-1] [AUTH-4]."""
    desk = ComboDesk()
    assert Code.OPERATOR_UNKNOWN == desk.apply(CommandKind.LIST_COMBO, b"\x01" * 20)


def test_marks_add_up() -> None:
    """[COMBO-3]: mark, row, fee and Greeks are the legs'; the notional is that of its own lots."""
    desk = ComboDesk()
    legs = [(desk.state.instruments[number], ratio) for number, ratio in ((CALL, 1), (PUT, -2), (FUTURE, 3))]
    combo = desk.combo
    assert sum(ratio * leg.mark_atoms for leg, ratio in legs) == combo.mark_atoms
    assert [sum(r * int(leg.row[s]) for leg, r in legs) for s in range(32)] == combo.row.tolist()
    assert sum(r * leg.delta_atoms for leg, r in legs) == combo.delta_atoms
    assert sum(r * leg.vega_atoms for leg, r in legs) == combo.vega_atoms
    assert 800_000_000 == combo.notional_atoms
    assert 240_000 + 2 * 240_000 + 3 * 40_000 == combo.taker_fee_atoms
    assert 0 == combo.forward_atoms


def test_the_price_of_a_combo_may_be_negative() -> None:
    """[COMBO-2] [COMBO-4] [ORDER-2]: the band is the legs' together, and its lower edge has no floor."""
    desk = ComboDesk()
    assert Code.OK == desk.list_combo((CALL, 1), (FUTURE, -16))
    desk.tick(80_000)
    combo, number = desk.state.instruments[COMBO + 1], COMBO + 1
    band = 16_000_000 + 16 * 8_000_000  # 2 % of an option's notional, 10 % of a future's.
    assert combo.mark_atoms < -band
    most = (combo.mark_atoms + band) // 50_000 + COMBO_TICK_OFFSET
    least = -(-(combo.mark_atoms - band) // 50_000) + COMBO_TICK_OFFSET
    for side, edge, step in ((BUY, most, 1), (SELL, least, -1)):
        terms = {"instrument": number, "lots": 1}
        code = desk.ask(CommandKind.PLACE, TAKER, side=side, price_ticks=edge + step, **terms)
        assert Code.PRICE_OUTSIDE_BAND == code
        order_id = desk.place(TAKER, side, price_ticks=edge, **terms)
        assert (edge - COMBO_TICK_OFFSET) * 50_000 == desk.order(order_id).limit_atoms
        assert Code.OK == desk.ask(CommandKind.CANCEL, TAKER, order_id=order_id)
    desk.place(MAKER, BUY, price_ticks=least, instrument=number, lots=1)
    market = {"instrument": number, "lots": 1, "flags": OrderFlag.MARKET, "time_in_force": TimeInForce.IOC}
    desk.place(TAKER, SELL, price_ticks=0, **market)
    assert (-1, 16) == (desk.lots(TAKER, CALL), desk.lots(TAKER, FUTURE))
    assert least == combo.last_ticks
    assert least == list_instrument_elements(combo)[8]
    desk.check()


REFUSALS = [
    ({"flags": OrderFlag.REDUCE_ONLY}, Code.ORDER_INVALID),
    ({"flags": OrderFlag.VOLATILITY, "price_ticks": 100}, Code.ORDER_INVALID),
    ({"price_ticks": 0}, Code.PRICE_NOT_POSITIVE),
    ({"price_ticks": PRICE_TICKS_MAX + 1}, Code.PRICE_ABOVE_MAXIMUM),
    ({"price_ticks": PRICE_TICKS_MAX}, Code.PRICE_OUTSIDE_BAND),
]


@pytest.mark.parametrize(("fields", "code"), REFUSALS)
def test_what_a_combo_refuses(fields: dict[str, int], code: Code) -> None:
    """[COMBO-4]: and an order that waits, at the same place."""
    desk = ComboDesk()
    assert code == desk.send(TAKER, BUY, **fields)
    waits = {"reference": 1, "condition": 0, "trigger_atoms": 1, "instrument": COMBO, "price_ticks": 0}
    assert Code.ORDER_INVALID == desk.ask(CommandKind.PLACE_TRIGGER, TAKER, side=BUY, **waits)
    desk.check()


def test_a_combo_needs_a_mark_records_and_room() -> None:
    """[COMBO-4] [MARGIN-9]: as many records as legs, and gross lots of all of them."""
    desk = ComboDesk(make_genesis(positions=5))
    assert Code.OK == desk.list_combo((PERPETUAL, 1), (CALL, 1))
    terms = {"instrument": COMBO + 1, "price_ticks": desk.fair}
    assert Code.MARK_UNAVAILABLE == desk.ask(CommandKind.PLACE, TAKER, side=BUY, **terms)
    assert Code.OK == desk.send(MAKER, BUY)
    assert 3 == desk.state.position_count
    assert Code.TABLE_FULL == desk.send(TAKER, BUY)
    assert Code.OK == desk.send(MAKER, BUY), "Its records are there."
    desk.check()
    rich = ComboDesk(deposits=(10**17,) * 4)
    for _ in range(2):
        assert Code.OK == rich.send(MAKER, BUY, lots=ORDER_LOTS_MAX)
    left = GROSS_LOTS_MAX // 6 - 2 * ORDER_LOTS_MAX
    assert Code.GROSS_LIMIT == rich.send(MAKER, BUY, lots=left + 1)
    assert Code.OK == rich.send(MAKER, BUY, lots=left)
    rich.check()


def test_an_order_is_margined_once_and_counts_in_every_leg() -> None:
    """[COMBO-5]: what the legs offset is not paid for twice; open lots are the legs'."""
    desk = ComboDesk()
    assert Code.OK == desk.send(TAKER, SELL, lots=5, price_ticks=desk.fair + 1)
    holdings = desk.account(TAKER).holdings[0]
    open_lots = [(holdings[n].buys, holdings[n].sells) for n in (CALL, PUT, FUTURE)]
    assert [(0, 5), (10, 0), (0, 15)] == open_lots
    portfolio = desk.account(TAKER).portfolios[0]
    assert 30 == portfolio.gross_lots
    call, put, future = (desk.state.instruments[number] for number in (CALL, PUT, FUTURE))
    notional = 5 * 800_000_000 + 10 * 800_000_000 + 15 * 80_000_000
    assert notional == portfolio.worst_atoms
    assert (15 * 80_000_000, 5 * 800_000_000) == (portfolio.futures_atoms, portfolio.short_atoms)
    for j in (0, 1):
        worst = 5 * min(0, -call.basis[j]) + 10 * min(0, put.basis[j]) + 15 * min(0, -future.basis[j])
        assert worst == portfolio.basis[0][2 + j]
    limit = (desk.fair + 1 - COMBO_TICK_OFFSET) * 50_000
    row = -call.row + 2 * put.row - 3 * future.row
    y = [int(r) - desk.combo.mark_atoms + limit - desk.combo.taker_fee_atoms for r in row]
    assert [5 * min(0, value) for value in y] == portfolio.effects.tolist()
    desk.check()


def test_a_fill_is_that_of_its_legs_at_their_marks() -> None:
    """[COMBO-6] [NOVATE-3]: a LEG each; cash makes up for the price, and equity changes by what y says."""
    desk = ComboDesk()
    call, put, future = marks = desk.marks()
    price = desk.fair + 7
    assert Code.OK == desk.send(MAKER, SELL, lots=4, price_ticks=price)
    maker_id = desk.outcome.order_id
    assert Code.OK == desk.send(TAKER, BUY, lots=3, price_ticks=price + 2, time_in_force=TimeInForce.IOC)
    assert ([3, -6, 9], [-3, 6, -9]) == (desk.held(TAKER), desk.held(MAKER))
    sides, lots = (BUY, SELL, BUY), (3, 6, 9)
    names = {"order_id": maker_id + 1, "maker_order_id": maker_id}
    legs = [
        Step(EventKind.LEG, TAKER, MAKER, instrument=n, side=s, lots=x, amount_atoms=m, **names)
        for n, s, x, m in zip((CALL, PUT, FUTURE), sides, lots, marks, strict=True)
    ]
    assert legs == desk.state.steps
    assert price == desk.combo.last_ticks
    assert 0 == desk.call.last_ticks, "Its legs have books of their own."
    assert [9 * future, -9 * future] == [
        desk.account(side).holdings[0][FUTURE].cost_atoms for side in (TAKER, MAKER)
    ]
    limit = (price - COMBO_TICK_OFFSET) * 50_000
    taker_fee = 3 * (240_000 + 2 * 240_000 + 3 * 40_000)
    maker_fee = 3 * (80_000 + 2 * 80_000 - 3 * 8_000)
    paid = 3 * limit - 9 * future
    assert DEPOSIT - paid - taker_fee == desk.account(TAKER).cash_atoms
    assert DEPOSIT + paid - maker_fee == desk.account(MAKER).cash_atoms
    gain = 3 * (call - 2 * put + 3 * future - limit)
    assert DEPOSIT + gain - taker_fee == compute_summary(desk.state, desk.account(TAKER))[0]
    assert (taker_fee + maker_fee) // 10 == desk.state.insurance_atoms
    assert 6 == desk.state.position_count
    desk.check()


def test_records_that_are_empty_after_a_fill_go() -> None:
    """[COMBO-6] [NOVATE-5]: and stay while an order in the combo is open."""
    desk = ComboDesk()
    for maker_side, taker_side in ((SELL, BUY), (BUY, SELL)):
        assert Code.OK == desk.send(MAKER, maker_side, lots=2)
        assert Code.OK == desk.send(TAKER, taker_side, lots=2)
    assert 0 == desk.state.position_count
    assert Code.OK == desk.send(MAKER, SELL, lots=2)
    assert 3 == desk.state.position_count
    desk.place(MAKER, BUY, instrument=CALL, lots=1, price_ticks=desk.call.mark_atoms // 50_000 - 1)
    assert Code.OK == desk.ask(CommandKind.CANCEL_ALL, MAKER, instrument=COMBO, label=0, group=0)
    assert [CALL] == list(desk.account(MAKER).holdings[0])
    assert 1 == desk.account(MAKER).open_order_count
    desk.check()


def test_fill_or_kill_looks_at_the_combos_own_orders() -> None:
    """[MATCH-10]: an open order in a leg is not one in the combo, which hides an iceberg's next slices."""
    desk = ComboDesk()
    assert Code.OK == desk.send(MAKER, SELL, lots=6, display_lots=2)
    desk.place(TAKER, BUY, instrument=CALL, lots=1, price_ticks=desk.call.mark_atoms // 50_000 - 1)
    fill_or_kill = {"time_in_force": TimeInForce.FOK}
    assert Code.OK == desk.send(TAKER, BUY, lots=3, **fill_or_kill)
    assert Code.OK == desk.send(TAKER, BUY, price_ticks=desk.fair - 1)
    assert Code.FILL_OR_KILL_UNFILLABLE == desk.send(TAKER, BUY, lots=3, **fill_or_kill)
    desk.check()


def test_a_combo_ends_with_its_first_leg() -> None:
    """[COMBO-7]: before the series' own instruments, its orders with it; it has no settlement price."""
    desk = ComboDesk()
    assert Code.OK == desk.list_combo((PERPETUAL, 1), (FUTURE, -1))
    desk.tick(80_000)
    leg_order = desk.place(MAKER, SELL, instrument=FUTURE, lots=1, price_ticks=MARK_TICKS + 50)
    first = desk.place(MAKER, SELL, instrument=COMBO + 1, lots=1, price_ticks=COMBO_TICK_OFFSET + 90)
    assert Code.OK == desk.send(TAKER, BUY)
    second = desk.outcome.order_id
    desk.time_ns = EXPIRY_NS - 2_000_000
    desk.tick(80_000)
    order_ids = [order_id for order_id, reason in desk.endings if reason == "INSTRUMENT_EXPIRED"]
    assert [second, first, leg_order] == order_ids, "The combos in ascending number, then the leg."
    for number in (COMBO, COMBO + 1):
        combo = desk.state.instruments[number]
        ended = (InstrumentState.EXPIRED, NO_MARK_ATOMS, 0)
        assert ended == (combo.state, combo.mark_atoms, combo.settlement_atoms)
    assert 80_000 * USDC == desk.state.instruments[FUTURE].settlement_atoms
    assert NO_MARK_ATOMS != desk.state.instruments[PERPETUAL].mark_atoms
    assert Code.INSTRUMENT_CLOSED == desk.send(OTHER, BUY, price_ticks=COMBO_TICK_OFFSET)
    assert {} == desk.account(MAKER).holdings[0]
    desk.check()


def test_no_mark_while_a_leg_has_none() -> None:
    """[COMBO-3]: a leg listed without a surface leaves the combo without a mark."""
    desk = ComboDesk()
    later = {"expiry_ns": EXPIRY_NS + 10**9, "strike_atoms": 0, "instrument_kind": InstrumentKind.FUTURE}
    assert Code.OK == desk.apply(CommandKind.LIST_INSTRUMENT, OPERATOR, underlying=0, **later)
    assert Code.OK == desk.list_combo((PERPETUAL, 1), (COMBO + 1, -1))
    desk.tick(80_000)
    assert NO_MARK_ATOMS == desk.state.instruments[COMBO + 2].mark_atoms
    assert EXPIRY_NS + 10**9 == desk.state.instruments[COMBO + 2].expiry_ns
    desk.check()
