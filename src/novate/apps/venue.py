"""The venue: engine, journal, server, chain and published folder wired together and kept going.

Start-up replays the journal, publishes and posts whatever a crash left undone, and only then opens the port.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from coincurve import PrivateKey
from web3 import Web3
from web3.types import RPCEndpoint

from novate.access.limits import ServerLimits
from novate.access.market_payloads import Analytics
from novate.access.venue_server import VenueServer
from novate.apps.directory_lock import DirectoryLock
from novate.apps.option_analytics import compute_greeks, compute_implied_volatility
from novate.apps.venue_config import VenueClock, VenueConfig, VenueError, VenueSetup, read_config
from novate.apps.venue_create import create_directory
from novate.apps.venue_tasks import BatchPoster, run_deposits, run_seals, run_ticks
from novate.execution.recovery import Recovered, recover
from novate.execution.sequencer import Outcome, Sequencer
from novate.protocol.command import make_command
from novate.protocol.generated.codes import CommandKind
from novate.protocol.genesis import Genesis, parse_genesis
from novate.protocol.header import BatchHeader
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import SettlementClient
from novate.settlement.embedded_chain import EmbeddedChain
from novate.settlement.keys import load_key
from novate.settlement.manifest import Manifest, read_manifest
from novate.settlement.publication import Publisher

CHAIN_REQUEST_BYTES_MAX = 1 << 17
log = logging.getLogger("novate.venue")


class ChainRequest(msgspec.Struct):
    """One Ethereum JSON-RPC request."""

    method: str
    params: list[Any] = []
    id: int | str | None = None


class Venue:
    """A running venue. Use `Venue.create` or `Venue.open`, then `start`."""

    def __init__(
        self,
        folder: Path,
        config: VenueConfig,
        genesis: Genesis,
        recovered: Recovered,
        lock: DirectoryLock,
        limits: ServerLimits | None = None,
        chain: EmbeddedChain | None = None,
    ) -> None:
        self.folder = folder
        self.config = config
        self.lock = lock
        self.genesis = genesis
        self.clock = VenueClock(config)
        self.published = folder / "published"
        self.manifest: Manifest = read_manifest(folder / "manifest.json")
        operator = load_key(folder / "keys" / "operator.key")
        self.operator_key = PrivateKey(bytes(operator.key))
        self.oracle_keys = [
            PrivateKey(bytes(load_key(folder / "keys" / f"oracle-{i}.key").key))
            for i in range(config.oracle_count)
        ]
        self.chain = chain or EmbeddedChain(self.published / "chain.log", config.chain_id, self.clock.time_s)
        self.provider = EmbeddedProvider(self.chain)
        self.web3 = Web3(self.provider)
        self.settlement = SettlementClient(self.web3, operator, self.manifest)
        self.engine = recovered.engine
        self.sequencer = Sequencer(recovered.engine, recovered.journal, self.clock.time_ns)
        self.publisher = Publisher(self.published, genesis.raw, genesis.hash)
        self.poster = BatchPoster(self, recovered)
        self.sequencer.listeners.append(self.poster.on_outcomes)
        self.server = VenueServer(
            self.engine,
            self.sequencer,
            genesis,
            self.clock.time_ns,
            published_dir=self.published,
            extra_routes=[web.post("/chain", self.handle_chain)],
            limits=limits,
            analytics=Analytics(compute_greeks, compute_implied_volatility),
            operator_key=self.operator_key,
        )
        self.tasks: list[asyncio.Task[None]] = []
        # Whether the chain waits for a standby, and would make every request to it wait too.
        self.is_stalled: Callable[[], bool] = lambda: False

    @classmethod
    async def create(cls, folder: Path, setup: VenueSetup, limits: ServerLimits | None = None) -> "Venue":
        """Create a data directory and open it."""
        await asyncio.to_thread(create_directory, folder, setup)
        return await cls.open(folder, limits)

    @classmethod
    async def open(
        cls,
        folder: Path,
        limits: ServerLimits | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> "Venue":
        """Recover a venue from its data directory; VenueError, JournalError or GenesisError say why not."""
        config = read_config(folder)
        path = folder / "published" / "genesis.json"
        if not path.exists():
            raise VenueError(f"{path} is missing")
        genesis = parse_genesis(path.read_bytes())
        lock = DirectoryLock(folder)
        try:
            recovered = await asyncio.to_thread(
                recover, genesis, folder / "journal", folder / "snapshots", (), progress
            )
            for note in recovered.notes:
                log.warning("snapshot passed over: %s", note)
            return cls(folder, config, genesis, recovered, lock, limits)
        except BaseException:
            lock.release()
            raise

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return self.server.port

    @property
    def batches(self) -> list[BatchHeader]:
        """The headers posted since this process started."""
        return self.poster.posted

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Publish what a crash left undone, begin to sequence, and open the port."""
        await self.poster.catch_up()
        await self.sequencer.start()
        self.tasks = [
            asyncio.create_task(self.poster.run(), name="poster"),
            asyncio.create_task(run_ticks(self), name="ticks"),
            asyncio.create_task(run_deposits(self), name="deposits"),
            asyncio.create_task(run_seals(self), name="seals"),
        ]
        for task in self.tasks:
            task.add_done_callback(self.on_task_done)
        await self.server.start(host, port)

    def on_task_done(self, task: "asyncio.Task[None]") -> None:
        """Stop taking commands if a part of the venue died: better silent than wrong."""
        if not task.cancelled() and task.exception() is not None:
            log.critical("the task %s of the venue failed", task.get_name(), exc_info=task.exception())
            self.sequencer.on_failure()

    async def submit_seal(self) -> Outcome:
        """Seal the commands since the last batch."""
        number = int(self.engine.world.house["batch"][0]) + 1
        return await self.sequencer.submit(make_command(CommandKind.SEAL, 0, batch=number))

    async def seal_and_post(self) -> BatchHeader:
        """Seal a batch now and return its header once it is published and on the chain."""
        async with self.poster.seal_lock:
            outcome = await self.submit_seal()
        return await self.poster.wait_posted(outcome.command.get("batch"))

    async def drain(self) -> None:
        """Seal and post everything outstanding, and let HEAD name the chain as it is now."""
        if self.engine.sequence > self.poster.sealed_sequence:
            await self.seal_and_post()
        # A batch that was sealed on time a moment ago may still be on its way.
        await self.poster.wait_reached(int(self.engine.world.house["batch"][0]))
        await self.poster.write_head()

    async def stop(self) -> None:
        """Close the door, finish what was accepted, publish it, and close every file."""
        await self.server.stop()
        for task in self.tasks[1:]:
            task.cancel()
        await asyncio.gather(*self.tasks[1:], return_exceptions=True)
        await self.drain()
        self.tasks[0].cancel()
        await asyncio.gather(self.tasks[0], return_exceptions=True)
        await self.poster.write_snapshot()
        await self.sequencer.stop()
        self.publisher.close()
        self.chain.close()
        self.lock.release()

    async def handle_chain(self, request: web.Request) -> web.Response:
        """Answer Ethereum JSON-RPC for the embedded chain, so that any wallet can deposit and claim."""
        body = await request.content.read(CHAIN_REQUEST_BYTES_MAX + 1)
        if len(body) > CHAIN_REQUEST_BYTES_MAX:
            return web.json_response(
                {"error": {"code": -32600, "message": "the request is too large"}}, status=413
            )
        if self.is_stalled():
            message = "the venue waits for its standby"
            return web.json_response({"error": {"code": -32000, "message": message}}, status=503)
        answer = await asyncio.to_thread(self.answer_chain, body)
        return web.json_response(answer)

    def answer_chain(self, body: bytes) -> dict[str, Any]:
        """Return the response object of one Ethereum JSON-RPC request."""
        try:
            request = msgspec.json.decode(body, type=ChainRequest)
        except msgspec.MsgspecError as error:
            return {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": str(error)}}
        answer = self.provider.make_request(RPCEndpoint(request.method), request.params)
        return {**answer, "id": request.id}


__all__ = ["Venue", "VenueError", "VenueSetup"]
