"""What desks do: session keys, sub-accounts, transfers, block trades."""

from collections.abc import Callable

from novate.protocol.command import Command
from novate.protocol.generated.codes import CommandKind, KeyScope, Side
from novate.protocol.generated.constants import NS_PER_S
from simulation.genesis import KEYS, SUBACCOUNTS, USDC, WALLETS, get_address
from simulation.people import Fields, Person, sign

Action = Callable[[Person], list[Command]]
ALL_SCOPES = sum(KeyScope)


def authorize(person: Person) -> list[Command]:
    """A key for an account, with limits or without, for some seconds or for long."""
    chance, account = person.chance, person.choose_account()
    fields: Fields = {
        "scope": chance.choice((ALL_SCOPES, ALL_SCOPES, chance.randrange(1, ALL_SCOPES + 1))),
        "key_expires_ns": person.engine.time_ns + chance.choice((1, 3, 60, 3_600)) * NS_PER_S,
        "max_notional_atoms": chance.choice((0, 0, chance.randrange(1_000, 100_000) * USDC)),
        "max_delta_atoms": chance.choice((0, 0, chance.randrange(1_000, 50_000) * USDC)),
        "max_vega_atoms": 0,
        "rate_per_minute": chance.choice((0, 0, 3)),
    }
    key = chance.choice(KEYS[person.number])
    return [
        sign(person.world, CommandKind.AUTHORIZE_KEY, person.address, account, subject=key, **fields),
    ]


def revoke(person: Person) -> list[Command]:
    """The end of a key, if the account has one."""
    account = person.choose_account()
    held = sorted(person.engine.signers.get(person.engine.find_account(account), {}))
    mine = [key for key in held if key in KEYS[person.number]]
    key = person.chance.choice(mine or KEYS[person.number])
    return [sign(person.world, CommandKind.REVOKE_KEY, person.address, account, subject=key)]


def open_subaccount(person: Person) -> list[Command]:
    """A sub-account; only when every wallet has its account, since whoever pays in must get one."""
    if any(person.engine.find_account(get_address(wallet)) < 0 for wallet in WALLETS):
        return []
    number = person.chance.randrange(len(SUBACCOUNTS[person.number]) + 1)
    return [sign(person.world, CommandKind.CREATE_SUBACCOUNT, person.address, subaccount=number)]


def transfer(person: Person) -> list[Command]:
    """Money from one account of the wallet to another, if it has two."""
    mine = person.list_accounts()
    if len(mine) < 2:
        return open_subaccount(person)
    giver, receiver = person.chance.sample(mine, 2)
    amount = person.chance.randrange(1, 3_000 * USDC)
    signer = person.choose_signer(giver)
    command = sign(person.world, CommandKind.TRANSFER, signer, giver, subject=receiver, amount_atoms=amount)
    return [command]


def trade_block(person: Person) -> list[Command]:
    """A trade of one to three legs with another wallet, or between the wallet's own accounts."""
    chance, account = person.chance, person.choose_account()
    other = Person(person.world, chance.randrange(len(WALLETS)), chance)
    if person.engine.find_account(other.address) < 0:
        return []
    counter = other.choose_account()
    legs = {}
    for _ in range(chance.randrange(1, 4)):
        instrument, ticks = person.choose_priced(combos=chance.random() < 0.05)
        price = max(1, ticks + chance.randint(-(ticks // 500), ticks // 500))
        legs[instrument] = (instrument, chance.choice(list(Side)), chance.randrange(1, 200), price)
    items = tuple(legs[instrument] for instrument in sorted(legs))
    return [
        sign(
            person.world,
            CommandKind.BLOCK_TRADE,
            person.choose_signer(account),
            account,
            subject=counter,
            cosigner=other.choose_signer(counter),
            items=items,
        )
    ]


KEYING: list[tuple[Action, int]] = [(authorize, 4), (revoke, 1)]
DESK: list[tuple[Action, int]] = [(open_subaccount, 2), (transfer, 3), (trade_block, 5)]
