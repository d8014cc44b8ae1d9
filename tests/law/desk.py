"""One small venue at which a test speaks in short lines: `desk.say("maker", "place lots=5 price_ticks=250")`.

Every kind of command has lawful defaults, so a line names only what matters. Each command is signed by its
actor and admitted only if the signature recovers to it, as at the door of the venue.
"""

from collections.abc import Callable
from typing import Any

from coincurve import PrivateKey

from novate.execution.engine import Engine, InstrumentView
from novate.protocol.command import Command, make_command
from novate.protocol.generated import constants
from novate.protocol.generated.codes import (
    Code,
    CommandKind,
    EventKind,
    InstrumentKind,
    OrderFlag,
    Side,
    TimeInForce,
    TriggerCondition,
    TriggerReference,
)
from novate.protocol.generated.records import (
    COMMAND_FIELDS,
    COSIGNED,
    HAS_SUBJECT,
    OPTIONAL_FIELDS,
    SIGNED_BY,
)
from novate.protocol.genesis import Genesis, encode_genesis, parse_genesis
from novate.protocol.signing import (
    Domain,
    compute_address,
    compute_digest,
    compute_subaccount_address,
    recover_signer,
    sign_digest,
)

USDC = 1_000_000
SECOND, DAY = constants.NS_PER_S, constants.NS_PER_DAY
START_NS = 20_500 * DAY
SOON_NS, LATE_NS = START_NS + 30 * DAY, START_NS + 60 * DAY
ONE = 1 << 48
KINDS = {kind.name.lower(): kind for kind in CommandKind} | {"list": CommandKind.LIST_INSTRUMENT}
EXTRA = {"after", "time_ns", "key", "times", "quotes", "legs", "signer", "subject", "cosigner"}
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
    "option_band_e6": 50_000,
    "futures_band_e6": 10**9,
    "option_fee_cap_e6": 125_000,
    "insurance_share_e6": 250_000,
    "funding_cap_e9": 5_000_000,
    "funding_deadband_e9": 250_000,
    "warning_e6": 1_200_000,
    "liquidation_fee_e6": 5_000,
    "slice_tick_count": 5,
    "auction_tick_count": 10,
    "auction_step_e6": 50_000,
}
FEE_NAMES = ("option_taker_e6", "option_maker_e6", "futures_taker_e6", "futures_maker_e6")
FEE_TIERS = [dict(zip(FEE_NAMES, row, strict=True)) for row in ((300, 100, 300, 100), (200, 50, 200, -50))]
Events = list[dict[str, int]]


def make_key(actor: str) -> PrivateKey:
    """The same key for the same role, in every run."""
    return PrivateKey(actor.encode().rjust(32, b"\1"))


def find_address(actor: str) -> bytes:
    """The address of a role, of its sub-account (`maker/1`), or of `nobody`."""
    owner, _, number = actor.partition("/")
    if number:
        return compute_subaccount_address(find_address(owner), int(number))
    return bytes(20) if actor == "nobody" else compute_address(make_key(actor).public_key)


def make_genesis(**limits: int) -> Genesis:
    """A venue of BTC, and of ETH at about one dollar, so that a great many lots of it weigh little."""
    units = {
        "BTC": (1_000_000 * USDC, 100, 50_000, 1000, 2_500, 100, 1_000 * USDC),
        "ETH": (1_000 * USDC, 10, 1_000, 100, 1_000, 100, 1_000 * USDC),
    }
    names = (
        "index_atoms_max",
        "option_lots_per_unit",
        "option_tick_atoms",
        "perpetual_lots_per_unit",
        "perpetual_tick_atoms",
        "funding_impact_lots",
        "slice_notional_atoms",
    )
    sizes = {"accounts": 4, "orders": 4100, "positions": 64, "instruments": 7, "series": 2, "triggers": 3}
    document = {
        "version": 1,
        "chain_id": 31_337,
        "settlement": "0x" + "5e" * 20,
        "operator": "0x" + find_address("operator").hex(),
        "oracles": ["0x" + find_address("oracle").hex()],
        "quorum": 1,
        "underlyings": [{"name": name} | dict(zip(names, row, strict=True)) for name, row in units.items()],
        "limits": sizes | limits,
        "parameters": PARAMETERS,
        "fee_tiers": FEE_TIERS,
    }
    return parse_genesis(encode_genesis(document))


def shorten(view: InstrumentView) -> str:
    """The word for an instrument: btc_perpetual, btc_call_80000, btc_call_80000_late, btc_combo_4."""
    underlying = ("btc", "eth")[view.underlying]
    if view.kind == InstrumentKind.PERPETUAL:
        return f"{underlying}_perpetual"
    if view.kind == InstrumentKind.COMBO:
        return f"{underlying}_combo_{view.number}"
    late = "_late" if view.expiry_ns == LATE_NS else ""
    if view.kind == InstrumentKind.FUTURE:
        return f"{underlying}_future{late}"
    return f"{underlying}_{InstrumentKind(view.kind).name.lower()}_{view.strike_atoms // USDC}{late}"


class Desk:
    """The venue, its clock, and what it has answered."""

    def __init__(self, genesis: Genesis | None = None) -> None:
        self.engine = Engine(genesis or make_genesis())
        self.domain = Domain(self.engine.genesis.chain_id, self.engine.genesis.settlement)
        self.now = START_NS
        self.events: Events = []
        self.nonce = self.counter_nonce = 0

    def find_nonce(self, actor: str, signer: str) -> int:
        """The last nonce of who signs for a role: of its session key, or of its account."""
        number = self.engine.find_account(find_address(actor))
        if number < 0:
            return 0
        place = self.engine.find_signer(number, find_address(signer))
        world = self.engine.world
        return int(world.keys["nonce"][number, place - 1] if place > 0 else world.accounts["nonce"][number])

    def look_up(self, name: str, actor: str) -> int:
        """The number that a word in a line stands for."""
        house = self.engine.world.house[0]
        number = self.engine.find_account(find_address(actor))
        account = self.engine.world.accounts[number] if number >= 0 else {"cash_atoms": 0}
        words: dict[str, Callable[[], Any]] = {
            "now": lambda: self.now,
            "soon": lambda: SOON_NS,
            "late": lambda: LATE_NS,
            "nonce": lambda: house["operator_nonce"] if actor == "operator" else self.nonce,
            "counter": lambda: self.counter_nonce,
            "cash": lambda: account["cash_atoms"],
            "last": lambda: house["next_order_id"] - 1,
            "cursor": lambda: house["deposit_cursor"],
            "deposited": lambda: house["deposited_atoms"],
            "batch": lambda: house["batch"],
            "btc": lambda: 0,
            "eth": lambda: 1,
            "all": lambda: -1,
            "usdc": lambda: USDC,
            "second": lambda: SECOND,
            "one": lambda: ONE,
        }
        words |= {f"by_{member.name.lower()}": lambda member=member: member for member in TriggerReference}
        for enum in (Side, TimeInForce, InstrumentKind, OrderFlag, TriggerCondition):
            words |= {member.name.lower(): lambda member=member: member for member in enum}
        words |= {shorten(view): lambda view=view: view.number for view in self.engine.instruments}
        return int(words[name.lower()]()) if name.lower() in words else int(getattr(constants, name))

    def evaluate(self, text: str, actor: str) -> int:
        """The value of a sum of products, as `now+2*second` or `-1`."""
        text = text.replace("-", "+-").removeprefix("+")
        total = 0
        for term in text.split("+"):
            product = -1 if term.startswith("-") else 1
            for factor in term.removeprefix("-").split("*"):
                product *= int(factor) if factor[0].isdigit() else self.look_up(factor, actor)
            total += product
        return total

    def default(self, field: str, kind: CommandKind) -> str:
        """The lawful value of a field that a line leaves out."""
        if kind == CommandKind.LIST_INSTRUMENT and field == "expiry_ns":
            return "soon"
        lawful = {
            "trigger_atoms": "549_755_813_888",
            "reference": "by_index",
            "condition": "above",
            "timeout_ns": "0",
            "cancel_on_disconnect": "0",
            "target": "0",
            "tier": "1",
            "group": "0" if kind == CommandKind.CANCEL_ALL else "1",
            "window_ns": "second",
            "frozen_ns": "second",
            "quantity_limit_lots": "10",
            "demand_e6": "0",
            "slice_notional_atoms": "1_000*usdc",
            "delta_limit_atoms": "0",
            "vega_limit_atoms": "0",
            "cursor": "cursor+1",
            "amount_atoms": "1",
            "nonce": "nonce+1",
            "counter_nonce": "counter+1",
            "scope": "31",
            "key_expires_ns": "now+3_600*second",
            "max_notional_atoms": "0",
            "max_delta_atoms": "0",
            "max_vega_atoms": "0",
            "rate_per_minute": "0",
            "subaccount": "1",
            "expires_ns": "now+second",
            "instrument": "all" if kind == CommandKind.CANCEL_ALL else "0",
            "side": "buy",
            "time_in_force": "gtc",
            "lots": "1",
            "price_ticks": "1",
            "order_id": "last",
            "underlying": "btc",
            "instrument_kind": "call",
            "strike_atoms": "80_000*usdc",
            "expiry_ns": "soon",
            "index_atoms": "80_000*usdc",
            "confidence_e6": "1_000_000",
            "observed_ns": "now",
            "forward_atoms": "80_000*usdc",
            "svi_a_x48": "2_814_749_767_106",
            "svi_b_x48": "0",
            "svi_rho_x48": "0",
            "svi_m_x48": "0",
            "svi_sigma_x48": "one",
            "batch": "batch+1",
        }
        return "0" if field in OPTIONAL_FIELDS and field not in lawful else lawful[field]

    def build(self, actor: str, line: str) -> tuple[Command, str]:
        """The command of a line, signed, and the role whose key signed it."""
        verb, *words = line.split()
        given = dict(word.split("=") for word in words)
        signer, subject = given.get("signer", actor.partition("/")[0]), given.get("subject", "nobody")
        cosigner = given.get("cosigner", subject.partition("/")[0])
        self.nonce, self.counter_nonce = self.find_nonce(actor, signer), self.find_nonce(subject, cosigner)
        self.now += self.evaluate(given.get("after", "0"), actor) * SECOND
        kind = KINDS[verb]
        unknown = set(given) - set(COMMAND_FIELDS[kind]) - EXTRA
        assert not unknown, f"{kind.name} has no {unknown}"
        fields = {
            name: self.evaluate(given.get(name, self.default(name, kind)), actor)
            for name in COMMAND_FIELDS[kind]
        }
        time_ns = self.evaluate(given.get("time_ns", "now"), actor)
        items = tuple(
            tuple(self.evaluate(word, actor) for word in item.split(":"))
            for item in given.get("quotes", given.get("legs", "")).split("/")
            if item
        )
        command = make_command(kind, time_ns, **fields)._replace(items=items)
        if kind == CommandKind.DEPOSIT:
            return command._replace(signer=find_address(actor)), actor
        if SIGNED_BY[kind]:
            command = command._replace(signer=find_address(signer))
        if signer != actor:
            command = command._replace(account=find_address(actor))
        if kind in HAS_SUBJECT:
            command = command._replace(subject=find_address(subject))
        if kind in COSIGNED:
            command = command._replace(cosigner=find_address(cosigner))
        return command, given.get("key", signer)

    def admit(self, command: Command, key: str) -> Code:
        """What the door says: a signature must recover to the signer. [AUTH-1]"""
        if not SIGNED_BY[command.kind]:
            return Code.OK
        try:
            digest = compute_digest(command, self.engine.names, self.domain)
        except (LookupError, ValueError, OverflowError):
            return Code.OK  # It names what does not exist: there is nothing to sign, and the law says why.
        signature = sign_digest(digest, make_key(key))
        return Code.OK if recover_signer(digest, signature) == command.signer else Code.SIGNATURE_INVALID

    def say(self, actor: str, line: str) -> Code:
        """Send one line's command and return its code; `events` then holds what happened."""
        self.events = []
        command, key = self.build(actor, line)
        code = self.admit(command, key)
        if code != Code.OK:
            return code
        rows = self.engine.apply([command])
        assert rows.dtype.names is not None
        self.events = [dict(zip(rows.dtype.names, row, strict=True)) for row in rows.tolist()]
        return Code(self.events[0]["code"])

    def must(self, actor: str, *lines: str) -> None:
        """Send lines that must be accepted."""
        for line in lines:
            code = self.say(actor, line)
            assert code == Code.OK, f"{actor} {line}: {code.name}"

    def name_events(self) -> str:
        """What happened after the RESULT, as names, with the code where an event carries one."""
        names = []
        for event in self.events[1:]:
            code = f":{Code(event['code']).name}" if event["code"] else ""
            names.append(EventKind(event["kind"]).name + code)
        return " ".join(names)
