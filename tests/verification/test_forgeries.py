"""Lies that keep every frame, hash and header consistent: each is found, by the right check, and named."""

from collections.abc import Callable

import pytest
from coincurve import PrivateKey

from novate.protocol.command import Command
from novate.protocol.frame import encode_frame
from novate.protocol.generated.codes import CommandKind
from novate.protocol.signing import compute_address, compute_digest, sign_digest
from novate.verification.findings import FAILED, NOT_REACHED
from novate.verification.verdict import verify_files
from tests.verification.small_genesis import ORACLES, STRANGER, TRADERS, make_genesis
from tests.verification.small_venue import (
    Lies,
    Script,
    change,
    frame_commands,
    publish,
    write_script,
)

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
Files = dict[str, bytes]


def find(kind: CommandKind, skip: int = 0) -> int:
    """The position of a command of a kind in the script."""
    return [n for n, command in enumerate(write_script()) if command.kind == kind][skip]


def price_altered() -> Files:
    position = find(CommandKind.PLACE)
    values = list(write_script()[position].values)
    values[4] += 1
    return publish(change(write_script(), position, values=tuple(values)))


def command_dropped() -> Files:
    """The log lacks one command, and its frames chain again; headers and chain are those of the truth."""
    files = publish(write_script())
    position = find(CommandKind.CANCEL)
    shortened = [*write_script()[:position], *write_script()[position + 1 :]]
    return reframe(files, shortened)


def reframe(files: Files, commands: list[Command]) -> Files:
    """Other commands below the same headers, with a HEAD that fits."""
    genesis = make_genesis()
    log, hashes = frame_commands(genesis, commands)
    payload = len(commands).to_bytes(8, "little") + hashes[-1] + len(log).to_bytes(8, "little")
    head = encode_frame(4, 3, payload + files["HEAD"][24 + 48 : -32], genesis.hash)
    return files | {"commands.log": log, "HEAD": head}


def deposit_of_another() -> Files:
    """The second deposit is credited to the first depositor again."""
    first = compute_address(TRADERS[0].public_key)
    truth = [(compute_address(key.public_key), 10**12) for key in TRADERS]
    return publish(change(write_script(), 1, signer=first), Lies(deposits=truth))


def deposit_of_more() -> Files:
    truth = [(compute_address(key.public_key), 10**12) for key in TRADERS]
    return publish(change(write_script(), 1, values=(2, 10**12 + 1)), Lies(deposits=truth))


def deposit_credited_twice() -> Files:
    """The log repeats a deposit, which the law refuses, and the operator's engine credits it."""
    script = list(write_script())
    repeated = [*script[:4], script[3], *script[4:]]
    credited = [*script[:4], script[3]._replace(values=(5, 10**12)), *script[4:]]
    truth = [(compute_address(key.public_key), 10**12) for key in (*TRADERS, TRADERS[3])]
    return publish(repeated, Lies(executed=credited, deposits=truth))


def withdrawal_forged() -> Files:
    thief = compute_address(STRANGER.public_key)
    return publish(write_script(), Lies(withdrawals=lambda number, owed: [*owed, (thief, 10**9)]))


def withdrawal_raised() -> Files:
    def raise_first(number: int, owed: list[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
        return [(owed[0][0], owed[0][1] + 1), *owed[1:]]

    return publish(write_script(), Lies(withdrawals=raise_first))


def state_root_wrong() -> Files:
    wrong = b"\x07" * 32
    return publish(
        write_script(), Lies(header=lambda h: h._replace(state_root=wrong) if h.number == 3 else h)
    )


def marks_root_wrong() -> Files:
    wrong = b"\x07" * 32
    return publish(
        write_script(), Lies(header=lambda h: h._replace(marks_root=wrong) if h.number == 2 else h)
    )


def orders_swapped() -> Files:
    """The operator's engine let the second of two equal orders be filled first."""
    script, first = list(write_script()), find(CommandKind.PLACE)
    swapped = change(change(script, first, **side(script[first + 1])), first + 1, **side(script[first]))
    return publish(script, Lies(executed=swapped))


def side(command: Command) -> dict[str, object]:
    """Everything of a command but its time."""
    return {"kind": command.kind, "values": command.values, "signer": command.signer}


def header_on_chain_different() -> Files:
    return publish(write_script(), Lies(posted=lambda h: h._replace(data_hash=b"\x07" * 32)))


def batch_missing_on_chain() -> Files:
    return publish(write_script(), Lies(unposted=1))


def batch_unpublished() -> Files:
    """The chain holds three batches, of which the folder shows two."""
    files = publish(write_script())
    script = write_script()
    end = find(CommandKind.SEAL, 1) + 1
    shorter = publish(script[:end])
    genesis = make_genesis()
    chain = files["HEAD"][24 + 96 : -32]
    head = encode_frame(4, 2, shorter["HEAD"][24 : 24 + 96] + chain, genesis.hash)
    return shorter | {"chain.log": files["chain.log"], "HEAD": head}


def contract_of_another_genesis() -> Files:
    return publish(write_script(), Lies(bound=b"\x11" * 32))


def oracle_key_wrong() -> Files:
    """An index report names an oracle and is signed by a stranger."""
    return resign(find(CommandKind.INDEX), STRANGER, write_script()[find(CommandKind.INDEX)].signer)


def oracle_unknown() -> Files:
    """A stranger reports under its own name, and the operator's engine takes it for an oracle."""
    position = find(CommandKind.INDEX, 5)
    script = write_script()
    stranger = compute_address(STRANGER.public_key)
    log = change(script, position, signer=stranger, signature=sign(script[position], STRANGER, stranger))
    return publish(log, Lies(engine=make_genesis(STRANGER.secret)))


def resign(position: int, key: PrivateKey, signer: bytes) -> Files:
    signature = sign(write_script()[position], key, signer)
    return publish(change(write_script(), position, signer=signer, signature=signature))


def sign(command: Command, key: PrivateKey, signer: bytes) -> bytes:
    script = Script(1)
    return sign_digest(compute_digest(command._replace(signer=signer), script.names, script.domain), key)


def signature_malleated() -> Files:
    """The other signature of the same order: s is the group's order less s, and v is the other one."""
    position = find(CommandKind.PLACE)
    signature = write_script()[position].signature
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
    return publish(change(write_script(), position, signature=twin))


def instrument_unnamed() -> Files:
    """An order names an instrument that is listed only later."""
    position = find(CommandKind.LIST_INSTRUMENT, 1)
    order = write_script()[find(CommandKind.PLACE)]
    moved = order._replace(time_ns=write_script()[position].time_ns, values=(5, *order.values[1:]))
    return publish([*write_script()[:position], moved, *write_script()[position:]])


FORGERIES: list[tuple[Callable[[], Files], str, tuple[str, ...]]] = [
    (price_altered, "signatures", ("commands.log sequence", "(PLACE)", "not that of the account")),
    (command_dropped, "batch headers", ("batches.log batch", "SEAL")),
    (deposit_of_another, "deposits", ("sequence 2 (DEPOSIT)", "entry 2 of the inbox is another")),
    (
        deposit_of_more,
        "deposits",
        ("sequence 2 (DEPOSIT)", "entry 2 of the inbox is another", "1000000000001 atoms"),
    ),
    (deposit_credited_twice, "replay", ("batch 1", "inbox_cursor")),
    (withdrawal_forged, "replay", ("batch 1", "number of withdrawals")),
    (withdrawal_raised, "replay", ("batch 1 withdrawal 0", "another withdrawal")),
    (state_root_wrong, "replay", ("batch 3", "state_root is not what the law arrives at")),
    (marks_root_wrong, "replay", ("batch 2", "marks_root is not what the law arrives at")),
    (orders_swapped, "replay", ("batch 1", "state_root is not what the law arrives at")),
    (header_on_chain_different, "headers on chain", ("chain.log", "batch 1")),
    (batch_missing_on_chain, "headers on chain", ("chain.log", "batch 3 is missing")),
    (batch_unpublished, "headers on chain", ("chain.log", "not published")),
    (contract_of_another_genesis, "headers on chain", ("chain.log", "another genesis file")),
    (oracle_key_wrong, "signatures", ("(INDEX)", "not that of the oracle")),
    (oracle_unknown, "replay", ("state_root", "ORACLE_UNKNOWN")),
    (signature_malleated, "signatures", ("(PLACE)", "malleated")),
    (instrument_unnamed, "signatures", ("(PLACE)", "nobody can have signed it")),
]


@pytest.mark.parametrize(
    ("forge", "check", "words"), FORGERIES, ids=[forge.__name__ for forge, _, _ in FORGERIES]
)
def test_a_consistent_forgery_is_found_and_named(
    forge: Callable[[], Files], check: str, words: tuple[str, ...]
) -> None:
    """Consistent hashes do not make a lie true: the first check that fails is the one made for it."""
    verdict = verify_files(forge())
    assert verdict.failed is not None, "the forgery went unnoticed"
    assert check == verdict.failed.name, verdict.describe()
    assert [] == [word for word in words if word not in verdict.describe()], verdict.describe()


def test_checks_after_a_failure_are_not_reached() -> None:
    """A verdict never claims more than was looked at."""
    files = publish(write_script()[: find(CommandKind.SEAL) + 1])
    verdict = verify_files(files | {"commands.log": b""})
    states = [check.state for check in verdict.checks]
    assert FAILED == states[3]
    assert {NOT_REACHED} == set(states[4:])
    assert not verdict.ok


def test_an_honest_oracle_set_is_kept() -> None:
    """The forged genesis differs in its last oracle only, or the forgery above proves nothing."""
    honest, forged = make_genesis(), make_genesis(STRANGER.secret)
    assert honest.oracles[:2] == forged.oracles[:2]
    assert compute_address(ORACLES[2].public_key) == honest.oracles[2]
