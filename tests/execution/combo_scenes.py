"""A venue with four instruments of one series, a perpetual, and combos of them, all marked.

At the money thirty days before expiry call and put have the same mark, and a lot of an option is ten of a
future: the conversion, which buys the call and sells the put and the future, is worth minus a forward.
"""

from novate.execution.views import read_account
from novate.protocol.generated.codes import EventKind
from novate.protocol.generated.constants import COMBO_TICK_OFFSET
from tests.execution.scenes import open_venue
from tests.law.desk import Desk

PERPETUAL, CALL, PUT, HIGH_CALL, FUTURE = range(5)
SPREAD, ROLL, CONVERSION = 5, 6, 7
LEGS = {
    SPREAD: ((CALL, 1), (HIGH_CALL, -1)),
    ROLL: ((PERPETUAL, 1), (FUTURE, -1)),
    CONVERSION: ((CALL, 1), (PUT, -1), (FUTURE, -10)),
}
OFFSET = COMBO_TICK_OFFSET
OPTION_TICK, LINEAR_TICK = 50_000, 2_500


def write_legs(number: int) -> str:
    """The legs of a combo as a line names them."""
    return "legs=" + "/".join(f"{leg}:{ratio}" for leg, ratio in LEGS[number])


def open_combos(parameters: dict[str, int] | None = None, **limits: int) -> Desk:
    """The venue, a TICK after the combos were listed."""
    desk = open_venue(parameters, **({"instruments": 12} | limits))
    desk.must("operator", "list instrument_kind=put", "list strike_atoms=90_000*usdc")
    desk.must("operator", "list instrument_kind=future strike_atoms=0")
    desk.must("operator", *(f"list_combo {write_legs(number)}" for number in LEGS))
    desk.must("oracle", "index after=1", "tick")
    return desk


def find_mark(desk: Desk, number: int) -> int:
    """The mark of a lot."""
    return int(desk.engine.world.instruments["mark_atoms"][number])


def read_equity(desk: Desk, account: int) -> int:
    return read_account(desk.engine, account).equity_atoms


def read_initial(desk: Desk, account: int) -> int:
    return read_account(desk.engine, account).initial_margin_atoms


def write_order(number: int, side: str, lots: int, net_ticks: int, more: str = "") -> str:
    """A line that places an order in a combo at a net price."""
    return f"place instrument={number} side={side} lots={lots} price_ticks={OFFSET + net_ticks} {more}"


def pick(desk: Desk, kind: EventKind, *names: str) -> list[tuple[int, ...]]:
    """Some fields of each event of a kind."""
    return [tuple(event[name] for name in names) for event in desk.events if event["kind"] == kind]


def count_records(desk: Desk) -> int:
    """How many position records exist."""
    return int((desk.engine.world.positions["account"] != -1).sum())
