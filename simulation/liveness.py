"""The last life: nothing fails any more, and within its patience everybody leaves with all that is theirs."""

import asyncio

from novate.apps.claims import Claimable, prove_withdrawals
from novate.execution.engine import Engine
from novate.execution.views import read_account, read_positions
from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind, OrderFlag, Side, TimeInForce
from novate.verification.published import BATCHES_FILE, HEAD_FILE, read_batches, read_frames, read_head
from simulation.genesis import (
    GIVER,
    STRANGERS,
    USDC,
    WALLET_ATOMS,
    WALLETS,
    find_payee,
    get_address,
    make_genesis,
)
from simulation.lives import begin, start, watch
from simulation.people import Fields, list_priced, send, sign
from simulation.vault import get_bytes
from simulation.world import World

REST_S = 3.0
LEAVE_TRIES = 12
PATIENCE_S = 40.0
MAKER_ATOMS = 10**6 * USDC


async def live_well(world: World, number: int) -> None:
    """The liveness phase: within its patience every wallet has all that is its own."""
    world.skew_ns = 0
    tasks = await begin(world, number)
    await pass_blocks(world)
    tasks.append(start(world, keep_mining(world)))
    await asyncio.sleep(REST_S)
    watch(world)
    engine = world.venue.engine
    for _ in range(LEAVE_TRIES):
        await leave(world, engine)
        if not any(is_bound(engine, account) for account in range(len(engine.addresses))):
            break
        await asyncio.sleep(1.0)
    else:
        # Only the maker has money enough for everybody's other side.
        if get_address(WALLETS[0]) in engine.addresses:
            world.fail("not everybody could close what they hold, although nothing fails")
    await withdraw_all(world, engine)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(PATIENCE_S):
        header = await world.venue.seal_and_post()
        while not world.venue.settlement.is_final(header.number):
            await asyncio.sleep(0.5)
    watch(world)
    check_deposits(world)
    check_headers(world)
    claim_all(world)


async def pass_blocks(world: World) -> None:
    """Blocks that confirm what stands on the chain."""
    for _ in range(world.confirmations + 1):
        world.chain.deposit(WALLETS[0], get_address(WALLETS[0]), MAKER_ATOMS)


async def keep_mining(world: World) -> None:
    """Blocks go on coming, so that deposits are confirmed."""
    while world.read_now_s() >= 0:
        await asyncio.sleep(1.0)
        watch(world)


def is_bound(engine: Engine, account: int) -> bool:
    """Whether an account still holds lots or is in liquidation."""
    held = any(position.lots for position in read_positions(engine, account))
    return held or bool(read_account(engine, account).liquidation_stage)


async def leave(world: World, engine: Engine) -> None:
    """Everybody cancels; each but the maker trades all that it holds to the maker."""
    maker = get_address(WALLETS[0])
    accounts = list(engine.addresses)
    await send(world, [cancel_all(world, account) for account in accounts])
    for account in accounts if maker in accounts else []:
        legs = list_closing_legs(world, engine, account)
        if account == maker or not legs:
            continue
        block = sign(
            world,
            CommandKind.BLOCK_TRADE,
            find_payee(account),
            account,
            subject=maker,
            cosigner=maker,
            items=tuple(legs),
        )
        (outcome,) = await send(world, [block])
        if outcome.code != Code.OK:
            await close_one_by_one(world, account, legs)


def list_closing_legs(world: World, engine: Engine, account: bytes) -> list[tuple[int, int, int, int]]:
    """What closes an account's positions at their marks, as legs of a block.

    A block judges all legs together. One leg of a hedged portfolio after the other may be refused for want
    of margin, since what is left would not be hedged any more.
    """
    priced = dict(list_priced(world))
    return [
        (held.instrument, Side.SELL if held.lots > 0 else Side.BUY, abs(held.lots), priced[held.instrument])
        for held in read_positions(engine, engine.find_account(account))
        if held.lots and held.instrument in priced
    ]


async def close_one_by_one(world: World, account: bytes, legs: list[tuple[int, int, int, int]]) -> None:
    """Close by orders that only reduce, which pass if they do not lower the account's surplus. [MARGIN-12]"""
    maker = get_address(WALLETS[0])
    for instrument, side, lots, ticks in legs:
        terms: Fields = {"instrument": instrument, "lots": lots, "price_ticks": ticks}
        offer = terms | {"side": Side(1 - side), "time_in_force": TimeInForce.GTC}
        close = terms | {"side": side, "time_in_force": TimeInForce.IOC, "flags": OrderFlag.REDUCE_ONLY}
        orders = [
            sign(world, CommandKind.PLACE, maker, **offer),
            sign(world, CommandKind.PLACE, find_payee(account), account, **close),
        ]
        await send(world, [*orders, cancel_all(world, maker)])


def cancel_all(world: World, account: bytes) -> Command:
    """The end of everything that an account has in the books."""
    return sign(world, CommandKind.CANCEL_ALL, find_payee(account), account, instrument=-1)


async def withdraw_all(world: World, engine: Engine) -> None:
    """Every account asks for all that it may have, which is all it has, and gets it."""
    for account, address in enumerate(engine.addresses):
        view = read_account(engine, account)
        if view.withdrawable_atoms != max(0, view.cash_atoms):
            world.fail(f"account {account} may have {view.withdrawable_atoms} atoms of {view.cash_atoms}")
        if view.withdrawable_atoms <= 0:
            continue
        amount = view.withdrawable_atoms
        command = sign(world, CommandKind.WITHDRAW, find_payee(address), address, amount_atoms=amount)
        (outcome,) = await send(world, [command])
        world.tell(f"account {account} withdraws {amount / USDC:.6f} USDC: {outcome.code.name}")
        if outcome.code != Code.OK:
            world.fail(f"account {account} could not withdraw {amount} atoms: {outcome.code.name}")


def check_deposits(world: World) -> None:
    """Each confirmed deposit of the chain was credited once, as it stands there, and nothing else was."""
    standing = [(each.account, each.amount_atoms) for each in world.chain.list_deposits()]
    credited = world.witness.credited
    if standing[: len(credited)] != credited:
        world.fail("what was credited is not what stands on the chain")
    missing = len(standing) - len(credited)
    if missing > world.confirmations and not world.witness.turned_away:
        world.fail(f"{missing} deposits that stand on the chain were never credited")


def check_headers(world: World) -> None:
    """The chain holds the header of every batch, as the witness knows it."""
    settlement = world.venue.settlement
    posted = settlement.batch_count()
    if posted != len(world.witness.roots):
        world.fail(f"{len(world.witness.roots)} batches were sealed, {posted} are posted")
    for number, expected in world.witness.headers.items():
        if world.chain.read_header_hash(number) != expected:
            world.fail(f"batch {number} on the chain is not the one that was made")


def read_claimables(world: World) -> list[Claimable]:
    """What the published files prove: every withdrawal of every batch."""
    folder, origin = world.venue.published, make_genesis().hash
    head = read_head((folder / HEAD_FILE).read_bytes(), origin)
    frames, _ = read_frames(BATCHES_FILE, (folder / BATCHES_FILE).read_bytes(), origin, head.batches)
    return prove_withdrawals(read_batches(frames))


def claim_all(world: World) -> None:
    """Every wallet claims its withdrawals out of the vault, from the published files alone."""
    paid_in: dict[bytes, int] = {}
    for deposit in world.chain.list_deposits():
        payer = find_payee(deposit.account)
        payer = get_address(WALLETS[GIVER]) if payer in STRANGERS else payer
        paid_in[payer] = paid_in.get(payer, 0) + deposit.amount_atoms
    wallets = {get_address(wallet): wallet for wallet in WALLETS}
    for claimable in read_claimables(world):
        payee = claimable.withdrawal.account
        if payee not in wallets and payee not in STRANGERS:
            world.fail(f"0x{payee.hex()}, which has no wallet, is to be paid")
            return
        world.chain.claim(wallets.get(payee, WALLETS[GIVER]), claimable)
    for address in STRANGERS:
        if world.chain.read_balance(address) != world.witness.withdrawn[address]:
            world.fail(f"0x{address.hex()} was not paid what it withdrew")
    for address in wallets:
        expected = WALLET_ATOMS - paid_in.get(address, 0) + world.witness.withdrawn[address]
        held = world.chain.read_balance(address)
        if held != expected:
            world.fail(f"0x{address.hex()} holds {held} atoms instead of {expected}")
    vault = world.chain.read_balance(get_bytes(world.chain.manifest.vault))
    owed = sum(paid_in.values()) - sum(world.witness.withdrawn.values())
    if vault != owed:
        world.fail(f"the vault holds {vault} atoms and owes {owed}")
    world.tell(f"all have left; the vault holds {vault / USDC:.6f} USDC")
