"""Every signature of the command log, recovered and compared with the signer that the command names [AUTH-1].

A signer reads an instrument's name, so names are taken as they were known before each command: one that names
an instrument not yet listed cannot have been signed. Recovery runs in threads: libsecp256k1 holds no lock.
"""

import os
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

from novate.protocol.command import Command
from novate.protocol.generated.records import SIGNED_BY
from novate.protocol.genesis import Genesis
from novate.protocol.signing import Domain, Names, compute_digest, recover_signer
from novate.verification.findings import CheckFailed, require
from novate.verification.published import COMMANDS_FILE, PublishedCommand
from novate.verification.replay import Replayer

Progress = Callable[[int], None]
CHUNK = 500
THREADS_MAX = 8
CHUNKS_AHEAD = 4


class Task(NamedTuple):
    """One signed command with the digest to be recovered, or the reason why nobody can have signed it."""

    sequence: int
    command: Command
    digest: bytes
    reason: str


class WrongSignature(NamedTuple):
    """A task that does not recover to its signer; `address` is whom it recovers to, if anyone."""

    task: Task
    address: bytes


def iterate_tasks(genesis: Genesis, commands: Sequence[PublishedCommand]) -> Iterator[Task]:
    """Yield each signed command with the digest that its signer must have signed."""
    listings = Replayer(genesis)
    listed = listings.names
    underlyings = [underlying.name for underlying in genesis.underlyings]
    names = Names(lambda number: find_name(listed, number), lambda number: find_name(underlyings, number))
    domain = Domain(genesis.chain_id, genesis.settlement)
    for sequence, published in enumerate(commands, 1):
        command = published.command
        if SIGNED_BY[command.kind]:
            try:
                yield Task(sequence, command, compute_digest(command, names, domain), "")
            # A field came as any int64; one that has no place in the signed struct says so in these ways.
            except (LookupError, ValueError, ArithmeticError, struct.error) as error:
                yield Task(sequence, command, b"", str(error))
        # Listings depend on time, the operator's nonce and earlier listings only.
        if SIGNED_BY[command.kind] == "operator":
            listings.apply(command)
        else:
            listings.pass_time(command)


def find_name(names: Sequence[str], number: int) -> str:
    """Return a name by its number; LookupError if there is none yet."""
    if not 0 <= number < len(names):
        raise LookupError(f"number {number} has no name yet")
    return names[number]


def describe_place(sequence: int, command: Command) -> str:
    """Return the place of a command in the log."""
    return f"{COMMANDS_FILE} sequence {sequence} ({command.kind.name})"


def recover_chunk(tasks: Sequence[Task]) -> list[WrongSignature]:
    """Return those that do not recover to their signer."""
    wrong = []
    for task in tasks:
        address = b"" if task.reason else recover_signer(task.digest, task.command.signature)
        if address != task.command.signer:
            wrong.append(WrongSignature(task, address))
    return wrong


def check_signatures(genesis: Genesis, commands: Sequence[PublishedCommand], progress: Progress) -> int:
    """Check every signature and return how many there are.

    Errors     CheckFailed at the first command, in the order of the log, that its signer did not sign.
    """
    tasks = iterate_tasks(genesis, commands)
    count = 0
    waiting: deque[Future[list[WrongSignature]]] = deque()
    with ThreadPoolExecutor(min(THREADS_MAX, os.cpu_count() or 1)) as pool:
        while chunk := list(islice(tasks, CHUNK)):
            waiting.append(pool.submit(recover_chunk, chunk))
            count += len(chunk)
            progress(chunk[-1].sequence)
            if len(waiting) > CHUNKS_AHEAD:
                report_wrong(waiting.popleft().result())
        while waiting:
            report_wrong(waiting.popleft().result())
    return count


def report_wrong(wrong: Sequence[WrongSignature]) -> None:
    """End the check with the first wrong signature, if there is one."""
    for (sequence, command, _, reason), address in wrong:
        place, role = describe_place(sequence, command), SIGNED_BY[command.kind]
        require(not reason, place, f"nobody can have signed it: {reason}")
        if address:
            message = f"the signature is not that of the {role} whom the command names"
            raise CheckFailed(place, message, command.signer, address)
        message = f"the {role}'s signature is malformed or malleated: v is 27 or 28, s in the lower half"
        raise CheckFailed(place, message, "a strict signature", command.signature)
