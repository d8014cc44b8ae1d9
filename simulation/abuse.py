"""What nobody may do: each command of these must be refused, whatever the state of the venue."""

from collections.abc import Callable

from novate.execution.views import read_open_orders
from novate.protocol.command import Command
from novate.protocol.generated.codes import CommandKind, Side, TimeInForce
from novate.protocol.generated.constants import NS_PER_S, ORDER_LOTS_MAX, PRICE_TICKS_MAX
from simulation.genesis import KEYS, START_NS, USDC, WALLETS, get_address
from simulation.people import Fields, Person, sign

Abuse = Callable[[Person], Command]
FORTUNE_ATOMS = 10**15
ORDER: Fields = {
    "instrument": 0,
    "side": Side.BUY,
    "time_in_force": TimeInForce.GTC,
    "lots": 1,
    "price_ticks": 1,
}
LISTING: Fields = {"underlying": 0, "instrument_kind": 0, "strike_atoms": 70_000 * USDC}
NO_LIMITS: Fields = {"max_notional_atoms": 0, "max_delta_atoms": 0, "max_vega_atoms": 0, "rate_per_minute": 0}
GROUP: Fields = {"underlying": 0, "window_ns": NS_PER_S, "frozen_ns": 0, "quantity_limit_lots": 1}


def abuse(person: Person) -> list[Command]:
    """One of the things that nobody may do."""
    command = person.chance.choice(ABUSES)(person)
    person.world.forbidden.add(command)
    return [command]


def choose_victim(person: Person) -> bytes:
    """Another wallet's address."""
    others = [wallet for number, wallet in enumerate(WALLETS) if number != person.number]
    return get_address(person.chance.choice(others))


def steal(person: Person) -> Command:
    """Take another's money."""
    victim = choose_victim(person)
    return sign(person.world, CommandKind.WITHDRAW, person.address, victim, amount_atoms=1)


def steal_with_key(person: Person) -> Command:
    """Take money with a session key, which may trade at most."""
    key = person.chance.choice(KEYS[person.number])
    return sign(person.world, CommandKind.WITHDRAW, key, person.address, amount_atoms=1)


def give_away(person: Person) -> Command:
    """Transfer to another owner's account."""
    fields: Fields = {"amount_atoms": 1}
    victim = choose_victim(person)
    return sign(person.world, CommandKind.TRANSFER, person.address, subject=victim, **fields)


def overdraw(person: Person) -> Command:
    """Withdraw more than the vault ever held."""
    return sign(person.world, CommandKind.WITHDRAW, person.address, amount_atoms=FORTUNE_ATOMS)


def replay(person: Person) -> Command:
    """Use a nonce that is used up."""
    return sign(person.world, CommandKind.WITHDRAW, person.address, amount_atoms=1, nonce=0)


def come_late(person: Person) -> Command:
    """Send what was signed for another time."""
    fields: Fields = {"amount_atoms": 1, "expires_ns": START_NS}
    return sign(person.world, CommandKind.WITHDRAW, person.address, **fields)


def report(person: Person) -> Command:
    """Report a price without being an oracle."""
    fields: Fields = {
        "index_atoms": 1,
        "confidence_e6": 1_000_000,
        "observed_ns": person.world.read_true_ns(),
    }
    return sign(person.world, CommandKind.INDEX, person.address, underlying=0, **fields)


def list_own(person: Person) -> Command:
    """List an instrument without being the operator."""
    expiry_ns = START_NS + 86_400 * NS_PER_S
    return sign(person.world, CommandKind.LIST_INSTRUMENT, person.address, expiry_ns=expiry_ns, **LISTING)


def lower_fees(person: Person) -> Command:
    """Choose one's own fees."""
    target = max(0, person.engine.find_account(person.address))
    return sign(person.world, CommandKind.SET_TIER, person.address, target=target, tier=1)


def cancel_other(person: Person) -> Command:
    """Cancel another's order, or one that does not exist."""
    victim = person.engine.find_account(choose_victim(person))
    orders = read_open_orders(person.engine, victim) if victim >= 0 else []
    number = person.chance.choice(orders).order_id if orders else 10**9
    return sign(person.world, CommandKind.CANCEL, person.address, order_id=number)


def order_nonsense(person: Person) -> Command:
    """An order outside every limit."""
    wrong: Fields = person.chance.choice(
        (
            {"instrument": 99},
            {"side": 7},
            {"lots": 0},
            {"lots": ORDER_LOTS_MAX + 1},
            {"lots": ORDER_LOTS_MAX, "price_ticks": PRICE_TICKS_MAX},
            {"price_ticks": 0},
            {"price_ticks": PRICE_TICKS_MAX + 1},
            {"display_lots": 1, "lots": 100},
            {"valid_until_ns": 1},
        )
    )
    return sign(person.world, CommandKind.PLACE, person.address, **(ORDER | wrong))


def trade_with_self(person: Person) -> Command:
    """A block with oneself, which would make a price out of nothing."""
    items = ((0, Side.BUY, 1, 1),)
    parties: Fields = {"subject": person.address, "cosigner": person.address}
    return sign(person.world, CommandKind.BLOCK_TRADE, person.address, items=items, **parties)


def force_block(person: Person) -> Command:
    """A block that the other side never signed."""
    victim = choose_victim(person)
    parties: Fields = {"subject": victim, "cosigner": person.address}
    items = ((0, Side.BUY, 1, 1),)
    return sign(person.world, CommandKind.BLOCK_TRADE, person.address, items=items, **parties)


def empower_nobody(person: Person) -> Command:
    """A key without a scope, or one for another's account."""
    fields = NO_LIMITS | {"key_expires_ns": person.engine.time_ns + NS_PER_S}
    key = KEYS[person.number][0]
    if person.chance.random() < 0.5:
        victim = choose_victim(person)
        fields["scope"] = 31
        return sign(person.world, CommandKind.AUTHORIZE_KEY, person.address, victim, subject=key, **fields)
    fields["scope"] = 0
    return sign(person.world, CommandKind.AUTHORIZE_KEY, person.address, subject=key, **fields)


def revoke_unknown(person: Person) -> Command:
    """Revoke a key that never was."""
    return sign(person.world, CommandKind.REVOKE_KEY, person.address, subject=b"\x77" * 20)


def set_nonsense(person: Person) -> Command:
    """Terms outside their range."""
    choices: tuple[tuple[CommandKind, Fields], ...] = (
        (CommandKind.BACKSTOP, {"demand_e6": 2_000_000}),
        (CommandKind.PROTECT, {"timeout_ns": 1, "cancel_on_disconnect": 0}),
        (CommandKind.SET_MMP, {"group": 9, "delta_limit_atoms": 0, "vega_limit_atoms": 0, **GROUP}),
        (CommandKind.CREATE_SUBACCOUNT, {"subaccount": 0}),
        (CommandKind.INSURE, {"amount_atoms": 0}),
        (CommandKind.MASS_QUOTE, {"group": 4}),
    )
    kind, fields = person.chance.choice(choices)
    return sign(person.world, kind, person.address, **fields)


ABUSES: tuple[Abuse, ...] = (
    steal,
    steal_with_key,
    give_away,
    overdraw,
    replay,
    come_late,
    report,
    list_own,
    lower_fees,
    cancel_other,
    order_nonsense,
    order_nonsense,
    trade_with_self,
    force_block,
    empower_nobody,
    revoke_unknown,
    set_nonsense,
)
