"""A NATS server, a link that can be cut, and the two processes of a venue with a standby."""

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.apps.serving import START_TIMEOUT_S, ForkServer, ServeProcess

NATS_SERVER = Path(sys.executable).with_name("nats-server")
POLL_S = 0.005


def find_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class NatsServer:
    """A real server with JetStream, its store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = find_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and return when it takes connections."""
        arguments = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder / "nats")]
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen([str(NATS_SERVER), *arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(POLL_S)
        raise RuntimeError("nats-server did not start")

    def kill(self) -> None:
        """End it as a power cut would, as far as it can tell."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def find_blocks(self) -> list[Path]:
        """The files in which it keeps the frames."""
        blocks = sorted((self.folder / "nats").rglob("*.blk"))
        return [path for path in blocks if "KV_" not in str(path) and path.stat().st_size > 0]

    def close(self) -> None:
        if self.process is not None:
            self.kill()


class Cable:
    """Carries bytes between a client and a server until it is cut; then it carries nothing and says so to
    nobody, as a dead network does.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.is_cut = False
        self.port = 0
        self.server: asyncio.Server | None = None
        self.pumps: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        """Begin to carry, and return the address to connect to."""
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return f"nats://127.0.0.1:{self.port}"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.close()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.target)
        for source, sink in ((reader, inner_writer), (inner_reader, writer)):
            pump = asyncio.create_task(self.pump(source, sink))
            self.pumps.add(pump)
            pump.add_done_callback(self.pumps.discard)

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                if not self.is_cut:
                    sink.write(data)
                    await sink.drain()
        sink.close()

    async def close(self) -> None:
        assert self.server is not None
        self.server.close()
        for pump in list(self.pumps):
            pump.cancel()
        await asyncio.gather(*self.pumps, return_exceptions=True)


class StandbyProcess:
    """One `novate standby`."""

    def __init__(self, process_id: int, output: Path) -> None:
        self.process_id = process_id
        self.output = output

    def read_lines(self) -> list[str]:
        """The whole lines that it has printed."""
        text = self.output.read_text() if self.output.exists() else ""
        return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def wait_for(self, word: str) -> str:
        """Return the first line that begins with a word, once it is there."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            for line in self.read_lines():
                if line.startswith(word):
                    return line
            time.sleep(POLL_S)
        raise RuntimeError(f"no line begins with {word!r}: {self.output.read_text()}")

    def wait_following(self) -> None:
        """Return once the primary counts on it."""
        self.wait_for("following ")

    def wait_serving(self) -> "TakenOver":
        """Return the process as a venue, once it has taken over."""
        self.wait_for("ready ")
        return TakenOver(self.process_id, self.output)


class TakenOver(ServeProcess):
    """A standby that has become the primary; its lines of before are no longer of interest."""

    def wait_ready(self) -> tuple[int, int]:
        line = StandbyProcess(self.process_id, self.output).wait_for("ready ")
        _, address, _, sequence = line.split()[:4]
        return int(address.rsplit(":", 1)[1]), int(sequence)


def write_settings(folder: Path, url: str, **others: object) -> None:
    """Write the settings of a primary."""
    folder.mkdir(exist_ok=True)
    rows = [f'servers = ["{url}"]', *(f"{name} = {value}" for name, value in others.items())]
    (folder / "standby.toml").write_text("[standby]\n" + "\n".join(rows) + "\n")


def start_standby(
    server: ForkServer, primary: Path, folder: Path, url: str, *arguments: str
) -> StandbyProcess:
    """Start a standby on a directory that has nothing but the primary's keys."""
    folder.mkdir(exist_ok=True)
    if not (folder / "keys").exists():
        shutil.copytree(primary / "keys", folder / "keys")
    return StandbyProcess(
        *server.fork("standby", "--data", str(folder), "--follow", url, "--port", "0", *arguments)
    )


class PrimaryProcess(StandbyProcess):
    """One `novate serve` whose standby may not be there yet."""

    def wait_created(self, folder: Path) -> None:
        """Return once it has keys to be copied."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (folder / "venue.json").exists():
            if time.monotonic() > deadline:
                raise RuntimeError(f"no venue was created: {self.output.read_text()}")
            time.sleep(POLL_S)


def start_primary(server: ForkServer, folder: Path, *arguments: str) -> PrimaryProcess:
    """Start `novate serve` and do not wait."""
    return PrimaryProcess(*server.fork("serve", "--data", str(folder), "--port", "0", *arguments))
