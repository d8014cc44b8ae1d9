"""Every signature of the command log, recovered and compared with the signer that it names [AUTH-1] [KEY-1].

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
from novate.protocol.generated.records import COSIGNED, SIGNED_BY
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
    """One signature of a command with the digest that it must be of, or the reason why nobody can have signed
    it. `role` says as what the signer, 20 bytes, is named.
    """

    sequence: int
    command: Command
    digest: bytes
    reason: str
    role: str
    signer: bytes
    signature: bytes


class WrongSignature(NamedTuple):
    """A task that does not recover to its signer; `address` is whom it recovers to, if anyone."""

    task: Task
    address: bytes


def iterate_tasks(genesis: Genesis, commands: Sequence[PublishedCommand]) -> Iterator[Task]:
    """Yield each signature with the digest that its signer must have signed; a block trade has two
    [BLOCK-1].
    """
    listings = Replayer(genesis)
    listed = listings.names
    underlyings = [underlying.name for underlying in genesis.underlyings]
    names = Names(lambda number: find_name(listed, number), lambda number: find_name(underlyings, number))
    domain = Domain(genesis.chain_id, genesis.settlement)
    for sequence, published in enumerate(commands, 1):
        command = published.command
        if SIGNED_BY[command.kind]:
            digest, reason = b"", ""
            try:
                digest = compute_digest(command, names, domain)
            # A field came as any int64; one that has no place in the signed struct says so in these ways.
            except (LookupError, ValueError, ArithmeticError, struct.error) as error:
                reason = str(error)
            for role, signer, signature in list_signers(command):
                yield Task(sequence, command, digest, reason, role, signer, signature)
        # Listings depend on time, the operator's nonce and earlier listings only; a leg whose expiry lies
        # ahead is open, and its state is not asked for [COMBO-1].
        if SIGNED_BY[command.kind] == "operator":
            listings.apply(command)
        else:
            listings.pass_time(command)


def list_signers(command: Command) -> list[tuple[str, bytes, bytes]]:
    """Return (role, address, signature) of everybody who signs a command [AUTH-1] [KEY-1] [BLOCK-1].

    Whether a signer other than the account may sign for it is for the replay to say, as KEY_UNKNOWN.
    """
    role = SIGNED_BY[command.kind]
    if role == "account" and command.signer != command.holder:
        role = "signer"
    signers = [(role, command.signer, command.signature)]
    if command.kind in COSIGNED:
        signers.append(("cosigner", command.cosigner, command.cosignature))
    return signers


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
        address = b"" if task.reason else recover_signer(task.digest, task.signature)
        if task.reason or address != task.signer:
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
    for task, address in wrong:
        place, role = describe_place(task.sequence, task.command), task.role
        require(not task.reason, place, f"nobody can have signed it: {task.reason}")
        if address:
            message = f"the signature is not that of the {role} whom the command names"
            raise CheckFailed(place, message, task.signer, address)
        message = f"the {role}'s signature is malformed or malleated: v is 27 or 28, s in the lower half"
        raise CheckFailed(place, message, "a strict signature", task.signature)
