"""A living venue of many accounts for the exit drill: money and headers on revm, the rest in files.

What everybody is worth is written down at each seal, by the replayer's margin sums.
"""

import json
import random
import struct
from collections import Counter
from typing import Any, NamedTuple

from coincurve import PrivateKey

from novate.protocol.command import encode_payload, make_command
from novate.protocol.frame import encode_frame, keccak256
from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind, Side, TimeInForce
from novate.protocol.generated.constants import NS_PER_S
from novate.protocol.genesis import Genesis, encode_genesis, parse_genesis
from novate.protocol.header import BatchHeader
from novate.protocol.signing import Domain, Names, compute_address, sign_command
from novate.protocol.withdrawals import (
    Withdrawal,
    compute_withdrawals_root,
    hash_withdrawal,
)
from novate.settlement.client import compute_create_address
from novate.settlement.compiler import compile_source
from novate.verification.replay import Replayer
from novate.verification.risk import compute_equity, compute_standing
from novate.verification.state import Account, State
from tests.contracts.escape_world import EscapeWorld
from tests.contracts.harness import (
    DEPLOYER,
    GENESIS_ROOT,
    GUARDIAN,
    OPERATOR,
    Contract,
)
from tests.verification import small_venue
from tests.verification.small_genesis import BTC, SECOND, SPOT_ATOMS, START_S, make_genesis

DEALS_PER_BATCH = 14
USDC = 1_000_000
PROVER = "0x" + "a0" + "00" * 18 + "77"
PRIVILEGED = {OPERATOR, GUARDIAN, DEPLOYER, PROVER}
# A rung of finality that lags behind: it stands for a quorum or a proof, and dies with the venue.
PROVER_SOURCE = """#pragma version 0.4.3
provenCount: public(uint64)


@external
def prove(count: uint64):
    self.provenCount = count
"""


def make_drill_genesis(accounts: int) -> Genesis:
    """The small venue's genesis with room for many."""
    document: dict[str, Any] = json.loads(make_genesis().raw)
    room = {"accounts": 2 * accounts, "positions": 16 * accounts, "orders": 4_096}
    document["limits"] |= room
    return parse_genesis(encode_genesis(document))


class Person(NamedTuple):
    """A wallet."""

    key: PrivateKey
    address: bytes

    @property
    def text(self) -> str:
        return "0x" + self.address.hex()


def make_person(number: int) -> Person:
    key = PrivateKey(keccak256(b"person" + number.to_bytes(4, "big")))
    return Person(key, compute_address(key.public_key))


class Word(NamedTuple):
    """Each account's payee and value when a batch was sealed, and the kinds of account."""

    values: list[tuple[bytes, int]]
    kinds: Counter[str]
    deposited_atoms: int
    withdrawn_atoms: int


class BereftWorld(EscapeWorld):
    """A world whose privileged keys can be thrown away, with a rung of finality that lags behind."""

    bereft = False

    def __init__(self) -> None:
        # A token that asks for no allowance, so that a drill can rob the vault.
        super().__init__(token="HostileToken", verifier=compute_create_address(PROVER, 0))
        code = compile_source("Prover", PROVER_SOURCE).creation_code
        address = self.evm.deploy(PROVER, code, gas=1_000_000, gas_price=0)
        inputs = [{"name": "count", "type": "uint64"}]
        self.prover = Contract(
            address, {"prove": {"type": "function", "name": "prove", "inputs": inputs, "outputs": []}}
        )

    def call(self, sender: str, *arguments: Any, **options: Any) -> Any:
        assert not (self.bereft and sender in PRIVILEGED), "Nobody has that key any more."
        return super().call(sender, *arguments, **options)


class LivingVenue(small_venue.Script):
    """Two hundred people trade; every deposit, header and claim is on the chain, the rest in the files."""

    def __init__(self, seed: int, accounts: int) -> None:
        self.genesis = make_drill_genesis(accounts)
        self.random = random.Random(seed)
        self.replayer = Replayer(self.genesis)
        self.commands = []
        self.time_ns = START_S * SECOND
        self.nonces = {}
        underlyings = [underlying.name for underlying in self.genesis.underlyings]
        self.names = Names(lambda n: self.replayer.names[n], lambda n: underlyings[n])
        self.domain = Domain(self.genesis.chain_id, self.genesis.settlement)
        self.spots = list(SPOT_ATOMS)
        self.people = [make_person(number) for number in range(accounts)]
        self.world = BereftWorld()
        self.headers: list[tuple[BatchHeader, list[tuple[bytes, int]]]] = []
        self.words: list[Word] = []
        self.frames: list[bytes] = []
        self.claimed: set[tuple[int, int]] = set()
        self.uncredited: list[tuple[bytes, int]] = []
        self.previous_root = GENESIS_ROOT
        self.first_sequence = 1
        self.proven = 0

    @property
    def state(self) -> State:
        return self.replayer.state

    def go(self) -> None:
        """Let the chain's clock show the venue's time."""
        self.world.now_s = max(self.world.now_s, self.time_ns // NS_PER_S)

    def pay_in(self, person: Person, amount: int) -> None:
        """A deposit on the chain that the venue has not credited yet."""
        self.go()
        self.world.put_in(amount, person.text)
        self.uncredited.append((person.address, amount))

    def credit(self) -> None:
        """Credit what came in."""
        for address, amount in self.uncredited:
            cursor = self.state.deposit_cursor + 1
            fields = {"cursor": cursor, "amount_atoms": amount}
            assert Code.OK == self.add(CommandKind.DEPOSIT, signer=address, **fields)
        self.uncredited.clear()

    def begin(self) -> None:
        """Everybody deposits, some have sub-accounts, everything is listed."""
        for number, person in enumerate(self.people):
            self.pay_in(person, (300 if number % 3 else 20_000) * USDC + number)
        self.credit()
        for person in self.people[::12]:
            assert Code.OK == self.add(CommandKind.CREATE_SUBACCOUNT, person.key, subaccount=2)
        now_s = self.time_ns // SECOND
        expiries = [(now_s + seconds) * SECOND for seconds in (1_300, 30 * 86_400)]
        listings = [(u, InstrumentKind.PERPETUAL, 0, 0) for u in (0, 1)]
        listings += [
            (BTC, kind, 82_000 * USDC, expiry)
            for kind in (InstrumentKind.CALL, InstrumentKind.PUT)
            for expiry in expiries
        ]
        listings.append((BTC, InstrumentKind.FUTURE, 0, expiries[1]))
        for underlying, kind, strike, expiry in listings:
            fields = {"underlying": underlying, "instrument_kind": kind, "strike_atoms": strike}
            self.add(CommandKind.LIST_INSTRUMENT, small_venue.OPERATOR, expiry_ns=expiry, **fields)
        self.report_indices()
        for expiry in expiries:
            self.report_surface(expiry)
        self.add(CommandKind.TICK)

    def report_indices(self) -> None:
        for underlying, spot in enumerate(self.spots):
            for key in small_venue.ORACLES[:2]:
                fields = {"underlying": underlying, "index_atoms": spot, "confidence_e6": 990_000}
                self.add(CommandKind.INDEX, key, observed_ns=self.time_ns, **fields)

    def deal(self) -> None:
        """Two people meet at the mark."""
        live = [i for i in self.state.instruments if i.mark_atoms > 0]
        instrument = self.random.choice(live)
        ticks = max(1, instrument.mark_atoms // instrument.tick_atoms + self.random.randrange(-2, 3))
        seller, buyer = self.random.sample(self.people, 2)
        size = 40 if instrument.is_linear else 3
        fields = {
            "instrument": instrument.number,
            "lots": self.random.randrange(1, size),
            "price_ticks": ticks,
        }
        self.add(CommandKind.PLACE, seller.key, side=Side.SELL, time_in_force=TimeInForce.GTC, **fields)
        self.add(CommandKind.PLACE, buyer.key, side=Side.BUY, time_in_force=TimeInForce.IOC, **fields)

    def live(self) -> None:
        """Half a batch: a move, trades, a withdrawal, a transfer; deposits that the other half credits."""
        reach = self.random.choice((20, 60, 200, 3_000))
        shift = self.random.randrange(-reach, reach + 1)
        self.spots = [spot * (10_000 + shift) // 10_000 for spot in SPOT_ATOMS]
        self.report_indices()
        self.add(CommandKind.TICK)
        for _ in range(DEALS_PER_BATCH // 2):
            self.deal()
        for person in self.random.sample(self.people, 2):
            self.add(CommandKind.WITHDRAW, person.key, amount_atoms=self.random.randrange(1, 50 * USDC))
        person = self.random.choice(self.people[::12])
        place = keccak256(person.address + (2).to_bytes(32, "big"))[12:]
        amount = self.random.randrange(1, 20 * USDC)
        self.transfer(person, place, amount)

    def transfer(self, person: Person, receiver: bytes, amount: int) -> None:
        """Move cash to a sub-account."""
        self.time_ns += SECOND
        self.nonces[person.address] = self.nonces.get(person.address, 0) + 1
        fields = {"nonce": self.nonces[person.address], "expires_ns": self.time_ns + 3600 * SECOND}
        command = make_command(CommandKind.TRANSFER, self.time_ns, b"", amount_atoms=amount, **fields)
        command = sign_command(command._replace(subject=receiver), self.names, self.domain, person.key)
        self.commands.append(command)
        self.replayer.apply(command)

    def seal_batch(self) -> None:
        """Seal, write down what everybody is worth, and publish."""
        self.seal()
        number = self.state.batch
        owed = list(self.state.withdrawals)
        self.state.withdrawals = []
        root = self.replayer.state_root()
        previous = self.frames[-1][-32:] if self.frames else self.genesis.hash
        for sequence in range(len(self.frames) + 1, len(self.commands) + 1):
            frame = encode_frame(1, sequence, encode_payload(self.commands[sequence - 1]), previous)
            self.frames.append(frame)
            previous = frame[-32:]
        leaves = [hash_withdrawal(Withdrawal(number, i, *row)) for i, row in enumerate(owed)]
        header = BatchHeader(
            number,
            self.previous_root,
            root,
            self.first_sequence,
            len(self.commands),
            previous,
            self.state.deposit_cursor,
            compute_withdrawals_root(leaves),
            self.replayer.marks_root(),
            bytes(32),
            self.time_ns,
        )
        self.headers.append((header, owed))
        self.words.append(write_down(self.state))
        self.previous_root, self.first_sequence = root, len(self.commands) + 1

    def post_batch(self) -> None:
        """Put the last header on the chain."""
        self.go()
        self.world.call(OPERATOR, self.world.settlement, "submit", tuple(self.headers[-1][0]))
        proven = max(0, len(self.headers) - self.random.randrange(4))
        if proven > self.proven:
            self.world.call(PROVER, self.world.prover, "prove", proven)
            self.proven = proven

    def claim_some(self) -> None:
        """Some of those whose withdrawals are final take them."""
        last = self.world.view(self.world.settlement, "lastFinal")
        for number in range(1, last + 1):
            for index in range(len(self.headers[number - 1][1])):
                if (number, index) not in self.claimed and self.random.random() < 0.2:
                    claim_withdrawal(self.world, number, index, self.headers[number - 1][1])
                    self.claimed.add((number, index))

    def publish(self) -> tuple[bytes, bytes]:
        """The bytes of commands.log and batches.log up to the last sealed batch."""
        batch_log, previous = b"", self.genesis.hash
        for header, owed in self.headers:
            tail = b"".join(struct.pack("<20sQ", *row) for row in owed)
            frame = encode_frame(2, header.number, header.encode() + tail, previous)
            batch_log, previous = batch_log + frame, frame[-32:]
        return b"".join(self.frames), batch_log


def write_down(state: State) -> Word:
    """Each account's payee and value by the margin sums of the law, and what kinds of accounts there are."""
    values, kinds = [], Counter[str]()
    for account in state.accounts:
        payee = account.owner.address if account.owner else account.address
        values.append((payee, max(0, compute_equity(state, account))))
        kinds[classify(state, account)] += 1
    return Word(values, kinds, state.deposited_atoms, state.withdrawn_atoms)


def classify(state: State, account: Account) -> str:
    """Flat, long, short, liquidatable or bankrupt."""
    equity, maintenance = compute_standing(state, account)
    if equity < maintenance:
        return "bankrupt" if equity < 0 else "liquidatable"
    lots = [position.lots for holdings in account.holdings for position in holdings.values()]
    return "long" if sum(lots) > 0 else "short" if sum(lots) < 0 else "flat"


def claim_withdrawal(world: EscapeWorld, number: int, index: int, owed: list[tuple[bytes, int]]) -> None:
    """Claim one withdrawal of a final batch."""
    withdrawals = [Withdrawal(number, place, *row) for place, row in enumerate(owed)]
    world.claim(withdrawals, index)
