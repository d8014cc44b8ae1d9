"""`novate doctor`: what would keep a venue from starting, or make it slow or unsafe, said before it is.

Reads only, but for a probe file that is written, synced and removed to see what a sync costs. Each check
gives one line: good, a warning that a venue can live with, or a failure that it cannot.
"""

import os
import resource
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from eth_utils.address import to_checksum_address
from rich.console import Console
from rich.table import Table

from novate.apps.directory_lock import find_holder
from novate.apps.listing_task import read_rule
from novate.apps.serve_config import ServeConfig, read_serve_config
from novate.apps.slices import read_slices
from novate.apps.venue_config import CONFIG_NAME, VenueError, read_config
from novate.execution.journal import JournalError, check_commit, find_segments, read_commit
from novate.execution.snapshot import find_snapshots
from novate.kernel.options import find_cache_directory
from novate.protocol.genesis import Genesis, GenesisError, parse_genesis
from novate.settlement.keys import KeyFileError, load_key
from novate.settlement.manifest import ManifestError, read_manifest

GOOD, WARNING, FAILURE = "good", "warning", "failure"
STYLE = {GOOD: "green", WARNING: "yellow", FAILURE: "bold red"}
SYNC_COUNT = 25
SYNC_MS_MAX = 20
DISK_FREE_GIB_MIN, DISK_FREE_GIB_GOOD = 1, 10
MEMORY_GIB_GOOD = 4
VOLATILE = ("tmpfs", "ramfs")
SPARE_FILES = 128


class Check(NamedTuple):
    """One line of the report."""

    name: str
    state: str
    text: str


def check_program() -> Iterator[Check]:
    """Look at the interpreter, its assertions, the compiled kernels and the machine's size."""
    running = ".".join(map(str, sys.version_info[:3]))
    supported = (3, 11) <= sys.version_info[:2] < (3, 13)
    yield Check("python", GOOD if supported else FAILURE, f"{running}; 3.11 and 3.12 are supported")
    if __debug__:
        yield Check("assertions", GOOD, "on: the law's invariants are checked as it runs")
    else:
        yield Check("assertions", FAILURE, "off: start without -O and PYTHONOPTIMIZE, the law needs them")
    folder = find_cache_directory("novate.execution.batch")
    compiled = folder.is_dir() and any(folder.iterdir())
    text = f"compiled in {folder}" if compiled else "not compiled yet: the first start takes half a minute"
    yield Check("kernels", GOOD if compiled else WARNING, text)
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    cores = len(os.sched_getaffinity(0))
    roomy = memory_gib >= MEMORY_GIB_GOOD and cores >= 2
    yield Check("machine", GOOD if roomy else WARNING, f"{cores} cores, {memory_gib:.1f} GiB")


def check_files(connections: int) -> Iterator[Check]:
    """Compare the limit of open files with the connections that are allowed."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE_FILES
    text = f"{limit} open files allowed, {needed} needed for {connections} connections (ulimit -n)"
    yield Check("open files", GOOD if limit >= needed else WARNING, text)


def find_filesystem(folder: Path) -> str:
    """Return the type of the filesystem that a folder is on, as the kernel calls it."""
    place, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, found, *_ = line.split()
        if folder.resolve().is_relative_to(mount) and len(mount) >= len(place):
            place, kind = mount, found
    return kind


def measure_syncs(folder: Path) -> list[float]:
    """Return the sorted times, in ms, that writing and syncing a small frame took."""
    path = folder / f".doctor-{os.getpid()}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    times = []
    try:
        for _ in range(SYNC_COUNT):
            begun = time.perf_counter()
            os.write(descriptor, bytes(512))
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - begun) * 1_000)
    finally:
        os.close(descriptor)
        path.unlink()
    return sorted(times)


def check_disk(folder: Path) -> Iterator[Check]:
    """Look at the room, the kind and the speed of the disk under a data directory."""
    free_gib = shutil.disk_usage(folder).free / (1 << 30)
    state = GOOD if free_gib >= DISK_FREE_GIB_GOOD else WARNING
    yield Check("disk space", FAILURE if free_gib < DISK_FREE_GIB_MIN else state, f"{free_gib:.1f} GiB free")
    kind = find_filesystem(folder)
    if kind in VOLATILE:
        yield Check("filesystem", FAILURE, f"{kind} keeps nothing through a restart of the machine")
    else:
        yield Check("filesystem", GOOD, kind)
    times = measure_syncs(folder)
    median, worst = times[len(times) // 2], times[-1]
    text = f"median {median:.1f} ms, worst {worst:.1f} ms of {SYNC_COUNT}; no acknowledgement is faster"
    yield Check("disk sync", GOOD if median <= SYNC_MS_MAX else WARNING, text)


def check_config(folder: Path) -> Iterator[Check]:
    """Read the operator's files."""
    readers: dict[str, Callable[[Path], object]] = {
        "serve.toml": read_serve_config,
        "listing.toml": read_rule,
        "slices.toml": read_slices,
    }
    for name, read in readers.items():
        if not (folder / name).exists():
            yield Check(name, GOOD, "absent: the defaults")
            continue
        try:
            read(folder)
            yield Check(name, GOOD, "can be used")
        except VenueError as error:
            yield Check(name, FAILURE, str(error))


def check_port(name: str, host: str, port: int | None) -> Iterator[Check]:
    """See whether a port can be listened on."""
    if not port:
        return
    try:
        with socket.create_server((host, port)):
            yield Check(name, GOOD, f"{host}:{port} is free")
    except OSError as error:
        yield Check(name, FAILURE, f"{host}:{port} cannot be listened on: {error.strerror}")


def check_keys(folder: Path, genesis: Genesis) -> Iterator[Check]:
    """Compare the keys with the addresses that the genesis file names."""
    wanted = {"operator": genesis.operator}
    wanted |= {f"oracle-{number}": address for number, address in enumerate(genesis.oracles)}
    for name, address in wanted.items():
        path = folder / "keys" / f"{name}.key"
        if name != "operator" and not path.exists():
            yield Check(f"key {name}", WARNING, "absent: this oracle must report from elsewhere")
            continue
        try:
            found = bytes.fromhex(load_key(path).address[2:])
        except KeyFileError as error:
            yield Check(f"key {name}", FAILURE, str(error))
            continue
        text: str = to_checksum_address(found)
        if found != address:
            text += f", but genesis.json names {to_checksum_address(address)}"
        yield Check(f"key {name}", GOOD if found == address else FAILURE, text)


def check_journal(folder: Path, genesis: Genesis) -> Iterator[Check]:
    """Read the commit record; and say how much the next start replays and whether the clock stands right."""
    journal = folder / "journal"
    try:
        committed = read_commit(journal, genesis.hash)
    except JournalError as error:
        yield Check("journal", FAILURE, str(error))
        return
    segments = find_segments(journal)
    size_mib = sum(path.stat().st_size for path in segments) / (1 << 20)
    problems = check_commit(journal, genesis.hash)
    text = f"command {committed.sequence} acknowledged, {len(segments)} files, {size_mib:.1f} MiB"
    if problems:
        text += "; the venue was not stopped in order: its next start looks at every frame"
    yield Check("journal", WARNING if problems else GOOD, text)
    taken = [int(path.stem.split("-")[-1]) for path in find_snapshots(folder / "snapshots")]
    newest = max(taken, default=0)
    yield Check("snapshot", GOOD, f"at command {newest}: {committed.sequence - newest} commands to replay")
    if segments and (ahead_s := max(path.stat().st_mtime for path in segments) - time.time()) > 1:
        yield Check(
            "clock", FAILURE, f"the journal was written {ahead_s:.0f} s ahead of this machine's clock"
        )
    else:
        yield Check("clock", GOOD, "not behind the journal")


def check_venue(folder: Path) -> Iterator[Check]:
    """Look at a data directory that holds a venue."""
    holder = find_holder(folder)
    yield Check("in use", GOOD, "nobody serves it" if holder is None else f"served by process {holder}")
    try:
        config = read_config(folder)
        genesis = parse_genesis((folder / "published" / "genesis.json").read_bytes())
        manifest = read_manifest(folder / "manifest.json")
    except (VenueError, GenesisError, ManifestError, OSError) as error:
        yield Check("venue", FAILURE, str(error))
        return
    agree = config.chain_id == genesis.chain_id == manifest.chain_id
    agree = agree and manifest.settlement.lower() == "0x" + genesis.settlement.hex()
    text = f"chain {genesis.chain_id}, settlement {manifest.settlement}"
    if not agree:
        text = "venue.json, genesis.json and manifest.json name different chains or contracts"
    yield Check("venue", GOOD if agree else FAILURE, text)
    yield from check_keys(folder, genesis)
    if holder is None:  # A living venue's commit record changes under the reader.
        yield from check_journal(folder, genesis)


def find_room(folder: Path) -> Path:
    """Return a data directory, or its nearest parent if it does not exist yet."""
    while not folder.is_dir():
        folder = folder.resolve().parent
    return folder


def examine(folder: Path) -> list[Check]:
    """Return every check of a data directory, which need not exist yet."""
    checks = [*check_program(), *check_disk(find_room(folder)), *check_config(folder)]
    broken = any(check.name == "serve.toml" and check.state == FAILURE for check in checks)
    config = ServeConfig() if broken else read_serve_config(folder)
    checks += check_files(config.limits.connections)
    if find_holder(folder) is None:
        checks += check_port("port", config.listen.host, config.listen.port)
        checks += check_port("admin port", config.admin.host, config.admin.port)
    if (folder / CONFIG_NAME).exists():
        checks += check_venue(folder)
    else:
        checks.append(Check("venue", GOOD, f"none in {folder} yet: `novate serve` creates one"))
    return checks


def run_doctor(folder: Path, as_json: bool, console: Console) -> int:
    """Print the report; return 1 if any check failed, else 0."""
    checks = examine(folder)
    if as_json:
        console.print_json(msgspec.json.encode([check._asdict() for check in checks]).decode())
    else:
        table = Table(title=f"novate doctor {folder}", title_justify="left")
        for heading in ("check", "state", "what was found"):
            table.add_column(heading, overflow="fold")
        for check in checks:
            table.add_row(check.name, f"[{STYLE[check.state]}]{check.state}[/]", check.text)
        console.print(table)
    return int(any(check.state == FAILURE for check in checks))
