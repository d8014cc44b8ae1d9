"""A small venue for the verifier's tests: a script of signed commands, and a publisher that can lie.

The publisher plays an operator who controls everything but the others' keys: whatever it forges, frames,
hashes and headers agree with each other, and the forged headers stand on the chain.
"""

import random
import struct
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from coincurve import PrivateKey
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from novate.protocol.command import Command, encode_payload, make_command
from novate.protocol.frame import encode_frame, keccak256
from novate.protocol.generated.codes import (
    Code,
    CommandKind,
    InstrumentKind,
    Side,
    TimeInForce,
    TriggerCondition,
    TriggerReference,
)
from novate.protocol.genesis import Genesis
from novate.protocol.header import BatchHeader
from novate.protocol.signing import Domain, Names, compute_address, sign_command
from novate.protocol.withdrawals import (
    Withdrawal,
    compute_withdrawals_root,
    hash_withdrawal,
    prove_withdrawal,
)
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import SettlementClient
from novate.settlement.deployment import deploy_contracts
from novate.settlement.embedded_chain import EmbeddedChain
from novate.verification.replay import Replayer
from tests.verification.small_genesis import (
    BTC,
    CHAIN_ID,
    DEPOSIT_ATOMS,
    ETH,
    ONE,
    OPERATOR,
    OPERATOR_SECRET,
    ORACLES,
    SECOND,
    SPOT_ATOMS,
    START_S,
    TRADERS,
    make_genesis,
)

Withdrawals = list[tuple[bytes, int]]
Quotes = tuple[tuple[int, ...], ...]


class Script:
    """Builds commands that make sense by applying each as it is written."""

    def __init__(self, seed: int) -> None:
        self.genesis = make_genesis()
        self.random = random.Random(seed)
        self.replayer = Replayer(self.genesis)
        self.commands: list[Command] = []
        self.time_ns = START_S * SECOND
        self.nonces: dict[bytes, int] = {}
        underlyings = [underlying.name for underlying in self.genesis.underlyings]
        self.names = Names(lambda n: self.replayer.names[n], lambda n: underlyings[n])
        self.domain = Domain(self.genesis.chain_id, self.genesis.settlement)

    def add(
        self,
        kind: CommandKind,
        key: PrivateKey | None = None,
        signer: bytes = b"",
        items: Quotes = (),
        **fields: int,
    ) -> Code:
        """Sign, append and apply one command, a second after the last."""
        self.time_ns += SECOND
        if key is not None and kind not in (CommandKind.INDEX, CommandKind.SURFACE):
            address = compute_address(key.public_key)
            self.nonces[address] = self.nonces.get(address, 0) + 1
            fields |= {"nonce": self.nonces[address], "expires_ns": self.time_ns + 3600 * SECOND}
        command = make_command(kind, self.time_ns, signer, **fields)._replace(items=items)
        if key is not None:
            command = sign_command(command, self.names, self.domain, key)
        self.commands.append(command)
        return self.replayer.apply(command).code

    def open(self) -> None:
        """Deposits, listings, marks."""
        for cursor, key in enumerate(TRADERS, 1):
            address = compute_address(key.public_key)
            self.add(CommandKind.DEPOSIT, signer=address, cursor=cursor, amount_atoms=DEPOSIT_ATOMS)
        expiries = [(START_S + seconds) * SECOND for seconds in (1_200, 30 * 86_400)]
        listings = [(u, InstrumentKind.PERPETUAL, 0, 0) for u in (BTC, ETH)]
        for kind, expiry in zip(
            (InstrumentKind.CALL, InstrumentKind.PUT) * 2, sorted(expiries * 2), strict=True
        ):
            listings.append((BTC, kind, 82_000 * 1_000_000, expiry))
        listings.append((BTC, InstrumentKind.FUTURE, 0, expiries[1]))
        for underlying, kind, strike, expiry in listings:
            fields = {"underlying": underlying, "instrument_kind": kind}
            code = self.add(
                CommandKind.LIST_INSTRUMENT, OPERATOR, strike_atoms=strike, expiry_ns=expiry, **fields
            )
            assert Code.OK == code
        self.report_indices()
        for expiry in expiries:
            self.report_surface(expiry)
        self.add(CommandKind.TICK)

    def race(self) -> None:
        """Two makers offer the same far above the market; the only taker has enough for one of them."""
        perpetual = self.replayer.state.instruments[0]
        ticks = perpetual.mark_atoms // perpetual.tick_atoms + 500
        fields = {"instrument": 0, "time_in_force": TimeInForce.GTC, "lots": 5, "price_ticks": ticks}
        for key, side in zip(TRADERS, (Side.SELL, Side.SELL, Side.BUY), strict=False):
            assert Code.OK == self.add(CommandKind.PLACE, key, side=side, **fields)

    def protect(self) -> None:
        """A better tier for the first trader, limits and a time-out of the last, an order that waits."""
        assert Code.OK == self.add(CommandKind.SET_TIER, OPERATOR, target=0, tier=1)
        figures = {"window_ns": 60 * SECOND, "frozen_ns": SECOND, "quantity_limit_lots": 60}
        limits = {"delta_limit_atoms": 10**12, "vega_limit_atoms": 0}
        group = {"group": 1, "underlying": BTC}
        assert Code.OK == self.add(CommandKind.SET_MMP, TRADERS[3], **group, **figures, **limits)
        day_ns = 86_400 * SECOND
        timer = {"timeout_ns": day_ns, "cancel_on_disconnect": 1}
        assert Code.OK == self.add(CommandKind.PROTECT, TRADERS[3], **timer)
        terms = {"instrument": 0, "side": Side.SELL, "time_in_force": TimeInForce.GTC, "lots": 3}
        trigger = {"reference": TriggerReference.INDEX, "condition": TriggerCondition.ABOVE}
        fields = terms | trigger | {"price_ticks": 20_000, "trigger_atoms": SPOT_ATOMS[BTC] // 2}
        assert Code.OK == self.add(CommandKind.PLACE_TRIGGER, TRADERS[2], **fields)

    def quote(self) -> None:
        """The last trader quotes every option, around its mark."""
        options = [i for i in self.replayer.state.instruments if i.mark_atoms > 0 and not i.is_linear]
        middles = [(option.number, option.mark_atoms // option.tick_atoms) for option in options]
        items = tuple((number, max(1, ticks - 2), 30, ticks + 2, 30) for number, ticks in middles)
        self.add(CommandKind.MASS_QUOTE, TRADERS[3], items=items, group=1)

    def report_indices(self) -> None:
        """Two of three oracles report each index."""
        for underlying, spot in enumerate(SPOT_ATOMS):
            for key in ORACLES[:2]:
                index = int(spot * self.random.uniform(0.995, 1.005))
                fields = {"underlying": underlying, "index_atoms": index, "confidence_e6": 990_000}
                self.add(CommandKind.INDEX, key, observed_ns=self.time_ns, **fields)

    def report_surface(self, expiry_ns: int) -> None:
        """Two of three oracles agree on a surface of sixty per cent volatility."""
        years = (expiry_ns - self.time_ns) / (365 * 86_400 * SECOND)
        variance = 0.36 * years
        svi = (0.6 * variance, 0.4 * variance / 0.3, -0.1, 0.0, 0.3)
        names = ("a", "b", "rho", "m", "sigma")
        fields = {f"svi_{name}_x48": int(value * ONE) for name, value in zip(names, svi, strict=True)}
        fields |= {"underlying": BTC, "expiry_ns": expiry_ns, "forward_atoms": SPOT_ATOMS[BTC]}
        observed_ns = self.time_ns
        for key in ORACLES[:2]:
            assert Code.OK == self.add(CommandKind.SURFACE, key, observed_ns=observed_ns, **fields)

    def trade(self, count: int) -> None:
        """Random orders near the marks, replaces, cancels and a few withdrawals."""
        state, chance = self.replayer.state, self.random
        for _ in range(count):
            key = chance.choice(TRADERS)
            mine = [o for o in state.orders.values() if o.account.address == compute_address(key.public_key)]
            kind = chance.randrange(12)
            if kind == 0 and mine:
                self.add(CommandKind.CANCEL, key, order_id=chance.choice(mine).order_id)
            elif kind == 1 and mine:
                order = chance.choice(mine)
                price = order.price_ticks + chance.randrange(2)
                fields = {"order_id": order.order_id, "lots": chance.randrange(1, 20), "price_ticks": price}
                self.add(CommandKind.REPLACE, key, **fields)
            elif kind == 2:
                self.add(CommandKind.WITHDRAW, key, amount_atoms=chance.randrange(1, 10**8))
            else:
                self.place(key)

    def place(self, key: PrivateKey) -> None:
        """One order a few ticks around the mark."""
        chance = self.random
        live = [i for i in self.replayer.state.instruments if i.mark_atoms > 0]
        instrument = chance.choice(live)
        ticks = max(1, instrument.mark_atoms // instrument.tick_atoms + chance.randrange(-3, 4))
        fields = {
            "instrument": instrument.number,
            "side": chance.choice(list(Side)),
            "lots": chance.randrange(1, 40),
        }
        tif = chance.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.POST_ONLY))
        self.add(CommandKind.PLACE, key, time_in_force=tif, price_ticks=ticks, **fields)

    def seal(self) -> None:
        """Close a batch."""
        self.add(CommandKind.SEAL, batch=self.replayer.state.batch + 1)


@cache
def write_script() -> tuple[Command, ...]:
    """Some 300 commands in three batches, with an expiry in the last."""
    script = Script(7)
    script.open()
    script.race()
    script.protect()
    script.quote()
    script.trade(45)
    script.quote()
    script.trade(45)
    script.seal()
    script.report_indices()
    script.add(CommandKind.TICK)
    script.quote()
    script.trade(90)
    script.add(CommandKind.DISCONNECT, target=3)
    script.add(CommandKind.CANCEL_ALL, TRADERS[0], instrument=-1)
    script.seal()
    script.time_ns = (START_S + 1_190) * SECOND
    script.report_indices()
    script.add(CommandKind.TICK)
    script.trade(60)
    script.add(CommandKind.TICK)
    script.seal()
    return tuple(script.commands)


class Lies(NamedTuple):
    """Where the publisher departs from the truth; the default is an honest one.

    `executed` are the commands that the operator's engine applied, if other than those published; `engine` is
    the genesis that it believed in. `header` and `withdrawals` change what a batch claims, published and on
    the chain alike; `posted` changes the chain's header only. `unposted` batches are left out at the end,
    `deposits` is what the vault received, and `bound` is the genesis hash that the contract was given.
    """

    executed: Sequence[Command] | None = None
    engine: Genesis | None = None
    header: Callable[[BatchHeader], BatchHeader] = lambda header: header
    withdrawals: Callable[[int, Withdrawals], Withdrawals] = lambda number, withdrawals: withdrawals
    posted: Callable[[BatchHeader], BatchHeader] = lambda header: header
    unposted: int = 0
    deposits: Sequence[tuple[bytes, int]] | None = None
    bound: bytes | None = None


class Chain:
    """The venue's contracts on an embedded chain in a temporary file."""

    def __init__(self, genesis_hash: bytes, root: bytes, deposits: Sequence[tuple[bytes, int]]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "chain.log"
        self._now_s = START_S
        self._chain = EmbeddedChain(self._path, CHAIN_ID, lambda: self._now_s)
        operator: LocalAccount = Account.from_key(OPERATOR_SECRET)
        web3 = Web3(EmbeddedProvider(self._chain))
        options = {"genesis_hash": genesis_hash, "genesis_state_root": root, "finality_delay_s": 60}
        manifest = deploy_contracts(web3, operator, operator=operator.address, **options)
        self.client = SettlementClient(web3, operator, manifest)
        self.client.mint(operator.address, 10**15)
        for account, amount in deposits:
            self.client.deposit(Web3.to_checksum_address(account), amount)

    def claim_first(self, number: int, withdrawals: Withdrawals) -> None:
        """Claim the first withdrawal of a batch when it is final."""
        self._now_s += 61
        owed = [Withdrawal(number, index, *row) for index, row in enumerate(withdrawals)]
        if owed:
            leaves = [hash_withdrawal(withdrawal) for withdrawal in owed]
            self.client.claim(owed[0], prove_withdrawal(leaves, 0))

    def close(self) -> tuple[bytes, int]:
        """Return the log and the number of its frames."""
        count = len(self._chain.blocks)
        self._chain.close()
        data = self._path.read_bytes()
        self._folder.cleanup()
        return data, count


def frame_commands(genesis: Genesis, commands: Sequence[Command]) -> tuple[bytes, list[bytes]]:
    """The command log, and the hash of each frame."""
    log, hashes, previous = b"", [], genesis.hash
    for sequence, command in enumerate(commands, 1):
        frame = encode_frame(1, sequence, encode_payload(command), previous)
        log, previous = log + frame, frame[-32:]
        hashes.append(previous)
    return log, hashes


def make_batches(
    genesis: Genesis, commands: Sequence[Command], hashes: Sequence[bytes], lies: Lies
) -> tuple[bytes, list[tuple[BatchHeader, Withdrawals]]]:
    """The genesis root, and each batch as the operator claims it."""
    replayer = Replayer(lies.engine or genesis)
    executed = commands if lies.executed is None else lies.executed
    root = previous = replayer.state_root()
    first, batches = 1, []
    for sequence, command in enumerate(executed, 1):
        code = replayer.apply(command).code
        if command.kind != CommandKind.SEAL or code != Code.OK:
            continue
        number = command.values[0]
        withdrawals = lies.withdrawals(number, replayer.state.withdrawals)
        replayer.state.withdrawals = []
        state_root, published = replayer.state_root(), commands[first - 1 : sequence]
        leaves = [hash_withdrawal(Withdrawal(number, i, *row)) for i, row in enumerate(withdrawals)]
        header = lies.header(
            BatchHeader(
                number=number,
                previous_state_root=previous,
                state_root=state_root,
                first_sequence=first,
                last_sequence=sequence,
                journal_head=hashes[sequence - 1],
                inbox_cursor=replayer.state.deposit_cursor,
                withdrawals_root=compute_withdrawals_root(leaves),
                marks_root=replayer.marks_root(),
                data_hash=keccak256(b"".join(encode_payload(each) for each in published)),
                time_ns=command.time_ns,
            )
        )
        batches.append((header, withdrawals))
        first, previous = sequence + 1, header.state_root
    return root, batches


def publish(
    commands: Sequence[Command], lies: Lies | None = None, genesis: Genesis | None = None
) -> dict[str, bytes]:
    """The five published files of a venue that executed these commands."""
    lies, genesis = lies or Lies(), genesis or make_genesis()
    log, hashes = frame_commands(genesis, commands)
    root, batches = make_batches(genesis, commands, hashes, lies)
    honest = [(c.signer, c.get("amount_atoms")) for c in commands if c.kind == CommandKind.DEPOSIT]
    chain = Chain(lies.bound or genesis.hash, root, honest if lies.deposits is None else lies.deposits)
    batch_log, previous = b"", genesis.hash
    for position, (header, withdrawals) in enumerate(batches):
        tail = b"".join(struct.pack("<20sQ", *row) for row in withdrawals)
        frame = encode_frame(2, header.number, header.encode() + tail, previous)
        batch_log, previous = batch_log + frame, frame[-32:]
        if position < len(batches) - lies.unposted:
            chain.client.post_header(lies.posted(header))
            if position == 0:
                chain.claim_first(header.number, withdrawals)
    chain_log, block_count = chain.close()
    extents: list[tuple[int, bytes, bytes]] = [
        (len(commands), log, genesis.hash),
        (len(batches), batch_log, genesis.hash),
        (block_count, chain_log, bytes(32)),
    ]
    head = b"".join(
        struct.pack("<Q32sQ", count, data[-32:] or origin, len(data)) for count, data, origin in extents
    )
    return {
        "genesis.json": genesis.raw,
        "commands.log": log,
        "batches.log": batch_log,
        "chain.log": chain_log,
        "HEAD": encode_frame(4, len(batches), head, genesis.hash),
    }


def change(commands: Sequence[Command], position: int, **fields: Any) -> list[Command]:
    """The same commands, but for some parts of one of them."""
    changed = list(commands)
    changed[position] = changed[position]._replace(**fields)
    return changed
