"""The genesis file: who may speak, which underlyings exist, every limit and every margin parameter.

Its bytes are canonical JSON, and their Keccak-256 is what the command log and the settlement contract begin
with, so a venue cannot change a parameter without becoming another venue. Implements [GENESIS-1] and
[UNIT-6].
"""

import json
from typing import Any, NamedTuple

import numpy as np

from novate.protocol.frame import keccak256
from novate.protocol.generated import constants

PARAMETER_NAMES = (
    "observation_skew_ns",
    "observation_age_ns_max",
    "index_age_ns_max",
    "futures_initial_e6",
    "futures_maintenance_e6",
    "short_initial_e6",
    "short_maintenance_e6",
    "basis_shift_e6",
    "confidence_threshold_e6",
    "confidence_rate_e6",
    "option_band_e6",
    "futures_band_e6",
    "option_fee_cap_e6",
    "insurance_share_e6",
    "funding_cap_e9",
    "funding_deadband_e9",
    "warning_e6",
    "liquidation_fee_e6",
    "slice_tick_count",
    "auction_tick_count",
    "auction_step_e6",
)
FEE_NAMES = ("option_taker_e6", "option_maker_e6", "futures_taker_e6", "futures_maker_e6")
FEE_TIERS_MAX = 8
FEE_E6_MAX = 100_000
BAND_E6_MAX = 10**9
FUNDING_CAP_E9_MAX = 50_000_000
WARNING_E6_MAX = 2 * 10**6
TICK_COUNT_MAX = 10**6
LIMIT_NAMES = ("accounts", "orders", "positions", "instruments", "series", "triggers")
UNDERLYING_NAMES = (
    "index_atoms_max",
    "option_lots_per_unit",
    "option_tick_atoms",
    "perpetual_lots_per_unit",
    "perpetual_tick_atoms",
    "funding_impact_lots",
    "slice_notional_atoms",
)
DOCUMENT_NAMES = (
    "version",
    "chain_id",
    "settlement",
    "operator",
    "oracles",
    "quorum",
    "underlyings",
    "limits",
    "parameters",
    "fee_tiers",
)
LIMIT_MAX = {
    "accounts": 1 << 20,
    "orders": 1 << 20,
    "positions": 1 << 22,
    "instruments": 1 << 14,
    "series": 1 << 10,
    "triggers": 1 << 20,
}
PARAMETERS = np.dtype([(name, np.int64) for name in PARAMETER_NAMES])
FEE_TIER = np.dtype([(name, np.int64) for name in FEE_NAMES])


class GenesisError(ValueError):
    """The genesis file is not one this law accepts; the message names the field and what was expected."""


class Underlying(NamedTuple):
    """One underlying: its name and the figures of [UNIT-6] and [FUND-1]."""

    name: str
    index_atoms_max: int
    option_lots_per_unit: int
    option_tick_atoms: int
    perpetual_lots_per_unit: int
    perpetual_tick_atoms: int
    funding_impact_lots: int
    slice_notional_atoms: int


class Genesis(NamedTuple):
    """The parsed file. Addresses are 20 bytes; `hash` is the Keccak-256 of the canonical bytes."""

    raw: bytes
    hash: bytes
    chain_id: int
    settlement: bytes
    operator: bytes
    oracles: tuple[bytes, ...]
    quorum: int
    underlyings: tuple[Underlying, ...]
    limits: dict[str, int]
    parameters: dict[str, int]
    fee_tiers: tuple[dict[str, int], ...]

    def pack_parameters(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Return the parameters as an array of one PARAMETERS record."""
        return np.array([tuple(self.parameters[name] for name in PARAMETER_NAMES)], PARAMETERS)

    def pack_fee_tiers(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Return the fee tiers as FEE_TIER records, tier 0 first."""
        return np.array([tuple(tier[name] for name in FEE_NAMES) for tier in self.fee_tiers], FEE_TIER)


def encode_genesis(document: dict[str, Any]) -> bytes:
    """Return the canonical bytes of a genesis document."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def parse_genesis(raw: bytes) -> Genesis:
    """Return the genesis of canonical bytes, or raise GenesisError.

    Errors     not JSON, not canonical, a missing or unknown field, a value outside its range.
    """
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise GenesisError(f"the genesis file must be JSON: {error}") from error
    if not isinstance(document, dict) or encode_genesis(document) != raw:
        raise GenesisError("the genesis file must be canonical JSON: sorted keys, no spaces, ASCII")
    try:
        return read_document(raw, document)
    except (KeyError, TypeError, AttributeError) as error:
        raise GenesisError(f"the genesis file lacks or misshapes a field: {error}") from error


def read_document(raw: bytes, document: dict[str, Any]) -> Genesis:
    """Check every range of [GENESIS-1] and return the parsed file."""
    require_names(document, DOCUMENT_NAMES, "the genesis file")
    require_names(document["limits"], LIMIT_NAMES, "limits")
    require_names(document["parameters"], PARAMETER_NAMES, "parameters")
    require(document["version"] == constants.SCHEMA_VERSION, f"version must be {constants.SCHEMA_VERSION}")
    oracles = tuple(read_address(text, "oracles") for text in document["oracles"])
    quorum = read_integer(document["quorum"], "quorum", 1, max(len(oracles), 1))
    require(1 <= len(oracles) <= constants.ORACLE_COUNT_MAX, "oracles must number 1 to 8")
    require(len(set(oracles)) == len(oracles), "oracles must be distinct")
    underlyings = tuple(read_underlying(row) for row in document["underlyings"])
    require(1 <= len(underlyings) <= constants.UNDERLYING_COUNT_MAX, "underlyings must number 1 to 8")
    require(len({u.name for u in underlyings}) == len(underlyings), "underlyings must have distinct names")
    limits = {name: read_integer(document["limits"][name], name, 1, LIMIT_MAX[name]) for name in LIMIT_NAMES}
    parameters = {
        name: read_integer(document["parameters"][name], name, 0, 1 << 50) for name in PARAMETER_NAMES
    }
    check_parameters(parameters)
    return Genesis(
        raw,
        keccak256(raw),
        read_integer(document["chain_id"], "chain_id", 1, 1 << 53),
        read_address(document["settlement"], "settlement"),
        read_address(document["operator"], "operator"),
        oracles,
        quorum,
        underlyings,
        limits,
        parameters,
        read_fee_tiers(document["fee_tiers"]),
    )


def check_parameters(parameters: dict[str, int]) -> None:
    """Check the ranges of the margin, band and funding parameters. [GENESIS-1]"""
    for name in PARAMETER_NAMES:
        if name.endswith("_e6"):
            bound = BAND_E6_MAX if name.endswith("_band_e6") else constants.E6
            bound = WARNING_E6_MAX if name == "warning_e6" else bound
            require(parameters[name] <= bound, f"{name} must not exceed {bound}")
    require(1 <= parameters["basis_shift_e6"] < constants.E6, "basis_shift_e6 must be between 0 and 1000000")
    for name in ("option_band_e6", "futures_band_e6"):
        require(parameters[name] >= 1, f"{name} must be at least 1")
    cap = parameters["funding_cap_e9"]
    require(cap <= FUNDING_CAP_E9_MAX, f"funding_cap_e9 must not exceed {FUNDING_CAP_E9_MAX}")
    require(parameters["funding_deadband_e9"] <= cap, "funding_deadband_e9 must not exceed the cap")
    check_liquidation(parameters)


def check_liquidation(parameters: dict[str, int]) -> None:
    """Check the ranges of the liquidation parameters. [GENESIS-1]"""
    require(parameters["warning_e6"] >= constants.E6, "warning_e6 must be at least 1000000")
    require(
        parameters["liquidation_fee_e6"] <= FEE_E6_MAX, f"liquidation_fee_e6 must not exceed {FEE_E6_MAX}"
    )
    require(parameters["auction_step_e6"] >= 1, "auction_step_e6 must be at least 1")
    for name in ("slice_tick_count", "auction_tick_count"):
        require(1 <= parameters[name] <= TICK_COUNT_MAX, f"{name} must be from 1 to {TICK_COUNT_MAX}")
    for kind in ("futures", "short"):
        held, initial = parameters[f"{kind}_maintenance_e6"], parameters[f"{kind}_initial_e6"]
        require(held <= initial, f"{kind}_maintenance_e6 must not exceed {kind}_initial_e6")


def read_fee_tiers(rows: Any) -> tuple[dict[str, int], ...]:
    """Check the fee tiers: nobody pays more than tier 0's taker, no rebate exceeds the least taker fee."""
    require(isinstance(rows, list) and 1 <= len(rows) <= FEE_TIERS_MAX, "fee_tiers must number 1 to 8")
    for row in rows:
        require_names(row, FEE_NAMES, "a fee tier")
        for name in FEE_NAMES:
            read_integer(row[name], name, -FEE_E6_MAX if "maker" in name else 0, FEE_E6_MAX)
    for kind in ("option", "futures"):
        takers = [row[f"{kind}_taker_e6"] for row in rows]
        require(max(takers) == takers[0], f"tier 0 must have the highest {kind}_taker_e6")
        for row in rows:
            maker = row[f"{kind}_maker_e6"]
            require(maker <= row[f"{kind}_taker_e6"], f"{kind}_maker_e6 must not exceed its tier's taker fee")
            require(-maker <= min(takers), f"a {kind} rebate must not exceed the least taker fee")
    return tuple(dict(row) for row in rows)


def read_underlying(row: dict[str, Any]) -> Underlying:
    """Check one underlying against the bit budget of [UNIT-5]."""
    require_names(row, ("name", *UNDERLYING_NAMES), "an underlying")
    name = row["name"]
    named = isinstance(name, str) and name.isalnum() and name.isascii() and name.isupper() and len(name) <= 8
    require(named, f"an underlying's name must be 1 to 8 capital letters or digits, found {name!r}")
    figures = [read_integer(row[key], key, 1, constants.INDEX_ATOMS_MAX - 1) for key in UNDERLYING_NAMES]
    underlying = Underlying(name, *figures)
    require(
        underlying.funding_impact_lots <= constants.GROSS_LOTS_MAX,
        f"{name}: funding_impact_lots must not exceed {constants.GROSS_LOTS_MAX}",
    )
    for lots_per_unit in (underlying.option_lots_per_unit, underlying.perpetual_lots_per_unit):
        bound = lots_per_unit * constants.LOT_VALUE_ATOMS_MAX
        require(underlying.index_atoms_max <= bound, f"{name}: a lot must be worth at most 2**34 atoms")
    for tick_atoms in (underlying.option_tick_atoms, underlying.perpetual_tick_atoms):
        bound = constants.LOT_VALUE_ATOMS_MAX * 2
        require(
            tick_atoms * constants.PRICE_TICKS_MAX <= bound,
            f"{name}: the last tick must be at most 2**35 atoms",
        )
    return underlying


def read_integer(value: Any, name: str, low: int, high: int) -> int:
    """Return an integer in [low, high]; a bool is not an integer here."""
    if type(value) is not int or not low <= value <= high:
        raise GenesisError(f"{name} must be an integer from {low} to {high}, found {value!r}")
    return value


def read_address(text: Any, name: str) -> bytes:
    """Return the 20 bytes of a lower-case 0x address that is not zero."""
    if isinstance(text, str) and len(text) == 42 and text.startswith("0x") and text == text.lower():
        try:
            address = bytes.fromhex(text[2:])
        except ValueError as error:
            raise GenesisError(f"{name} must be hexadecimal, found {text!r}") from error
        if any(address):
            return address
    raise GenesisError(f"{name} must be a non-zero lower-case 0x address, found {text!r}")


def require_names(section: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    """Raise GenesisError unless a section has exactly these fields."""
    unknown = sorted(set(section) - set(names))
    require(not unknown, f"{where} holds unknown fields: {', '.join(unknown)}")
    missing = sorted(set(names) - set(section))
    require(not missing, f"{where} lacks the fields: {', '.join(missing)}")


def require(condition: bool, message: str) -> None:
    """Raise GenesisError unless the condition holds."""
    if not condition:
        raise GenesisError(message)
