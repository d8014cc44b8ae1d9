"""Headers against commands: what a header says of the log's bytes, and what replaying must arrive at.

The first part needs no replay and comes before it. Verifies [HEADER-1], [STATE-7] and [SETTLE-1].
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from novate.protocol.frame import keccak256
from novate.protocol.generated.codes import Code, CommandKind
from novate.protocol.genesis import Genesis
from novate.protocol.header import BatchHeader
from novate.protocol.withdrawals import Withdrawal, compute_withdrawals_root, hash_withdrawal
from novate.verification.findings import CheckFailed, require, require_equal, show
from novate.verification.published import BATCHES_FILE, COMMANDS_FILE, PublishedBatch, PublishedCommand
from novate.verification.replay import Replayer
from novate.verification.state import BrokenInvariant, State

Progress = Callable[[int], None]
PROGRESS_EVERY = 256


class ReplayResult(NamedTuple):
    """The venue after the log: its state, how often each code occurred, and the credited deposits."""

    state: State
    codes: Counter[str]
    deposits: list[tuple[int, int, bytes, int]]  # sequence, cursor, account, amount


def check_batches(commands: Sequence[PublishedCommand], batches: Sequence[PublishedBatch]) -> int:
    """Compare each header with the bytes of its commands and withdrawals; return how many there are."""
    last_sequence = 0
    previous_root = b""
    for batch in batches:
        header = batch.header
        place = f"{BATCHES_FILE} batch {header.number}"
        found = header.first_sequence
        require_equal(last_sequence + 1, found, place, "its first sequence does not follow the batch before")
        message = "its last sequence is not that of a command in commands.log"
        require(found <= header.last_sequence <= len(commands), place, message, "", header.last_sequence)
        last_sequence = header.last_sequence
        last = commands[last_sequence - 1]
        require(
            last.command.kind == CommandKind.SEAL,
            place,
            f"its last command, sequence {last_sequence}, is no SEAL",
        )
        message = f"journalHead is not the hash of the frame of sequence {last_sequence}"
        require_equal(last.frame_hash, header.journal_head, place, message)
        payloads = b"".join(command.payload for command in commands[found - 1 : last_sequence])
        message = f"dataHash is not the hash of commands {found} to {last_sequence}"
        require_equal(keccak256(payloads), header.data_hash, place, message)
        message = "withdrawalsRoot is not the root of the withdrawals listed with the header"
        root = hash_withdrawals(header.number, batch.withdrawals)
        require_equal(root, header.withdrawals_root, place, message)
        if previous_root:
            message = "previousStateRoot is not the state root of the batch before"
            require_equal(previous_root, header.previous_state_root, place, message)
        previous_root = header.state_root
    return len(batches)


def hash_withdrawals(number: int, withdrawals: Sequence[tuple[bytes, int]]) -> bytes:
    """Return the withdrawals root of a batch [SETTLE-11]."""
    leaves = [
        hash_withdrawal(Withdrawal(number, index, account, amount))
        for index, (account, amount) in enumerate(withdrawals)
    ]
    return compute_withdrawals_root(leaves)


def check_replay(
    genesis: Genesis,
    commands: Sequence[PublishedCommand],
    batches: Sequence[PublishedBatch],
    progress: Progress,
) -> ReplayResult:
    """Apply every command by the law and compare each batch's header with what it arrives at.

    Errors     CheckFailed at the first batch that differs, naming the field.
    """
    replayer = Replayer(genesis)
    result = ReplayResult(replayer.state, Counter(), [])
    previous_root, first_sequence = replayer.state_root(), 1
    refused: list[str] = []
    for sequence, published in enumerate(commands, 1):
        command = published.command
        try:
            code = replayer.apply(command).code
        except BrokenInvariant as error:
            raise CheckFailed(f"{COMMANDS_FILE} sequence {sequence}", str(error)) from error
        result.codes[code.name] += 1
        if code != Code.OK:
            refused.append(f"sequence {sequence} ({command.kind.name}) with {code.name}")
        elif command.kind == CommandKind.DEPOSIT:
            result.deposits.append((sequence, command.values[0], command.signer, command.values[1]))
        elif command.kind == CommandKind.SEAL and command.values[0] <= len(batches):
            batch = batches[command.values[0] - 1]
            place = f"{BATCHES_FILE} batch {batch.header.number}"
            withdrawals, replayer.state.withdrawals = tuple(replayer.state.withdrawals), []
            check_withdrawals(place, withdrawals, batch.withdrawals)
            expected = make_header(replayer, commands, first_sequence, previous_root, withdrawals)
            compare_headers(place, expected, batch.header, refused)
            previous_root, first_sequence = expected.state_root, sequence + 1
            refused.clear()
        if sequence % PROGRESS_EVERY == 0 or sequence == len(commands):
            progress(sequence)
    message = "the commands seal fewer batches than batches.log holds"
    require(replayer.state.batch >= len(batches), COMMANDS_FILE, message, len(batches), replayer.state.batch)
    return result


def check_withdrawals(
    place: str, owed: Sequence[tuple[bytes, int]], listed: Sequence[tuple[bytes, int]]
) -> None:
    """Compare the withdrawals that the law accepted with those listed."""
    for index, (expected, found) in enumerate(zip(owed, listed, strict=False)):
        here, message = f"{place} withdrawal {index}", "the law accepted another withdrawal"
        require_equal(describe_withdrawal(*expected), describe_withdrawal(*found), here, message)
    message = "it lists another number of withdrawals than the law accepted"
    require_equal(len(owed), len(listed), place, message)


def describe_withdrawal(account: bytes, amount_atoms: int) -> str:
    """Return a withdrawal in words."""
    return f"{amount_atoms} atoms to {show(account)}"


def make_header(
    replayer: Replayer,
    commands: Sequence[PublishedCommand],
    first_sequence: int,
    previous_root: bytes,
    withdrawals: Sequence[tuple[bytes, int]],
) -> BatchHeader:
    """Return the header that the law gives to the batch which was just sealed [HEADER-1]."""
    state = replayer.state
    batch = commands[first_sequence - 1 : state.sequence]
    state_root = replayer.state_root()
    return BatchHeader(
        number=state.batch,
        previous_state_root=previous_root,
        state_root=state_root,
        first_sequence=first_sequence,
        last_sequence=state.sequence,
        journal_head=batch[-1].frame_hash,
        inbox_cursor=state.deposit_cursor,
        withdrawals_root=hash_withdrawals(state.batch, withdrawals),
        marks_root=replayer.marks_root(),
        data_hash=keccak256(b"".join(command.payload for command in batch)),
        time_ns=batch[-1].command.time_ns,
    )


def compare_headers(place: str, expected: BatchHeader, found: BatchHeader, refused: Sequence[str]) -> None:
    """End the check with the first field in which two headers differ, the roots last.

    A root says only that something differs, so what the law refused in the batch is named with it.
    """
    names = sorted(BatchHeader._fields, key=lambda name: name.endswith("_root"))
    for name in names:
        message = f"{name} is not what the law arrives at"
        if refused and name.endswith("_root"):
            message += f"; the law refused {len(refused)} commands of this batch, first {refused[0]}"
        require_equal(getattr(expected, name), getattr(found, name), place, message)
