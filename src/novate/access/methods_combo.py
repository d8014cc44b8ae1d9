"""Combos: listed packages of legs with a book of their own. Law: COMBO-1 to COMBO-8."""

from typing import Any

from novate.access.combo_terms import NamedGrid, list_ratios, read_package
from novate.access.errors import ApiError, refuse_parameter
from novate.access.parameters_desk import ComboParameters, CombosParameters, CreateComboParameters
from novate.access.venue import Caller, Venue
from novate.access.writes import show_receipt
from novate.execution.engine import InstrumentView
from novate.protocol.generated.codes import EXPECTED, AccessCode, Code, InstrumentKind
from novate.protocol.generated.constants import NS_PER_MS
from novate.protocol.instrument import format_combo_name

ACTIVE, INACTIVE = "active", "inactive"


def name_state(venue: Venue, combo: InstrumentView) -> str:
    """Return active, or inactive once a leg has expired."""
    return ACTIVE if venue.market.is_open(combo) else INACTIVE


def list_combos(venue: Venue, given: CombosParameters) -> list[InstrumentView]:
    """Return the combos of a currency (base or USDC) and a state."""
    if given.state not in (ACTIVE, INACTIVE, "any"):
        raise refuse_parameter("state", f"{ACTIVE} or {INACTIVE}", given.state)
    wanted = given.currency.upper()
    return [
        instrument
        for instrument in venue.engine.instruments
        if instrument.kind == InstrumentKind.COMBO
        and wanted in ("ANY", "USDC", venue.market.name_underlying(instrument))
        and given.state in ("any", name_state(venue, instrument))
    ]


def describe_combo(venue: Venue, combo: InstrumentView) -> dict[str, Any]:
    """Return a combo. The amount of a leg is that of 1.0 of the combo, negative if its buyer sells it."""
    legs = []
    for number, ratio in combo.legs:
        leg = venue.engine.instruments[number]
        amount = ratio * combo.lots_per_unit / leg.lots_per_unit
        legs.append({"instrument_name": leg.name, "amount": int(amount) if amount.is_integer() else amount})
    stamp = venue.market.listed_ns.get(combo.number, 0) // NS_PER_MS
    state = name_state(venue, combo)
    return {
        "id": combo.name,
        "instrument_id": combo.number,
        "state": state,
        "state_timestamp": stamp if state == ACTIVE else combo.expiry_ns // NS_PER_MS,
        "creation_timestamp": stamp,
        "legs": legs,
    }


def get_combos(venue: Venue, caller: Caller, given: CombosParameters) -> list[dict[str, Any]]:
    """Return the combos of a currency."""
    return [describe_combo(venue, combo) for combo in list_combos(venue, given)]


def get_combo_ids(venue: Venue, caller: Caller, given: CombosParameters) -> list[str]:
    """Return the names of the combos of a currency."""
    return [combo.name for combo in list_combos(venue, given)]


def find_combo(venue: Venue, name: str) -> InstrumentView:
    """Return a combo by its name, or raise INSTRUMENT_NOT_FOUND."""
    combo = venue.find_instrument(name)
    if combo.kind != InstrumentKind.COMBO:
        message = f"{combo.name} is not a combo; public/get_combo_ids lists them"
        raise ApiError(Code.INSTRUMENT_NOT_FOUND, message, combo_id=combo.name)
    return combo


def get_combo_details(venue: Venue, caller: Caller, given: ComboParameters) -> dict[str, Any]:
    """Return one combo."""
    return describe_combo(venue, find_combo(venue, given.combo_id))


async def create_combo(venue: Venue, caller: Caller, given: CreateComboParameters) -> dict[str, Any]:
    """Return the combo of some legs, listed now if it was not. It is turned so that its first leg is bought;
    who wants the other side sells it.
    """
    account = venue.require_account(caller)

    def find(name: str) -> NamedGrid:
        return venue.find_instrument(name)

    package = read_package(given.trades, find)
    ratios = list_ratios(package)
    name = name_combo(venue, ratios)
    if venue.engine.find_instrument(name) >= 0:
        return describe_combo(venue, venue.find_instrument(name))
    if venue.lister is None:
        raise ApiError(AccessCode.NOT_SUPPORTED, "this venue's operator lists combos by other means")
    outcome = await venue.lister.list_combo(
        venue.engine, venue.sequencer, venue.clock_ns, venue.domain, account, ratios
    )
    if outcome.code not in (Code.OK, Code.INSTRUMENT_EXISTS):
        raise ApiError(Code(outcome.code), EXPECTED[outcome.code], receipt=show_receipt(outcome))
    return describe_combo(venue, venue.find_instrument(name))


def name_combo(venue: Venue, ratios: tuple[tuple[int, int], ...]) -> str:
    """Return the name of a combo; INSTRUMENT_INVALID if its legs have not one underlying."""
    try:
        return format_combo_name([(ratio, venue.engine.name_instrument(leg)) for leg, ratio in ratios])
    except ValueError as error:
        raise ApiError(Code.INSTRUMENT_INVALID, str(error)) from error
