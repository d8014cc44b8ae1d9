"""The published test vectors are what the engine and the replayer make of their commands."""

import json
from pathlib import Path
from typing import Any

import pytest

from novate.execution.commitment import StateCommitment
from novate.execution.engine import Engine
from novate.protocol.command import decode_payload, encode_payload
from novate.protocol.generated.codes import CommandKind, EventKind
from novate.protocol.genesis import encode_genesis, parse_genesis
from novate.protocol.signing import Domain, compute_digest
from novate.verification.replay import Replayer

STREAMS = sorted((Path(__file__).parents[2] / "vectors" / "streams").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_the_engine_gives_every_event_and_root(path: Path) -> None:
    """Payloads decode and encode again; digests, events and roots are those given."""
    document = load(path)
    genesis = parse_genesis(encode_genesis(document["genesis"]))
    engine, domain = Engine(genesis), Domain(genesis.chain_id, genesis.settlement)
    commitment = StateCommitment(engine)
    for entry in document["commands"]:
        payload = bytes.fromhex(entry["payload"])
        command = decode_payload(payload)
        assert payload == encode_payload(command)
        if "digest" in entry:
            assert entry["digest"] == compute_digest(command, engine.names, domain).hex()
        assert entry["events"] == [list(event) for event in engine.apply([command]).tolist()]
        if "state_root" in entry:
            assert entry["state_root"] == commitment.compute(commitment.collect()).state.hex()


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_the_replayer_gives_every_result_and_root(path: Path) -> None:
    """The law, written a second time, has the same results and the same roots."""
    document = load(path)
    replayer = Replayer(parse_genesis(encode_genesis(document["genesis"])))
    for entry in document["commands"]:
        outcome = replayer.apply(decode_payload(bytes.fromhex(entry["payload"])))
        result = dict(zip(("code", "account", "order_id"), entry["events"][0][2:5], strict=True))
        assert result == {"code": outcome.code, "account": outcome.account, "order_id": outcome.order_id}
        if "state_root" in entry:
            assert entry["state_root"] == replayer.state_root().hex()


def test_the_streams_hold_everything() -> None:
    """Every kind of command and of event occurs."""
    entries = [entry for path in STREAMS for entry in load(path)["commands"]]
    assert set(CommandKind) == {int(entry["payload"][:2], 16) for entry in entries}
    assert set(EventKind) == {event[1] for entry in entries for event in entry["events"]}
