"""`novate demo`: a whole venue on this machine, from the deployment of its contracts to a verified, paid
withdrawal.

Everything is the real thing: contracts run on the embedded chain, users sign deposits and orders, orders
travel over the network API, and what the venue published is judged by the verifier that shares nothing with
the engine but the law.
"""

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from novate.apps.claims import claim_requests, wait_until_final
from novate.apps.fleet import Request, TraderFleet
from novate.apps.funding import Grant, fund
from novate.apps.listing import list_market
from novate.apps.live_view import draw_live_view
from novate.apps.market import MarketPlan, plan_builtin, plan_chain
from novate.apps.option_analytics import load_option_kernels
from novate.apps.oracle_feed import OracleFeed
from novate.apps.price_path import FilePath, JumpDiffusionPath, PricePath
from novate.apps.report import DemoReport
from novate.apps.setup import make_setup
from novate.apps.venue import Venue
from novate.apps.watch import Watcher
from novate.execution import views
from novate.execution.warmup import warm_up
from novate.protocol.generated.constants import E6, NO_MARK_ATOMS, NS_PER_S
from novate.verification.verdict import verify_directory

HOST = "127.0.0.1"
MAKER_ATOMS = 1_000_000 * E6
TAKER_ATOMS = 50_000 * E6
WITHDRAWAL_COUNT = 5
BATCH_EVERY_S = 4.0
FINALITY_WALL_S = 1
SAMPLE_S = 0.5
PLAIN_LINE_EVERY = 10
MARKS_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class DemoOptions:
    """What the command line says. `data` is kept if it is given."""

    chain: Path | None = None
    prices: Path | None = None
    speed: int = 60
    seconds: float = 20.0
    data: Path | None = None
    makers: int = 10
    takers: int = 40
    seed: int = 1
    port: int = 0


class DemoError(RuntimeError):
    """The demo cannot begin or go on; the message says what to change."""


def plan_demo(options: DemoOptions) -> tuple[MarketPlan, PricePath]:
    """Return the market and the path of the index. Fitting a chain takes seconds."""
    now_ns = time.time_ns() // NS_PER_S * NS_PER_S
    plan = plan_chain(options.chain) if options.chain else plan_builtin(now_ns)
    if options.prices:
        return plan, FilePath(options.prices, [underlying.name for underlying in plan.underlyings])
    return plan, JumpDiffusionPath(options.seed)


class Demo:
    """One run, step by step. `bars` shows how far the slow steps are."""

    def __init__(self, options: DemoOptions, folder: Path, console: Console) -> None:
        self.options = options
        self.folder = folder
        self.console = console
        self.report = DemoReport()
        self.is_trading = False
        self.enough = asyncio.Event()
        self.venue: Venue | None = None
        self.fleet: TraderFleet | None = None
        self.feed: OracleFeed | None = None
        self.feeding: asyncio.Task[None] | None = None

    def follow(self, bars: Progress, title: str) -> Callable[[int, int], None]:
        """Return a progress function that moves a new bar, from any thread."""
        task = bars.add_task(title, total=None)

        def move(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        return move

    async def prepare(self) -> tuple[Venue, TraderFleet, OracleFeed]:
        """Plan, compile, deploy, fund, list, publish the first marks and connect the traders."""
        columns = (TextColumn("{task.description:<34}"), BarColumn(40), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as bars:
            # First, because a wrong file should be refused at once and not after a minute of compilation.
            planned = self.follow(bars, "plan the market")
            plan, path = await asyncio.to_thread(plan_demo, self.options)
            planned(1, 1)
            compiled = self.follow(bars, "compile or load the law's kernels")
            await asyncio.to_thread(warm_up, compiled)
            await asyncio.to_thread(load_option_kernels)
            venue = await self.create_venue(plan, self.follow(bars, "deploy contracts, start the venue"))
            makers, takers = self.make_grants()
            await fund(venue, [*makers, *takers], self.follow(bars, "deposit for every trader"))
            listed = self.follow(bars, "list instruments, publish marks")
            await list_market(venue, plan)
            feed = await self.begin_feed(venue, plan, path)
            listed(1, 1)
            url = f"ws://{HOST}:{venue.port}/ws/api/v2"
            keys = [grant.key for grant in makers], [grant.key for grant in takers]
            fleet = TraderFleet(url, *keys, venue.clock.time_ns, self.options.speed, self.options.seed)
            self.fleet = fleet
            await fleet.connect(self.follow(bars, "connect the traders"))
        self.describe_market(plan, path)
        return venue, fleet, feed

    async def create_venue(self, plan: MarketPlan, progress: Callable[[int, int], None]) -> Venue:
        """Deploy and start; the finality delay is in the venue's time, in which the chain lives too."""
        traders = self.options.makers + self.options.takers
        delay_s = FINALITY_WALL_S * self.options.speed
        setup = make_setup(plan, self.options.speed, traders, delay_s, BATCH_EVERY_S)
        self.venue = await Venue.create(self.folder, setup)
        await self.venue.start(HOST, self.options.port)
        progress(1, 1)
        return self.venue

    def make_grants(self) -> tuple[list[Grant], list[Grant]]:
        """Return makers and takers with fresh keys and their money."""
        makers = [Grant(PrivateKey(), MAKER_ATOMS) for _ in range(self.options.makers)]
        takers = [Grant(PrivateKey(), TAKER_ATOMS) for _ in range(self.options.takers)]
        return makers, takers

    async def begin_feed(self, venue: Venue, plan: MarketPlan, path: PricePath) -> OracleFeed:
        """Start the oracles and return when every instrument has a mark; DemoError if that takes a minute."""
        self.feed = feed = OracleFeed(venue, plan, path, self.options.speed, self.options.seed)
        await feed.begin()
        self.feeding = asyncio.create_task(feed.run())
        deadline = asyncio.get_running_loop().time() + MARKS_TIMEOUT_S
        while True:
            count = len(venue.engine.instruments)
            marks = [views.read_instrument_state(venue.engine, n).mark_atoms for n in range(count)]
            unmarked = marks.count(NO_MARK_ATOMS)
            if not unmarked:
                return feed
            if asyncio.get_running_loop().time() > deadline:
                raise DemoError(f"{unmarked} of {count} instruments have no mark: {dict(feed.results)}")
            await asyncio.sleep(SAMPLE_S / 5)

    def describe_market(self, plan: MarketPlan, path: PricePath) -> None:
        """Put into the report what the market is made of."""
        self.report.market, self.report.path = plan.source, path.describe()
        self.report.instruments = plan.instrument_count
        self.report.accounts = self.options.makers + self.options.takers
        if plan.fit is not None:
            self.report.fit = {
                "options": plan.fit.option_count,
                "within_one_point": plan.fit.close_share,
                "worst": 100.0 * max(plan.fit.errors, default=0.0),
            }

    async def trade(self, venue: Venue, fleet: TraderFleet) -> None:
        """Let everybody trade for the given time, or until told that it is enough, and show it."""
        watcher = Watcher(venue, fleet.ledger, self.options.seconds)
        self.is_trading = True
        fleet.start()
        with self.show_live() as show:
            while not self.enough.is_set() and time.perf_counter() - watcher.begun < self.options.seconds:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.enough.wait(), SAMPLE_S)
                show(watcher)
        self.report.seconds = time.perf_counter() - watcher.begun
        await fleet.stop()
        self.is_trading = False
        watcher.sample_margin()
        self.collect_trading(venue, fleet, watcher)

    @contextlib.contextmanager
    def show_live(self) -> Any:
        """Yield a function that shows a sample: a live view on a terminal, a line now and then elsewhere."""
        if not self.console.is_terminal:
            count = 0

            def print_line(watcher: Watcher) -> None:
                nonlocal count
                sample, count = watcher.sample(), count + 1
                if count % PLAIN_LINE_EVERY == 0:
                    figures = f"{sample.orders:,} orders, {sample.fills:,} fills, {sample.batches} batches"
                    self.console.print(f"{sample.elapsed_s:5.1f} s  {figures}")

            yield print_line
            return
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            yield lambda watcher: live.update(draw_live_view(watcher.sample()), refresh=True)

    def collect_trading(self, venue: Venue, fleet: TraderFleet, watcher: Watcher) -> None:
        """Put the figures of trading into the report."""
        report, ledger = self.report, fleet.ledger
        report.orders_acknowledged = ledger.order_count
        report.commands_acknowledged = len(ledger.acks)
        report.refusals = dict(ledger.refusals.most_common())
        report.fills, report.volume_atoms = watcher.fill_count, watcher.volume_atoms
        p50, p99, p999 = ledger.compute_latency_ms(0.5, 0.99, 0.999)
        report.ack_ms = {"p50": p50, "p99": p99, "p999": p999}
        report.engine_us_per_order = watcher.compute_engine_us()
        report.margin = watcher.margin
        lost = sum(agent.lost for agent in fleet.agents)
        report.check("orders were acknowledged", ledger.order_count > 0, f"{ledger.order_count:,} orders")
        report.check("trades happened", watcher.fill_count > 0, f"{watcher.fill_count:,} fills")
        report.check("no connection was lost", lost == 0, f"{lost} lost")

    async def settle(self, venue: Venue, fleet: TraderFleet, feed: OracleFeed) -> None:
        """Withdraw, seal and post everything, wait for finality, claim on the vault, check that nothing is
        missing.
        """
        requests: list[Request] = await fleet.withdraw_some(WITHDRAWAL_COUNT)
        await self.end_feed(feed)
        self.report.oracle_reports = dict(feed.results)
        gap, lots = views.compute_conservation_gap(venue.engine), views.compute_lots_gap(venue.engine)
        self.report.conservation_ok = gap == 0 and lots == 0
        self.report.check("conservation", self.report.conservation_ok, f"{gap} atoms and {lots} lots missing")
        await venue.drain()
        last = count_batches(venue)
        await wait_until_final(venue, last)
        paid = await asyncio.to_thread(claim_requests, venue, requests)
        self.report.withdrawals_paid = paid
        detail = f"{paid} of {len(requests)} claimed and in their owners' wallets"
        self.report.check("withdrawals were paid", paid == len(requests) > 0, detail)
        self.report.gas_posting, self.report.gas_total = await asyncio.to_thread(count_gas, venue)

    async def end_feed(self, feed: OracleFeed) -> None:
        """Stop the oracles and wait for their last reports."""
        feed.stop()
        if self.feeding is not None:
            await self.feeding
            self.feeding = None

    async def verify(self) -> None:
        """Let the verifier judge what was published, from the files alone."""
        columns = (TextColumn("{task.description:<34}"), BarColumn(40), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as bars:
            moves: dict[str, Callable[[int, int], None]] = {}

            def show(name: str, done: int, total: int) -> None:
                if name not in moves:
                    moves[name] = self.follow(bars, f"verify: {name}")
                moves[name](done, total)

            verdict = await asyncio.to_thread(verify_directory, self.folder / "published", show)
        counts = {check.name: check.count for check in verdict.checks if check.state == "ok"}
        self.report.batches_verified = counts.get("headers on chain", 0)
        seconds = sum(check.seconds for check in verdict.checks)
        detail = f"{len(verdict.checks)} checks in {seconds:.1f} s" if verdict.ok else verdict.describe()
        self.report.check("replay by the verifier", verdict.ok, detail)
        same = self.report.batches_verified == self.report.batches_posted
        counted = f"{self.report.batches_verified} of {self.report.batches_posted}"
        self.report.check("every batch was verified", same, counted)

    async def run(self) -> DemoReport:
        """Run every step and return the report; whatever happens, everything that was started is stopped."""
        try:
            venue, fleet, feed = await self.prepare()
            await self.trade(venue, fleet)
            await self.settle(venue, fleet, feed)
        finally:
            await self.stop()
        # The venue seals once more when it stops.
        self.report.batches_posted = count_batches(venue)
        self.report.commands_sequenced = venue.engine.sequence
        await self.verify()
        return self.report

    async def stop(self) -> None:
        """Stop what runs, in the reverse order of starting it."""
        if self.fleet is not None:
            await self.fleet.close()
        if self.feeding is not None:
            self.feeding.cancel()
            await asyncio.gather(self.feeding, return_exceptions=True)
        if self.venue is not None:
            await self.venue.stop()


def count_batches(venue: Venue) -> int:
    """Return the number of the last sealed batch."""
    return int(venue.engine.world.house["batch"][0])


def count_gas(venue: Venue) -> tuple[int, int]:
    """Return the gas of posting headers, and of all transactions. Each block holds one transaction."""
    posting = total = 0
    for number in range(1, venue.web3.eth.block_number + 1):
        block: Any = venue.web3.eth.get_block(number, full_transactions=True)
        total += block["gasUsed"]
        posting += sum(
            block["gasUsed"] for each in block["transactions"] if each.get("to") == venue.manifest.settlement
        )
    return posting, total


async def run_with_signals(demo: Demo) -> DemoReport:
    """Run a demo; an interrupt ends trading early and everything else in order, a second one cancels."""
    task = asyncio.current_task()
    assert task is not None, "Condition failed: a coroutine runs in a task."

    def interrupt() -> None:
        if demo.is_trading and not demo.enough.is_set():
            demo.enough.set()
        else:
            task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
    return await demo.run()


async def run_demo(options: DemoOptions, console: Console) -> DemoReport:
    """Run a demo in its folder, or in a temporary one that is removed afterwards.

    Errors     DemoError if the folder holds a venue already.
    """
    if options.data is not None:
        if options.data.exists() and any(options.data.iterdir()):
            raise DemoError(
                f"{options.data} is not empty; choose another folder, or look at it with novate serve"
            )
        options.data.mkdir(parents=True, exist_ok=True)
        return await run_with_signals(Demo(options, options.data, console))
    with tempfile.TemporaryDirectory(prefix="novate-demo-") as folder:
        return await run_with_signals(Demo(options, Path(folder), console))
