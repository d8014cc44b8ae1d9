"""The exit drill: a venue of many accounts dies at random points, and everybody leaves with L1 and the files.

The history runs forward once on revm; at each kill point the world is remembered, every key of the venue is
thrown away, everybody leaves, and the world is put back. What is owed was written down while the venue lived;
what is paid comes from the published bytes and the contracts alone.
"""

from collections import Counter
from typing import NamedTuple

from novate.protocol.frame import Frame, decode_frame
from novate.protocol.generated.codes import CommandKind
from novate.protocol.genesis import Genesis
from novate.verification.exit_books import Books, find_owner_of, rebuild_books
from novate.verification.exit_value import share_floor
from novate.verification.published import read_batches, read_commands
from tests.apps.exit_venue import DEALS_PER_BATCH, USDC, BereftWorld, LivingVenue, claim_withdrawal
from tests.contracts.escape_world import CLAIM_WINDOW_S, FORCED_DEADLINE_S
from tests.contracts.harness import FINALITY_DELAY_S, STRANGER
from tests.verification.small_genesis import SECOND

BATCHES = 30
STAGES = ("middle", "sealed", "posted")
# Every so many kills the vault has also lost a part, so that claims are cut.
ROBBED_EVERY = 4


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
    """One kill: where, the last word, whether claims were cut, what was paid, and the kinds of account."""

    place: str
    last_word: int
    is_short: bool
    paid_atoms: int
    kinds: Counter[str]


def list_entries(venue: LivingVenue) -> list[tuple[bytes, int]]:
    """Account and amount of every deposit on the chain, in order."""
    credited = [(c.signer, c.get("amount_atoms")) for c in venue.commands if c.kind == CommandKind.DEPOSIT]
    return credited + venue.uncredited


def list_dues(venue: LivingVenue, last_word: int, held_atoms: int) -> tuple[Counter[bytes], bool]:
    """What each address must get, by what was written down, and whether claims are cut.

    `held_atoms` is what the vault holds when the venue dies.
    """
    due: Counter[bytes] = Counter()
    served = venue.headers[last_word - 1][0].inbox_cursor if last_word else 0
    for account, amount in list_entries(venue)[served:]:
        due[account] += amount
    for number in range(1, last_word + 1):
        for index, (account, amount) in enumerate(venue.headers[number - 1][1]):
            due[account] += amount if (number, index) not in venue.claimed else 0
    if not last_word:
        return due, False
    word = venue.words[last_word - 1]
    total = sum(value for _, value in word.values)
    estate = min(held_atoms - sum(due.values()), word.deposited_atoms - word.withdrawn_atoms)
    for payee, value in word.values:
        due[payee] += share_floor(value, estate, total)
    return due, total > estate


def rob(world: BereftWorld) -> None:
    """A fiftieth of the vault is gone: a token that froze it, or a bug that nobody foresaw."""
    loss = world.vault_balance() // 50
    world.call(STRANGER, world.token, "transferFrom", world.vault.address, STRANGER, loss)


def kill(venue: LivingVenue, place: str, robbed: bool) -> Report:
    """Throw the keys away, let everybody leave, check each payment to the atom, and put the world back."""
    world = venue.world
    checkpoint, now_s = world.evm.snapshot(), world.now_s
    world.bereft = True
    people = {person.address: person for person in venue.people}
    before = {address: world.balance(person.text) for address, person in people.items()}
    entries = list_entries(venue)
    exodus = Exodus(world, venue.genesis, *venue.publish())
    last_word = exodus.freeze()
    if robbed and last_word:
        rob(world)
    due, is_short = list_dues(venue, last_word, world.vault_balance())
    exodus.leave(last_word, [("0x" + account.hex(), amount) for account, amount in entries])
    found = {address: world.balance(person.text) - before[address] for address, person in people.items()}
    assert {address: due[address] for address in people} == found
    assert set(due) <= set(people), "Nothing is paid to an address that nobody has."
    kinds = Counter(venue.words[last_word - 1].kinds if last_word else ["unknown"])
    kinds["deposit pending"] += len(entries) - int(world.escape_view("lastCursor")[0])
    kinds["withdrawal pending"] += sum(len(owed) for _, owed in venue.headers) - len(venue.claimed)
    world.bereft = False
    world.evm.revert(checkpoint)
    world.now_s = now_s
    return Report(place, last_word, is_short, sum(found.values()), +kinds)


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
                robbed = len(reports) % ROBBED_EVERY == ROBBED_EVERY - 1
                reports.append(kill(venue, f"batch {batch + 1}, {stage}", robbed))
    return reports
