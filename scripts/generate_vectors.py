"""Write the law's test vectors: random commands of each kind of venue, and what the engine made of them.

    python scripts/generate_vectors.py [--check]

Each file of vectors/streams is one venue: its genesis document, and for every command its payload, the digest
that its signer signs, all its events, and after an accepted SEAL the state root. vectors/README.md says how
to read them. `--check` writes nothing and exits with 1 if a file is not what the engine does.
"""

import argparse
import json
import struct
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from novate.execution.commitment import StateCommitment  # noqa: E402
from novate.execution.engine import Engine  # noqa: E402
from novate.protocol.command import Command, encode_payload  # noqa: E402
from novate.protocol.generated.codes import Code, CommandKind, EventKind  # noqa: E402
from novate.protocol.generated.records import SIGNED_BY  # noqa: E402
from novate.protocol.signing import Domain, compute_digest  # noqa: E402
from tests.execution.venue import list_commands, make_genesis  # noqa: E402

STREAMS = ROOT / "vectors" / "streams"
# Profile, seed and number of commands of each file.
RUNS = {"main": (8, 230), "tiny": (9, 150), "crowd": (6, 200), "crash": (25, 440), "desk": (13, 250)}


def find_digest(command: Command, engine: Engine, domain: Domain) -> str | None:
    """Return the digest that a signed command's signer signs; None if a field has no place in the struct."""
    if not SIGNED_BY[command.kind]:
        return None
    try:
        return compute_digest(command, engine.names, domain).hex()
    except (LookupError, ValueError, struct.error):
        return None


def make_stream(profile: str, seed: int, count: int) -> dict[str, Any]:
    """Return one venue's document."""
    genesis = make_genesis(profile)
    engine, domain = Engine(genesis), Domain(genesis.chain_id, genesis.settlement)
    commitment = StateCommitment(engine)
    entries = []
    for command in list_commands(seed, count, profile):
        entry: dict[str, Any] = {"payload": encode_payload(command).hex()}
        digest = find_digest(command, engine, domain)
        if digest is not None:
            entry["digest"] = digest
        events = engine.apply([command])
        entry["events"] = [list(map(int, event)) for event in events.tolist()]
        if command.kind == CommandKind.SEAL and events[0]["code"] == Code.OK:
            entry["state_root"] = commitment.compute(commitment.collect()).state.hex()
        entries.append(entry)
    return {"genesis": json.loads(genesis.raw), "commands": entries}


def render(document: dict[str, Any]) -> str:
    """Return a document as JSON with one command a line."""
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in document["commands"])
    genesis = json.dumps(document["genesis"], separators=(",", ":"), sort_keys=True)
    return f'{{"genesis":{genesis},\n"commands":[\n{lines}\n]}}\n'


def count_kinds(documents: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the kinds of commands and events that the documents lack."""
    commands = {int(entry["payload"][:2], 16) for each in documents for entry in each["commands"]}
    kinds = {event[1] for each in documents for entry in each["commands"] for event in entry["events"]}
    return (
        {kind.name for kind in CommandKind if kind not in commands},
        {kind.name for kind in EventKind if kind not in kinds},
    )


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a file is out of date")
    check = parser.parse_args().check
    documents = {profile: make_stream(profile, *run) for profile, run in RUNS.items()}
    stale = []
    STREAMS.mkdir(exist_ok=True)
    for profile, document in documents.items():
        path, text = STREAMS / f"{profile}.json", render(document)
        if check and (not path.exists() or path.read_text() != text):
            stale.append(path.name)
        elif not check:
            path.write_text(text)
    lacking = count_kinds(list(documents.values()))
    print(f"no command of the kinds {sorted(lacking[0])}; no event of the kinds {sorted(lacking[1])}")
    if stale:
        print(f"out of date: {', '.join(stale)}; run python scripts/generate_vectors.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
