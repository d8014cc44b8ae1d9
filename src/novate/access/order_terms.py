"""From an order in Deribit's words to the fields that are signed.

The server and the Python client read with these functions, each for itself, so they mean the same: a client
signs what it has read here, and the server compares its own reading with the signature.
"""

from typing import Any

from novate.access.errors import refuse_parameter
from novate.access.parameters import PlaceParameters
from novate.access.quantities import (
    Grid,
    Number,
    read_lots,
    read_step,
    read_ticks,
    read_unsigned,
    read_volatility_bp,
)
from novate.protocol.frame import keccak256
from novate.protocol.generated.codes import (
    CommandKind,
    OrderFlag,
    Side,
    TimeInForce,
    TriggerCondition,
    TriggerReference,
)
from novate.protocol.generated.constants import E6, NS_PER_MS

LABEL_LENGTH_MAX = 64
LABEL_BYTES = 8
LIMIT, MARKET, STOP, TAKE, TRAILING = "limit", "market", "stop", "take", "trailing_stop"
PLAIN_TYPES = (LIMIT, MARKET)
TRIGGER_TYPES = ("stop_limit", "stop_market", "take_limit", "take_market", TRAILING)
GOOD_TIL_DATE = "good_til_date"
TIME_IN_FORCE = {
    "good_til_cancelled": TimeInForce.GTC,
    GOOD_TIL_DATE: TimeInForce.GTC,
    "immediate_or_cancel": TimeInForce.IOC,
    "fill_or_kill": TimeInForce.FOK,
}
SELF_TRADING_FLAGS = {
    "": 0,
    "reject_taker": 0,
    "cancel_maker": OrderFlag.CANCEL_MAKER,
    "cancel_both": OrderFlag.CANCEL_BOTH,
}
REFERENCES = {
    "index_price": TriggerReference.INDEX,
    "mark_price": TriggerReference.MARK,
    "last_price": TriggerReference.LAST,
}
IMPLIED_VOLATILITY = "implv"
ONE_CANCELS_OTHER = "one_cancels_other"
ONE_TRIGGERS_OTHER = "one_triggers_other"
ONE_TRIGGERS_ONE_CANCELS_OTHER = "one_triggers_one_cancels_other"
# By whether an order has a parent, and whether it has a link. [LINK-1], [LINK-2]
LINKED_ORDER_TYPES = {
    (False, False): "",
    (False, True): ONE_CANCELS_OTHER,
    (True, False): ONE_TRIGGERS_OTHER,
    (True, True): ONE_TRIGGERS_ONE_CANCELS_OTHER,
}
# What the law does: the first fill of one order cancels the other, and only a complete fill triggers one.
FILL_CONDITIONS = {
    ONE_CANCELS_OTHER: "first_hit",
    ONE_TRIGGERS_OTHER: "complete_fill",
    ONE_TRIGGERS_ONE_CANCELS_OTHER: "complete_fill",
}


def hash_label(label: str) -> int:
    """Return the number that is signed for a label: 63 bits of its Keccak-256, 0 for the empty label.

    The first 8 bytes as a big-endian integer, shifted right by one, so that it fits a signed field.
    """
    if len(label) > LABEL_LENGTH_MAX:
        raise refuse_parameter("label", f"at most {LABEL_LENGTH_MAX} characters")
    if not label:
        return 0
    try:
        encoded = label.encode()
    except UnicodeEncodeError as error:
        raise refuse_parameter("label", "text that UTF-8 can hold") from error
    return int.from_bytes(keccak256(encoded)[:LABEL_BYTES], "big") >> 1


def is_market_type(given: PlaceParameters) -> bool:
    """Whether the order has no limit of its own; a trailing stop has one if it names a price."""
    if given.type == TRAILING:
        return given.price is None
    return given.type.endswith(MARKET)


def read_price(given: PlaceParameters, instrument: Grid) -> int:
    """Return the signed price: ticks, basis points of volatility, or 0 for a market order."""
    if is_market_type(given):
        if given.price is not None:
            raise refuse_parameter("price", f"absent from a {given.type} order", given.price)
        return 0
    if given.price is None:
        raise refuse_parameter("price", f"given for a {given.type} order")
    return read_limit(given.price, given.advanced, instrument)


def read_limit(price: Number, advanced: str, instrument: Grid) -> int:
    """Return ticks, or basis points of volatility if the order is priced in `implv`."""
    return read_volatility_bp(price) if advanced == IMPLIED_VOLATILITY else read_ticks(price, instrument)


def read_time_in_force(given: PlaceParameters) -> TimeInForce:
    """Return the signed time in force; a market order is immediate unless it is fill_or_kill."""
    text = given.time_in_force or ("immediate_or_cancel" if is_market_type(given) else "good_til_cancelled")
    if text not in TIME_IN_FORCE:
        raise refuse_parameter("time_in_force", f"one of {list(TIME_IN_FORCE)}", text)
    if text == GOOD_TIL_DATE and not given.valid_until:
        raise refuse_parameter("valid_until", "given for a good_til_date order")
    time_in_force = TIME_IN_FORCE[text]
    if not given.post_only:
        return time_in_force
    if time_in_force != TimeInForce.GTC:
        raise refuse_parameter("post_only", f"false with {text}")
    return TimeInForce.POST_ONLY


def read_flags(given: PlaceParameters) -> int:
    """Return the signed options of an order. [ORDER-1]"""
    if given.self_trading_mode not in SELF_TRADING_FLAGS:
        modes = [mode for mode in SELF_TRADING_FLAGS if mode]
        raise refuse_parameter("self_trading_mode", f"one of {modes}", given.self_trading_mode)
    if given.advanced not in ("", IMPLIED_VOLATILITY):
        raise refuse_parameter("advanced", f"{IMPLIED_VOLATILITY} or absent", given.advanced)
    flags = int(SELF_TRADING_FLAGS[given.self_trading_mode])
    flags |= OrderFlag.MARKET if is_market_type(given) else 0
    flags |= OrderFlag.REDUCE_ONLY if given.reduce_only else 0
    return flags | (OrderFlag.VOLATILITY if given.advanced else 0)


def read_display(given: PlaceParameters, lots: int, instrument: Grid) -> int:
    """Return the lots that an iceberg shows, 0 if it shows all. [ORDER-4]"""
    if given.display_amount is not None and given.max_show is not None:
        raise refuse_parameter("max_show", "absent beside display_amount, which means the same")
    shown = given.max_show if given.display_amount is None else given.display_amount
    if shown is None:
        return 0
    display = read_lots(shown, instrument, "display_amount")
    if display == 0:
        raise refuse_parameter("display_amount", "above 0: no order is hidden completely")
    return 0 if display == lots else display


def read_trigger_value(given: Number, name: str, reference: TriggerReference, instrument: Grid) -> int:
    """Return a trigger or trail in atoms: per 1.0 for the index, else per lot. [TRIG-2]"""
    lots = 1 if reference == TriggerReference.INDEX else instrument.lots_per_unit
    return read_step(given, name, E6, lots)


def read_trigger(given: PlaceParameters, side: Side, instrument: Grid) -> dict[str, int]:
    """Return the fields of an order that waits for a price, and maybe for a parent first. [TRIG-1]"""
    if given.trigger not in REFERENCES:
        raise refuse_parameter("trigger", f"one of {list(REFERENCES)}", given.trigger)
    reference = REFERENCES[given.trigger]
    wanted, other = "trigger_price", "trigger_offset"
    if given.type == TRAILING:
        wanted, other = other, wanted
    value = getattr(given, wanted)
    if value is None:
        raise refuse_parameter(wanted, f"given for a {given.type} order")
    if getattr(given, other) is not None:
        raise refuse_parameter(other, f"absent from a {given.type} order")
    atoms = read_trigger_value(value, wanted, reference, instrument)
    # A stop buys above and sells below; a take does the opposite.
    is_above = (side == Side.BUY) != given.type.startswith(TAKE)
    return {
        "reference": reference,
        "condition": TriggerCondition.ABOVE if is_above else TriggerCondition.BELOW,
        "trigger_atoms": 0 if given.type == TRAILING else atoms,
        "trail_atoms": atoms if given.type == TRAILING else 0,
    }


def read_waiting(given: PlaceParameters, side: Side, instrument: Grid) -> dict[str, int]:
    """Return the fields that make an order wait, empty if it does not."""
    parent_id = read_unsigned(given.parent_order_id, "parent_order_id")
    if given.type in TRIGGER_TYPES:
        return read_trigger(given, side, instrument) | {"parent_id": parent_id}
    for name in ("trigger", "trigger_price", "trigger_offset"):
        if getattr(given, name):
            raise refuse_parameter(name, f"absent from a {given.type} order")
    if not parent_id:
        return {}
    return {
        "reference": TriggerReference.NONE,
        "condition": TriggerCondition.ABOVE,
        "trigger_atoms": 0,
        "trail_atoms": 0,
        "parent_id": parent_id,
    }


def read_order(given: PlaceParameters, side: Side, instrument: Grid) -> tuple[CommandKind, dict[str, Any]]:
    """Return the kind of command that an order is, and its fields but for instrument, nonce and expiry.

    Errors     ApiError naming the parameter that is wrong or does not fit the others; what only the law can
               judge is left to it.
    """
    if given.type not in PLAIN_TYPES + TRIGGER_TYPES:
        raise refuse_parameter("type", f"one of {[*PLAIN_TYPES, *TRIGGER_TYPES]}", given.type)
    if given.mmp:
        raise refuse_parameter("mmp", "false: protected quotes go through private/mass_quote")
    check_linked(given)
    lots = read_lots(given.amount, instrument)
    fields: dict[str, Any] = {
        "side": side,
        "time_in_force": read_time_in_force(given),
        "lots": lots,
        "price_ticks": read_price(given, instrument),
        "flags": read_flags(given),
        "display_lots": read_display(given, lots, instrument),
        "valid_until_ns": read_valid_until(given),
        "label": hash_label(given.label),
        "link": read_unsigned(given.link, "link"),
    }
    waiting = read_waiting(given, side, instrument)
    return (CommandKind.PLACE_TRIGGER if waiting else CommandKind.PLACE), fields | waiting


def check_linked(given: PlaceParameters) -> None:
    """Refuse words about linked orders that say something else than `link` and `parent_order_id` do.

    Those two are what is signed; each order of a pair is placed, and signed, by itself.
    """
    if given.otoco_config:
        message = "absent: each order is signed by itself; place the others with parent_order_id and link"
        raise refuse_parameter("otoco_config", message)
    has_parent = read_unsigned(given.parent_order_id, "parent_order_id") > 0
    linked = LINKED_ORDER_TYPES[has_parent, read_unsigned(given.link, "link") > 0]
    if given.linked_order_type not in ("", linked):
        expected = f"{linked or 'absent'}, for that is what parent_order_id and link make of the order"
        raise refuse_parameter("linked_order_type", expected, given.linked_order_type)
    condition = FILL_CONDITIONS.get(linked, "")
    if given.trigger_fill_condition not in ("", condition):
        expected = f"{condition or 'absent'} for this order"
        raise refuse_parameter("trigger_fill_condition", expected, given.trigger_fill_condition)


def read_valid_until(given: PlaceParameters) -> int:
    """Return the end of a good-til-date order in nanoseconds, 0 if it has none."""
    time_ms = given.valid_until or 0
    if time_ms * NS_PER_MS >= 1 << 63:
        raise refuse_parameter("valid_until", "a time in milliseconds before the year 2262", time_ms)
    return time_ms * NS_PER_MS
