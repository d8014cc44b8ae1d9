"""Combos at a small venue: their listing, prices, marks, fills and end, worked out by hand. [COMBO-1] to
[COMBO-3], [COMBO-6] to [COMBO-8]
"""

from pathlib import Path

from novate.execution.batch import count_events_max
from novate.execution.commitment import INSTRUMENT_FIELDS, StateCommitment
from novate.execution.engine import Engine
from novate.execution.journal import Position
from novate.execution.snapshot import load_snapshot, write_snapshot
from novate.execution.views import (
    compute_conservation_gap,
    compute_lots_gap,
    read_account,
    read_book,
    read_instrument_state,
    read_positions,
)
from novate.protocol.arithmetic import mul_ratio_ceil_e6
from novate.protocol.generated.codes import Code, EventKind, InstrumentKind, InstrumentState, Side
from novate.protocol.generated.constants import NO_MARK_ATOMS
from novate.protocol.merkle import SparseTree
from novate.protocol.poseidon2 import hash_elements
from tests.execution.combo_scenes import (
    CALL,
    CONVERSION,
    FUTURE,
    HIGH_CALL,
    LEGS,
    LINEAR_TICK,
    OFFSET,
    OPTION_TICK,
    PERPETUAL,
    PUT,
    ROLL,
    SPREAD,
    count_records,
    find_mark,
    open_combos,
    pick,
    read_equity,
    write_legs,
    write_order,
)
from tests.execution.scenes import open_venue, tell
from tests.execution.test_event_room import pack
from tests.execution.venue import hash_state
from tests.law.desk import SOON_NS, Desk

MAKER, TAKER, STRANGER = 0, 1, 2
WINDOW_AFTER = 30 * 86_400 - 1_800
FEE_E6, MAKER_FEE_E6, FEE_CAP_E6 = 300, 100, 125_000


def read_cash(desk: Desk, account: int) -> int:
    return read_account(desk.engine, account).cash_atoms


def list_lots(desk: Desk, account: int) -> dict[int, int]:
    """The lots that an account holds, by instrument."""
    return {row.instrument: row.lots for row in read_positions(desk.engine, account)}


def compute_fee(desk: Desk, number: int, rate_e6: int) -> int:
    """The fee of a lot of a leg at its mark, at tier 0. [NOVATE-4]"""
    record = desk.engine.world.instruments[number]
    fee = mul_ratio_ceil_e6(int(record["notional_atoms"]), rate_e6)
    cap = mul_ratio_ceil_e6(int(record["mark_atoms"]), FEE_CAP_E6)
    return min(fee, cap) if record["kind"] in (InstrumentKind.CALL, InstrumentKind.PUT) else fee


def test_the_terms_of_a_combo_come_from_its_legs() -> None:
    """[COMBO-1]: name, underlying, expiry, and the lots and ticks of options if a leg is one."""
    desk = open_combos()
    spread, roll, conversion = (desk.engine.instruments[number] for number in LEGS)
    assert "BTC_USDC-COMBO-1x18MAR26T0000-80000-C_-1x18MAR26T0000-90000-C" == spread.name
    assert "BTC_USDC-COMBO-1xPERPETUAL_-1x18MAR26T0000" == roll.name
    assert desk.engine.find_instrument(roll.name) == ROLL
    for view in (spread, roll, conversion):
        assert (0, InstrumentKind.COMBO, 0, SOON_NS, -1) == view[2:7]
        assert (OFFSET, LEGS[view.number]) == (view.tick_offset, view.legs)
    assert [(100, OPTION_TICK), (1000, LINEAR_TICK), (100, OPTION_TICK)] == [
        (view.lots_per_unit, view.tick_atoms) for view in (spread, roll, conversion)
    ]
    desk.must("operator", "list expiry_ns=late", f"list_combo legs={CALL}:1/8:-1")
    assert SOON_NS == desk.engine.instruments[9].expiry_ns


def test_legs_that_make_no_combo() -> None:
    """[COMBO-1]: everything that INSTRUMENT_INVALID names, then EXISTS, then the table."""
    desk = open_combos(instruments=9)
    desk.must("operator", "list underlying=eth instrument_kind=perpetual strike_atoms=0 expiry_ns=0")
    refused = (
        "1:1",
        "1:1/3:-2/0:1",
        "3:1/1:-1",
        "1:1/1:-1",
        "1:1/9:-1",
        "-1:1/1:-1",
        "1:1/5:-1",
        "1:1/8:-1",
        "1:1/3:0",
        "1:1/3:17",
        "1:1/3:-17",
        "1:2/2:-4/3:6",
        "1:-1/3:1",
    )
    for legs in refused:
        assert Code.INSTRUMENT_INVALID == desk.say("operator", f"list_combo legs={legs}"), legs
    assert Code.INSTRUMENT_INVALID == desk.say("operator", "list_combo")
    assert Code.INSTRUMENT_EXISTS == desk.say("operator", f"list_combo {write_legs(SPREAD)}")
    assert Code.INSTRUMENT_TABLE_FULL == desk.say("operator", f"list_combo legs={CALL}:1/{HIGH_CALL}:-2")
    assert Code.OPERATOR_UNKNOWN == desk.say("stranger", "list_combo legs=1:1")


def test_a_closed_leg_makes_no_combo() -> None:
    """[COMBO-1]: at its expiry a leg is closed, before the TICK that settles it and after."""
    desk = open_combos()
    desk.must("operator", "list expiry_ns=late", f"list_combo after={30 * 86_400 - 2} legs={CALL}:1/8:-1")
    assert Code.INSTRUMENT_INVALID == desk.say("operator", f"list_combo after=1 legs={CALL}:1/8:-2")
    desk.must("oracle", "tick")
    assert Code.INSTRUMENT_INVALID == desk.say("operator", f"list_combo legs={CALL}:1/8:-2")


def test_the_marks_of_a_combo_are_sums() -> None:
    """[COMBO-3]: mark, rows, Greeks, fee bound; the notional is one lot's, the forward none."""
    desk = open_combos()
    world = desk.engine.world
    for number, legs in LEGS.items():
        record = world.instruments[number]
        for name in ("mark_atoms", "delta_atoms", "vega_atoms"):
            assert sum(ratio * int(world.instruments[leg][name]) for leg, ratio in legs) == record[name]
        for name in ("taker_fee_atoms", "band_atoms"):
            assert sum(abs(ratio) * int(world.instruments[leg][name]) for leg, ratio in legs) == record[name]
        assert sum(ratio * world.rows[leg] for leg, ratio in legs).tolist() == world.rows[number].tolist()
        assert 0 == record["forward_atoms"]
    notionals = [read_instrument_state(desk.engine, number).notional_atoms for number in LEGS]
    assert [800_000_000, 80_000_000, 800_000_000] == notionals
    assert 0 == find_mark(desk, ROLL)
    assert -800_000_000 == find_mark(desk, CONVERSION)


def test_a_combo_of_an_unmarked_leg_has_no_mark() -> None:
    """[COMBO-3]: without a surface for the late series neither it nor its combo is among the MARKED."""
    desk = open_combos()
    desk.must("operator", "list expiry_ns=late", f"list_combo legs={CALL}:1/8:-1")
    desk.must("oracle", "index after=1", "tick")
    assert [(8,)] == pick(desk, EventKind.MARKED, "lots")
    assert NO_MARK_ATOMS == find_mark(desk, 9)
    assert Code.MARK_UNAVAILABLE == desk.say("maker", write_order(9, "buy", 1, 0))
    desk.must("oracle", "surface expiry_ns=late", "tick")
    assert [(10,)] == pick(desk, EventKind.MARKED, "lots")
    assert find_mark(desk, CALL) - find_mark(desk, 8) == find_mark(desk, 9)


def test_a_fill_trades_the_legs_at_their_marks() -> None:
    """[COMBO-6]: FILL, a LEG for each leg, lots at cost of the marks, the rest of the price in cash."""
    desk = open_combos()
    cash = [read_cash(desk, account) for account in (MAKER, TAKER)]
    desk.must("maker", write_order(SPREAD, "sell", 10, 500))
    desk.must("taker", write_order(SPREAD, "buy", 4, 510))
    call, high = find_mark(desk, CALL), find_mark(desk, HIGH_CALL)
    fee = 4 * (compute_fee(desk, CALL, FEE_E6) + compute_fee(desk, HIGH_CALL, FEE_E6))
    maker_fee = 4 * (compute_fee(desk, CALL, MAKER_FEE_E6) + compute_fee(desk, HIGH_CALL, MAKER_FEE_E6))
    names = ("instrument", "side", "price_ticks", "lots", "amount_atoms", "maker_amount_atoms")
    assert [(SPREAD, Side.BUY, OFFSET + 500, 4, fee, maker_fee)] == pick(desk, EventKind.FILL, *names)
    legs = [(CALL, Side.BUY, 0, 4, call, 0), (HIGH_CALL, Side.SELL, 0, 4, high, 0)]
    assert legs == pick(desk, EventKind.LEG, *names)
    parties = ("account", "order_id", "maker_account", "maker_order_id")
    assert [(TAKER, 2, MAKER, 1)] * 2 == pick(desk, EventKind.LEG, *parties)
    paid = 4 * 500 * OPTION_TICK
    assert [cash[0] + paid - maker_fee, cash[1] - paid - fee] == [read_cash(desk, n) for n in (MAKER, TAKER)]
    taken = {row.instrument: (row.lots, row.cost_atoms) for row in read_positions(desk.engine, TAKER)}
    assert {CALL: (4, 4 * call), HIGH_CALL: (-4, -4 * high)} == taken
    assert {CALL: -4, HIGH_CALL: 4} == list_lots(desk, MAKER)
    assert OFFSET + 500 == read_instrument_state(desk.engine, SPREAD).last_ticks
    assert 0 == read_instrument_state(desk.engine, CALL).last_ticks
    assert ([], [(OFFSET + 500, 6, 1)]) == read_book(desk.engine, SPREAD, 5)
    assert (0, 0) == (compute_conservation_gap(desk.engine), compute_lots_gap(desk.engine))


def test_a_combo_may_have_a_negative_price() -> None:
    """[COMBO-2]: the buyer of a conversion at -15_900 ticks is paid; its future is sold without cash, so
    that the mark of the future comes back in cash too.
    """
    desk = open_combos()
    equity, cash = [read_equity(desk, n) for n in (MAKER, TAKER)], read_cash(desk, TAKER)
    desk.must("maker", write_order(CONVERSION, "buy", 3, -15_900))
    desk.must("taker", write_order(CONVERSION, "sell", 2, -16_100))
    fills = pick(desk, EventKind.FILL, "price_ticks", "lots", "amount_atoms", "maker_amount_atoms")
    [(ticks, lots, fee, maker_fee)] = fills
    assert (OFFSET - 15_900, 2) == (ticks, lots)
    assert [(CALL, 2), (PUT, 2), (FUTURE, 20)] == pick(desk, EventKind.LEG, "instrument", "lots")
    assert fee == 2 * sum(abs(ratio) * compute_fee(desk, leg, FEE_E6) for leg, ratio in LEGS[CONVERSION])
    # The buyer is paid 15_900 ticks where the mark says 16_000.
    worth = 2 * 100 * OPTION_TICK
    assert [equity[0] - worth - maker_fee, equity[1] + worth - fee] == [
        read_equity(desk, n) for n in (MAKER, TAKER)
    ]
    assert {CALL: -2, PUT: 2, FUTURE: 20} == list_lots(desk, TAKER)
    options_atoms = 2 * (find_mark(desk, CALL) - find_mark(desk, PUT))
    difference = -15_900 * OPTION_TICK - find_mark(desk, CONVERSION)
    assert cash + options_atoms + 2 * difference - fee == read_cash(desk, TAKER)
    assert (0, 0) == (compute_conservation_gap(desk.engine), compute_lots_gap(desk.engine))


def test_a_fill_closes_positions_in_the_legs() -> None:
    """[COMBO-6] [NOVATE-3]: a roll against a perpetual bought at another price realises its profit, and no
    atom is lost; records that hold nothing are released on both sides.
    """
    desk = open_combos()
    for number, side, other in ((PERPETUAL, "buy", "sell"), (FUTURE, "sell", "buy")):
        desk.must("maker", f"place instrument={number} side={other} lots=7 price_ticks=31_777")
        desk.must("taker", f"place instrument={number} side={side} lots=7 price_ticks=31_777")
    equity = [read_equity(desk, n) for n in (MAKER, TAKER)]
    desk.must("maker", write_order(ROLL, "buy", 7, 3))
    desk.must("taker", write_order(ROLL, "sell", 7, 0))
    [(fee, maker_fee)] = pick(desk, EventKind.FILL, "amount_atoms", "maker_amount_atoms")
    paid = 7 * 3 * LINEAR_TICK
    assert [equity[0] - paid - maker_fee, equity[1] + paid - fee] == [
        read_equity(desk, n) for n in (MAKER, TAKER)
    ]
    assert 0 == count_records(desk)
    assert (0, 0) == (compute_conservation_gap(desk.engine), compute_lots_gap(desk.engine))


def test_tiers_and_rebates_count_leg_by_leg() -> None:
    """[COMBO-6]: a maker of tier 1 gets the futures rebate on both legs of a roll."""
    desk = open_combos()
    desk.must("operator", "set_tier target=0 tier=1")
    desk.must("maker", write_order(ROLL, "buy", 5, 0))
    desk.must("taker", write_order(ROLL, "sell", 5, 0))
    fees = pick(desk, EventKind.FILL, "amount_atoms", "maker_amount_atoms")
    assert [(5 * 2 * 80 * 300, -5 * 2 * 80 * 50)] == fees


def test_an_iceberg_is_renewed_after_its_legs() -> None:
    """[COMBO-6] [MATCH-11]: FILL, its legs, then the next slice."""
    desk = open_combos()
    desk.must("maker", write_order(SPREAD, "sell", 10, 500, "display_lots=2"))
    told = tell(desk, "taker", write_order(SPREAD, "buy", 3, 500))
    words = ["FILL", "LEG", "LEG", "REFRESHED", "FILL", "LEG", "LEG"]
    assert words == [line.split()[0] for line in told]
    command, _ = desk.build("taker", write_order(SPREAD, "buy", 7, 500))
    bound = count_events_max(desk.engine.world, pack(desk.engine, command))
    assert 1 + 4 * 3 + 3 == len(desk.engine.apply([command])) <= bound


def test_self_trade_and_links_in_a_combo() -> None:
    """[MATCH-5] [LINK-1]: a taker that cancels its own maker, and one whose link ends an order in a leg, keep
    the records of their legs until they rest or end.
    """
    desk = open_combos()
    desk.must("taker", write_order(SPREAD, "sell", 1, 500), f"place instrument={CALL} price_ticks=1 link=9")
    desk.must("maker", write_order(SPREAD, "sell", 1, 501))
    told = tell(desk, "taker", write_order(SPREAD, "buy", 2, 501, "flags=cancel_maker link=9"))
    words = ["CANCELLED", "FILL", "LEG", "LEG", "CANCELLED", "REST"]
    assert words == [line.split()[0] for line in told]
    assert {CALL: 1, HIGH_CALL: -1} == list_lots(desk, TAKER)
    desk.must("taker", "cancel")
    assert {CALL: 1, HIGH_CALL: -1} == list_lots(desk, TAKER)


def test_combos_end_before_their_series() -> None:
    """[COMBO-7]: their orders end in ascending id, then they expire, unsettled; what was traded in them is
    settled leg by leg. A combo of two series ends with the first, and its late leg lives on.
    """
    desk = open_combos()
    desk.must("operator", "list expiry_ns=late", f"list_combo legs={CALL}:1/8:-1")
    desk.must("oracle", "surface expiry_ns=late", "tick")
    desk.must("maker", write_order(9, "sell", 2, 0), write_order(SPREAD, "sell", 1, 500))
    desk.must("taker", write_order(9, "buy", 1, 10), write_order(SPREAD, "buy", 1, 499))
    desk.must("oracle", f"index after={WINDOW_AFTER - 1}", "index after=900", "index after=900")
    told = tell(desk, "oracle", "tick")
    ended = [line for line in told if line.startswith("CANCELLED")]
    assert ["CANCELLED 2", "CANCELLED 4", "CANCELLED 1"] == [line.split(":")[0] for line in ended]
    assert all(line.endswith("INSTRUMENT_EXPIRED") for line in ended)
    expired = pick(desk, EventKind.EXPIRED, "instrument", "amount_atoms")
    assert [(SPREAD, 0), (ROLL, 0), (CONVERSION, 0), (9, 0)] == expired[:4]
    assert [CALL, PUT, HIGH_CALL, FUTURE] == [number for number, _ in expired[4:]]
    for number in (*LEGS, 9):
        state = read_instrument_state(desk.engine, number)
        assert (InstrumentState.EXPIRED, NO_MARK_ATOMS, 0) == (*state[:2], state.settlement_atoms)
    assert {8: -1} == list_lots(desk, TAKER)
    assert Code.INSTRUMENT_CLOSED == desk.say("taker", write_order(9, "buy", 1, 0))


def test_a_combo_closes_at_its_expiry() -> None:
    """[MATCH-1]: to the nanosecond, before the TICK that ends it."""
    desk = open_combos()
    assert Code.SIZE_NOT_POSITIVE == desk.say("maker", f"place instrument={SPREAD} after=2_591_998 lots=0")
    assert Code.INSTRUMENT_CLOSED == desk.say("maker", f"place instrument={SPREAD} after=1 lots=0")


def test_the_leaf_of_a_combo_ends_with_its_legs() -> None:
    """[COMBO-8] [STATE-4]: the root over instruments is that of leaves hashed one by one."""
    desk = open_combos()
    commitment = StateCommitment(desk.engine)
    found = commitment.compute(commitment.collect()).marks
    tree = SparseTree(7)
    for view in desk.engine.instruments:
        record = desk.engine.world.instruments[view.number]
        elements = [int(record[name]) for name in INSTRUMENT_FIELDS]
        elements += [part for leg in LEGS.get(view.number, ()) for part in leg]
        tree.update_many([view.number], [hash_elements(4, elements)])
    assert tree.root.to_bytes(32, "big") == found


def test_a_snapshot_keeps_the_legs(tmp_path: Path) -> None:
    """An engine filled from a snapshot has the same combos, names and state, and goes on alike."""
    desk = open_combos()
    desk.must("maker", write_order(SPREAD, "sell", 10, 500), write_order(CONVERSION, "buy", 1, -16_000))
    path = write_snapshot(tmp_path, desk.engine, Position(desk.engine.sequence, bytes(32)), bytes(32))
    other = Engine(desk.engine.genesis)
    load_snapshot(path, other)
    assert desk.engine.instruments == other.instruments
    command, _ = desk.build("taker", write_order(SPREAD, "buy", 4, 510))
    assert desk.engine.apply([command]).tobytes() == other.apply([command]).tobytes()
    assert hash_state(desk.engine) == hash_state(other)


def test_a_venue_without_combos_is_as_before() -> None:
    """The offset of ordinary instruments is nothing, and they have no legs."""
    desk = open_venue()
    assert [(0, ())] * 2 == [(view.tick_offset, view.legs) for view in desk.engine.instruments]
