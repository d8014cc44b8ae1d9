"""The random venue's genesis file, its clock and the commands it can build.

Profiles: `main` has room for everything and bands as a venue would set them; `crowd` has room and bands so
wide that they never matter, but soon has an account with all the open and waiting orders it may have; `tiny`
runs out of accounts, orders, positions, waiting orders, instruments and series; in `crash` prices jump and
thin accounts are liquidated all the time; in `desk` accounts with sub-accounts let keys with tight limits
sign, and trade combos and blocks.
"""

from __future__ import annotations

import random
from typing import Any

from .keys import SCOPE_BY_KIND
from .model import Event, Model
from .records import CALL, COMMAND_FIELDS, LIMITS, OPEN, PERPETUAL, PUT, SCALES, SCHEMA, Account, Instrument

Command = dict[str, Any]
SECOND = SCALES["NS_PER_S"]
MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
BEGIN_NS = 1_772_323_200 * SECOND + 123_456_789
INT64_MAX, INT64_MIN = 2**63 - 1, -(2**63)
OPERATOR = "0x" + "0e" * 20
STRANGER = "0x" + "5a" * 20
WHALE = "0x" + "7a" * 20
START_ATOMS = (80_000_000_000, 2_500_000_000)

OPTIONAL = frozenset(SCHEMA["optional"]["fields"])
PROFILES = ("main", "crowd", "tiny", "crash", "desk")
ROOMY = {
    "accounts": 20,
    "orders": 6000,
    "positions": 2000,
    "instruments": 4096,
    "series": 1024,
    "triggers": 1000,
}
LIMITS_BY_PROFILE = {
    "main": ROOMY,
    "crowd": ROOMY,
    "crash": ROOMY | {"orders": 800, "positions": 200},
    "desk": ROOMY | {"accounts": 32, "positions": 900},
    "tiny": {"accounts": 5, "orders": 70, "positions": 58, "instruments": 17, "series": 6, "triggers": 9},
}
ORACLES_BY_PROFILE = {"main": (3, 2), "crowd": (4, 2), "tiny": (5, 3), "crash": (3, 2), "desk": (3, 2)}
PARAMETERS = {
    "observation_skew_ns": 2 * SECOND,
    "observation_age_ns_max": 30 * SECOND,
    "index_age_ns_max": 60 * SECOND,
    "futures_initial_e6": 20_000,
    "futures_maintenance_e6": 10_000,
    "short_initial_e6": 30_000,
    "short_maintenance_e6": 15_000,
    "basis_shift_e6": 10_000,
    "confidence_threshold_e6": 950_000,
    "confidence_rate_e6": 50_000,
    "option_fee_cap_e6": 125_000,
    "insurance_share_e6": 250_000,
    "funding_cap_e9": 5_000_000,
    "funding_deadband_e9": 100_000,
    "warning_e6": 1_200_000,
    "liquidation_fee_e6": 5_000,
    "slice_tick_count": 5,
    "auction_tick_count": 10,
    "auction_step_e6": 50_000,
}
BANDS_BY_PROFILE = {
    "main": (60_000, 30_000),
    "crowd": (10**9, 10**9),
    "tiny": (250_000, 100_000),
    "crash": (100_000, 40_000),
    "desk": (80_000, 40_000),
}
KEYED_PERCENT = {"main": 25, "crowd": 25, "tiny": 25, "crash": 25, "desk": 65}
HASTE = {"slice_tick_count": 3, "auction_tick_count": 4, "auction_step_e6": 60_000}
TIERS = (
    (300, 100, 500, 200),
    (250, 0, 400, -100),
    (200, -200, 300, -300),
)


def genesis(profile: str) -> dict[str, Any]:
    """A genesis file ([GENESIS-1]) of the profile."""
    oracles, quorum = ORACLES_BY_PROFILE[profile]
    units = (
        ("BTC", 1_000_000_000_000, 100, 50_000, 1000, 2_500, 40, 40_000_000_000),
        ("ETH", 150_000_000_000, 10, 20_000, 100, 1_000, 20, 9_000_000_000),
    )
    names = (
        "name",
        "index_atoms_max",
        "option_lots_per_unit",
        "option_tick_atoms",
        "perpetual_lots_per_unit",
        "perpetual_tick_atoms",
        "funding_impact_lots",
        "slice_notional_atoms",
    )
    rates = ("option_taker_e6", "option_maker_e6", "futures_taker_e6", "futures_maker_e6")
    option_band, futures_band = BANDS_BY_PROFILE[profile]
    parameters = PARAMETERS | {"option_band_e6": option_band, "futures_band_e6": futures_band}
    return {
        "version": 1,
        "chain_id": 31337,
        "settlement": "0x" + "c0" * 20,
        "operator": OPERATOR,
        "oracles": [f"0x{0xA0 + number:040x}" for number in range(oracles)],
        "quorum": quorum,
        "underlyings": [dict(zip(names, row, strict=True)) for row in units],
        "fee_tiers": [dict(zip(rates, tier, strict=True)) for tier in TIERS],
        "limits": dict(LIMITS_BY_PROFILE[profile]),
        "parameters": parameters | (HASTE if profile == "crash" else {}),
    }


class World:
    """A model, a clock, a source of chance and the traders' addresses; builds well-formed commands."""

    def __init__(self, seed: int, profile: str) -> None:
        self.profile = profile
        self.rng = random.Random(seed)
        self.model = Model(genesis(profile))
        self.now = BEGIN_NS
        self.sequence = 0
        self.told: list[Event] = []
        count = min(self.model.limits["accounts"], 13) - 1
        self.traders = [WHALE] + [f"0x{0x1000 + number:040x}" for number in range(count)]
        self.spot = list(START_ATOMS)
        self.promised: dict[str, tuple[str, int]] = {}

    def chance(self, percent: float) -> bool:
        """True in `percent` of a hundred calls."""
        return self.rng.random() * 100 < percent

    def command(self, kind: str, signer: str, **fields: int) -> Command:
        """A command of the kind at the present time; it gets its sequence number when it is applied."""
        given = {name: fields.get(name, 0) for name in COMMAND_FIELDS[kind] if name in OPTIONAL} | fields
        assert sorted(given) == sorted(COMMAND_FIELDS[kind]), kind
        return {"kind": kind, "sequence": 0, "time_ns": self.now, "signer": signer, **given}

    def signed(self, kind: str, who: str, **fields: int) -> Command:
        """A command of an account or the operator with its next nonce and an hour to live; a sub-account's is
        signed by its owner, any account's at times by one of its keys.
        """
        if who == OPERATOR:
            nonce = self.model.house.operator_nonce + 1 + self._gap()
            return self.command(kind, who, nonce=nonce, expires_ns=self.now + 3600 * SECOND, **fields)
        return self.signed_by(kind, who, self.signer(kind, who), **fields)

    def signed_by(self, kind: str, who: str, signer: str, **fields: int) -> Command:
        """An account's command with the next nonce of whoever signs it."""
        nonce = self.next_nonce(who, signer)
        signed = {"nonce": nonce, "expires_ns": self.now + 3600 * SECOND}
        return self.command(kind, signer, **(signed | fields)) | {"account": who}

    def signer(self, kind: str, who: str) -> str:
        """Who signs a command of the account: itself, its owner or a key, mostly one that may."""
        account = self.account(who)
        if account is None or who in self.promised:
            return who if account is None else STRANGER
        may = [key for key in account.keys.values() if key.scope & SCOPE_BY_KIND.get(kind, 0)]
        may = [key for key in may if key.key_expires_ns > self.now]
        if self.chance(2):
            may = list(account.keys.values())
        if may and self.chance(KEYED_PERCENT[self.profile]):
            return self.rng.choice(may).address
        if account.owner >= 0 and self.chance(97):
            return self.model.accounts[account.owner].address
        return who

    def next_nonce(self, who: str, signer: str) -> int:
        """A nonce that the account's signer has not used, at times not the next one."""
        account = self.account(who)
        if account is None:
            return 1
        known = [key.nonce for key in account.keys.values() if key.address == signer]
        return (known[0] if known else account.nonce) + 1 + self._gap()

    def _gap(self) -> int:
        return self.rng.randrange(3) if self.chance(5) else 0

    def pass_time(self, ns: int) -> None:
        """Move the clock."""
        self.now += ns

    def account(self, address: str) -> Account | None:
        """The address's account, if it ever made a deposit."""
        number = self.model.account_number(address)
        return self.model.accounts[number] if number >= 0 else None

    def trader(self) -> str:
        """An address that has an account, or any trader's if there is none."""
        if not self.model.accounts:
            return self.rng.choice(self.traders)
        known = [account.address for account in self.model.accounts]
        return self.rng.choice([address for address in known if address not in self.promised])

    def accepted(self) -> bool:
        """Whether the last command was."""
        return self.told[0]["code"] == 0

    def oracle(self) -> str:
        """A registered oracle."""
        return str(self.rng.choice(self.model.genesis["oracles"]))

    def live(self) -> list[int]:
        """Instruments that can be traded now."""
        return [
            number
            for number, instrument in enumerate(self.model.instruments)
            if instrument.state == OPEN
            and (instrument.kind == PERPETUAL or instrument.expiry_ns > self.now)
            and instrument.has_mark
        ]

    def fair_ticks(self, instrument: Instrument) -> int:
        """The mark in ticks, at least 1; a combo's with the offset."""
        offset = LIMITS["COMBO_TICK_OFFSET"] if instrument.legs else 0
        ticks = instrument.mark_atoms // instrument.tick_atoms + offset
        return max(1, min(ticks, LIMITS["PRICE_TICKS_MAX"]))

    def strike_near(self, underlying: int) -> int:
        """A round strike between 75 % and 130 % of spot."""
        step = (1_000_000_000, 25_000_000)[underlying]
        return max(step, int(self.spot[underlying] * self.rng.uniform(0.75, 1.3)) // step * step)

    def expiry_in(self, days: float) -> int:
        """A whole second some days from now."""
        return (self.now + int(days * DAY)) // SECOND * SECOND + SECOND

    def option_kind(self) -> int:
        """Call or put."""
        return self.rng.choice((CALL, PUT))
