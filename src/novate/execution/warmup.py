"""Warm-up: compile or load every kernel before the first order, on a throw-away venue, and tell how far it
is.
"""

import itertools
import time
from collections.abc import Callable

import numpy as np

from novate.execution.capture import Room, capture_state
from novate.execution.commitment import StateCommitment
from novate.execution.engine import Engine
from novate.execution.frame_scan import find_ends
from novate.execution.journal import FRAME_COMMAND, Position
from novate.execution.payload_rows import decode_run, make_desk
from novate.execution.snapshot import rebuild_indexes
from novate.execution.views import read_account, read_book, read_positions
from novate.kernel import JIT_ENABLED, watch_compilations
from novate.protocol.command import Command, encode_payload, make_command
from novate.protocol.frame import HASH_BYTES, encode_frame
from novate.protocol.generated.codes import CommandKind, InstrumentKind
from novate.protocol.genesis import FEE_NAMES, PARAMETER_NAMES, encode_genesis, parse_genesis

# Kernels compiled by one warm-up, counted once; only the progress bar uses it.
KERNEL_COUNT_ESTIMATE = 300
HOUR_NS = 3_600_000_000_000
START_NS = 1_700_000_000_000_000_000
ACTOR = b"\x01" * 20
Progress = Callable[[int, int], None]

WARNING_E6 = 1_200_000


def make_small_genesis() -> bytes:
    """Return the genesis of a throw-away venue with one of everything."""
    actor = "0x" + ACTOR.hex()
    underlying = {
        "name": "WARM",
        "index_atoms_max": 1 << 30,
        "option_lots_per_unit": 10,
        "option_tick_atoms": 1000,
        "perpetual_lots_per_unit": 10,
        "perpetual_tick_atoms": 1000,
        "funding_impact_lots": 1,
        "slice_notional_atoms": 1000,
    }
    parameters = {name: HOUR_NS if "_ns" in name else 1000 for name in PARAMETER_NAMES}
    parameters["warning_e6"] = WARNING_E6
    limits = {"accounts": 4, "orders": 16, "positions": 16, "instruments": 4, "series": 4, "triggers": 4}
    document = {
        "version": 1,
        "chain_id": 1,
        "settlement": actor,
        "operator": actor,
        "oracles": [actor],
        "quorum": 1,
        "underlyings": [underlying],
        "limits": limits,
        "parameters": parameters,
        "fee_tiers": [dict.fromkeys(FEE_NAMES, 1000)],
    }
    return encode_genesis(document)


def make_commands() -> list[Command]:
    """Return commands that reach every kernel of the engine: the first call compiles all it can reach."""
    deposit = make_command(CommandKind.DEPOSIT, START_NS, ACTOR, cursor=1, amount_atoms=10**12)
    perpetual = make_command(
        CommandKind.LIST_INSTRUMENT,
        START_NS,
        ACTOR,
        underlying=0,
        instrument_kind=InstrumentKind.PERPETUAL,
        strike_atoms=0,
        expiry_ns=0,
        nonce=1,
        expires_ns=START_NS + HOUR_NS,
    )
    # The listing gives the state tree an instrument to hash, so that its kernels too are ready before a SEAL.
    seal = make_command(CommandKind.SEAL, START_NS, batch=1)
    return [deposit, perpetual, make_command(CommandKind.TICK, START_NS), seal]


def warm_up(progress: Progress = lambda done, total: None) -> float:
    """Compile or load every kernel and return the seconds it took."""
    begun = time.perf_counter()
    compiled = itertools.count(1)
    with watch_compilations(
        lambda: progress(min(next(compiled), KERNEL_COUNT_ESTIMATE), KERNEL_COUNT_ESTIMATE)
    ):
        exercise()
    progress(KERNEL_COUNT_ESTIMATE, KERNEL_COUNT_ESTIMATE)
    return time.perf_counter() - begun


def exercise() -> None:
    """Run a throw-away engine through its batch kernel, reads, rebuild and state tree."""
    engine = Engine(parse_genesis(make_small_genesis()))
    engine.apply(make_commands())
    read_book(engine, 0, 1)
    read_account(engine, 0)
    read_positions(engine, 0)
    rebuild_indexes(engine.world)
    room = Room()
    room.prepare(engine)
    capture_state(engine, Position(engine.sequence, bytes(HASH_BYTES)), room)
    commitment = StateCommitment(engine)
    commitment.compute(commitment.collect(everything=True))
    if JIT_ENABLED:
        exercise_recovery(engine)


def exercise_recovery(engine: Engine) -> None:
    """Check and decode one frame of a journal."""
    payload = encode_payload(make_command(CommandKind.TICK, START_NS))
    data = bytearray(HASH_BYTES) + encode_frame(FRAME_COMMAND, 1, payload, bytes(HASH_BYTES))
    ends = find_ends(data, 1, FRAME_COMMAND)
    desk = make_desk(engine, len(data))
    assert decode_run(engine.world, desk, np.frombuffer(data, np.uint8), ends, 0, 1) == 1
