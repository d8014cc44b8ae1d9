"""The exit drill: a venue of many accounts dies at random points, and everybody leaves with L1 and the files.

The history runs forward once on revm; at each kill point the world is remembered, every key of the venue is
thrown away, everybody leaves, and the world is put back. What is owed is written down while the venue lives,
by the replayer's margin sums; what is paid comes from the published bytes and the contracts alone.
"""

import random
import struct
from collections import Counter
from typing import Any, NamedTuple

from coincurve import PrivateKey

from novate.protocol.command import encode_payload
from novate.protocol.frame import Frame, decode_frame, encode_frame, keccak256
from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind, Side, TimeInForce
from novate.protocol.generated.constants import NS_PER_S
from novate.protocol.genesis import Genesis, encode_genesis, parse_genesis
from novate.protocol.header import BatchHeader
from novate.protocol.signing import Domain, Names, compute_address
from novate.protocol.withdrawals import (
    Withdrawal,
    compute_withdrawals_root,
    hash_withdrawal,
    prove_withdrawal,
)
from novate.settlement.client import compute_create_address
from novate.settlement.compiler import compile_source
from novate.verification.exit_books import Books, find_owner_of, rebuild_books
from novate.verification.published import read_batches, read_commands
from novate.verification.replay import Replayer
from novate.verification.risk import compute_equity, compute_standing
from novate.verification.state import Account, State
from tests.contracts.escape_world import CLAIM_WINDOW_S, FORCED_DEADLINE_S, EscapeWorld
from tests.contracts.harness import (
    DEPLOYER,
    FINALITY_DELAY_S,
    GENESIS_ROOT,
    GUARDIAN,
    OPERATOR,
    STRANGER,
    Contract,
)
from tests.verification import small_venue
from tests.verification.small_genesis import BTC, SECOND, SPOT_ATOMS, START_S, make_genesis

BATCHES = 30
STAGES = ("middle", "sealed", "posted")
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
    import json

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
    """What was written down when a batch was sealed: each account's payee and value, and the kinds of account."""

    values: list[tuple[bytes, int]]
    kinds: Counter[str]


class BereftWorld(EscapeWorld):
    """A world in which the venue's keys can be thrown away; a batch is final only when it is proven as well."""

    bereft = False

    def __init__(self) -> None:
        super().__init__(verifier=compute_create_address(PROVER, 0))
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
        expiries = [(START_S + seconds) * SECOND for seconds in (1_500, 30 * 86_400)]
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
        from novate.protocol.command import make_command
        from novate.protocol.signing import sign_command

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
    return Word(values, kinds)


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


def split_frames(data: bytes, origin: bytes) -> list[Frame]:
    """The frames of a published log."""
    frames, offset, previous = [], 0, origin
    while offset < len(data):
        frame = decode_frame(data, offset, previous)
        frames.append(frame)
        offset, previous = frame.end, frame.hash
    return frames


class Exodus:
    """Everybody leaves a dead venue, by its files and its contracts alone."""

    def __init__(self, world: BereftWorld, genesis: Genesis, commands_log: bytes, batches_log: bytes) -> None:
        self.world = world
        self.genesis = genesis
        self.commands = read_commands(split_frames(commands_log, genesis.hash))
        self.batches = read_batches(split_frames(batches_log, genesis.hash))
        self.claimed_atoms = 0

    def freeze(self) -> int:
        """Somebody asks, nobody answers, anybody freezes; return the last word."""
        world = self.world
        entry = world.escape_call("request", 1, sender=STRANGER)
        world.now_s += FORCED_DEADLINE_S
        world.escape_call("freeze", entry)
        return int(world.escape_view("lastWord")[0])

    def leave(self, last_word: int, deposits: list[tuple[str, int]]) -> Books | None:
        """Open the books, post the marks, claim for all, take what was owed before, refunds, and collect."""
        world, books = self.world, None
        first = world.escape_view("lastCursor")[0] + 1
        for cursor, (account, amount) in enumerate(deposits, 1):
            if cursor >= first:
                world.escape_call("refund", cursor, account, 0, amount, sender=account)
        if last_word:
            books = rebuild_books(
                self.genesis, self.commands, self.batches, last_word, lambda done, total: None
            )
            self.claim_all(books)
            for batch in self.batches[:last_word]:
                self.claim_owed(batch.header.number, list(batch.withdrawals))
            world.now_s += CLAIM_WINDOW_S
            for account in books.state.accounts:
                if world.escape_view("claimOf", account.number)[1]:
                    world.escape_call("collect", account.number)
        return books

    def claim_all(self, books: Books) -> None:
        """Post every mark that somebody holds and record every claim."""
        world = self.world
        house = books.house
        words = [*house, *[0] * (-len(house) % 3)]
        world.escape_call("openBooks", tuple(books.header), books.roots, words, len(house))
        for number in sorted({n for account in books.state.accounts for n in books.list_held(account)}):
            world.escape_call("postMark", *books.prove_mark(number))
        for account in books.state.accounts:
            world.escape_call("claim", *books.prove_account(account), False)
            named = find_owner_of(account)
            if named:
                world.escape_call("nameOwner", "0x" + named[0].hex(), named[1])
            found = int(world.escape_view("claimOf", account.number)[1])
            assert books.compute_value(account) == found, "Contract and twin agree."
            self.claimed_atoms += found

    def claim_owed(self, number: int, owed: list[tuple[bytes, int]]) -> None:
        """Take the withdrawals of a final batch that were not taken before."""
        for index in range(len(owed)):
            if not self.world.view(self.world.vault, "isClaimed", number, index):
                claim_withdrawal(self.world, number, index, owed)


class Report(NamedTuple):
    """One kill: where, the last word, whether claims were cut, what was paid out, and the kinds of account."""

    place: str
    last_word: int
    is_short: bool
    paid_atoms: int
    kinds: Counter[str]


def kill(venue: LivingVenue, place: str) -> Report:
    """Throw the keys away here, let everybody leave, check each payment to the atom, and put the world back."""
    world = venue.world
    checkpoint, now_s = world.evm.snapshot(), world.now_s
    world.bereft = True
    people = {person.address: person for person in venue.people}
    before = {address: world.balance(person.text) for address, person in people.items()}
    entries = [
        (("0x" + c.signer.hex()), c.get("amount_atoms"))
        for c in venue.commands
        if c.kind == CommandKind.DEPOSIT
    ]
    entries += [("0x" + address.hex(), amount) for address, amount in venue.uncredited]
    exodus = Exodus(world, venue.genesis, *venue.publish())
    last_word = exodus.freeze()
    exodus.leave(last_word, entries)
    cursor = world.escape_view("lastCursor")[0]
    due: Counter[bytes] = Counter()
    for account, amount in entries[cursor:]:
        due[bytes.fromhex(account[2:])] += amount
    values = venue.words[last_word - 1].values if last_word else []
    total, estate = sum(value for _, value in values), int(world.escape_view("estate")[0])
    for payee, value in values:
        due[payee] += value if total <= estate else value * estate // total
    for number in range(1, last_word + 1):
        for index, (account, amount) in enumerate(venue.headers[number - 1][1]):
            due[account] += amount if (number, index) not in venue.claimed else 0
    found = {address: world.balance(person.text) - before[address] for address, person in people.items()}
    assert {address: due[address] for address in people} == found
    assert set(due) <= set(people), "Nothing is paid to an address that nobody has."
    kinds = venue.words[last_word - 1].kinds if last_word else Counter(["unknown"])
    kinds = kinds + Counter({"deposit pending": len(entries) - cursor})
    kinds += Counter({"withdrawal pending": sum(len(owed) for _, owed in venue.headers) - len(venue.claimed)})
    world.bereft = False
    world.evm.revert(checkpoint)
    world.now_s = now_s
    return Report(place, last_word, total > estate, sum(found.values()), kinds)


def run_drill(seed: int, accounts: int, kills: int) -> list[Report]:
    """Live through a history and die at random points of it."""
    venue = LivingVenue(seed, accounts)
    places = [(batch, stage) for batch in range(BATCHES) for stage in STAGES]
    chosen = set(venue.random.sample(places, min(kills, len(places))))
    reports = []
    venue.begin()
    for batch in range(BATCHES):
        for stage in STAGES:
            if stage == "middle":
                venue.live()
                for person in venue.random.sample(venue.people, 2):
                    venue.pay_in(person, venue.random.randrange(1, 100 * USDC))
            elif stage == "sealed":
                venue.credit()
                for _ in range(DEALS_PER_BATCH // 2):
                    venue.deal()
                venue.seal_batch()
                venue.time_ns += (FINALITY_DELAY_S // 4) * SECOND
            else:
                venue.post_batch()
                venue.claim_some()
            if (batch, stage) in chosen:
                reports.append(kill(venue, f"batch {batch + 1}, {stage}"))
    return reports
