"""Prints a rolling hash of every event of some random commands, and of the state that they end in.

`python -m tests.twins.replay_hash COMMANDS.json` is run by test_replay_matrix.py in processes that differ in
what must not matter. The file holds the genesis and the payloads, so that the naive model does not run again.
"""

import hashlib
import json
import sys
from pathlib import Path

from novate.execution.engine import Engine
from novate.protocol.command import decode_payload
from novate.protocol.genesis import parse_genesis
from tests.execution.venue import hash_state


def compute_hash(raw: bytes, payloads: list[str], group: int) -> str:
    """The hash over events in groups of commands, then over every table."""
    engine = Engine(parse_genesis(raw))
    commands = [decode_payload(bytes.fromhex(payload)) for payload in payloads]
    rolling = hashlib.blake2b(digest_size=16)
    for start in range(0, len(commands), group):
        rolling.update(engine.apply(commands[start : start + group]).tobytes())
    rolling.update(json.dumps(hash_state(engine), sort_keys=True).encode())
    return rolling.hexdigest()


if __name__ == "__main__":
    held = json.loads(Path(sys.argv[1]).read_text())
    print(compute_hash(bytes.fromhex(held["genesis"]), held["payloads"], int(sys.argv[2])))
