"""The operator's own port: /metrics for Prometheus, /health and /ready for what starts and balances venues.

Separate from the traders' port, so that it can stay on a private address and answers while the door is shut.
"""

import asyncio
import shutil

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from novate.apps.metrics import make_registry
from novate.apps.venue import Venue
from novate.execution.sequencer import QUEUE_LENGTH_MAX

BATCHES_WAITING_MAX = 32
DISK_FREE_BYTES_MIN = 1 << 30
SHUTDOWN_S = 1.0


class Readiness:
    """Whether new clients should be sent here, and why not."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.is_draining = False

    def list_obstacles(self) -> list[str]:
        """Return why the venue is not ready, one sentence each; none if it is."""
        venue = self.venue
        waiting = int(venue.engine.world.house["batch"][0]) - venue.poster.posted_number
        free = shutil.disk_usage(venue.folder).free
        checks = {
            "the venue is stopping": self.is_draining or venue.sequencer.stopping,
            "the sequencer does not run": venue.sequencer.task is None or venue.sequencer.task.done(),
            "the sequencer's queue is half full": 2 * len(venue.sequencer.queue) > QUEUE_LENGTH_MAX,
            f"{waiting} batches wait to be posted": waiting > BATCHES_WAITING_MAX,
            f"the disk has {free >> 20} MiB left": free < DISK_FREE_BYTES_MIN,
        }
        failed = [f"the task {task.get_name()} has ended" for task in venue.tasks if task.done()]
        return [text for text, applies in checks.items() if applies] + failed


class AdminServer:
    """The second port of one venue."""

    def __init__(self, venue: Venue) -> None:
        self.readiness = Readiness(venue)
        self.registry: CollectorRegistry = make_registry(venue)
        self.runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one, which `port` then names."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self.handle_metrics),
                web.get("/health", self.handle_health),
                web.get("/ready", self.handle_ready),
            ]
        )
        self.runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await self.runner.setup()
        await web.TCPSite(self.runner, host, port, backlog=16).start()
        self.port = int(self.runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the port."""
        if self.runner is not None:
            await self.runner.cleanup()

    async def drain(self, seconds: float) -> None:
        """Say that the venue is not ready any more, and wait until balancers have noticed."""
        self.readiness.is_draining = True
        await asyncio.sleep(seconds)

    async def handle_metrics(self, request: web.Request) -> web.Response:
        """Answer in Prometheus' text format."""
        # The collector reads the engine's tables: on this thread, so that no figure is half of two commands.
        return web.Response(
            body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def handle_health(self, request: web.Request) -> web.Response:
        """Answer that the process lives: whoever gets no answer should start it again."""
        return web.json_response({"status": "alive", "sequence": self.readiness.venue.engine.sequence})

    async def handle_ready(self, request: web.Request) -> web.Response:
        """Answer 200 if the venue takes orders, else 503 and why not."""
        obstacles = self.readiness.list_obstacles()
        status = 503 if obstacles else 200
        return web.json_response({"ready": not obstacles, "obstacles": obstacles}, status=status)
