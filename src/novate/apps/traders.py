"""Market makers and takers for the demo. They know the venue by its network API alone, and sign every order.

A maker quotes both sides around the mark, moves its quotes with the index, and goes from instrument to
instrument. A taker crosses the spread, rests an order now and then, and sometimes asks for what the law
must refuse.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from novate.access.client_errors import ConnectionLost, VenueError
from novate.access.client_signing import ClientInstrument
from novate.apps.ack_ledger import LedgerClient
from novate.protocol.generated.codes import Code
from novate.protocol.generated.constants import E6, PRICE_TICKS_MAX

MAKER_INSTRUMENTS = 6
MAKER_LOTS = (5, 40)
MAKER_SPREAD = 0.012
MAKER_LOTS_HELD_MAX = 400
# Protection of a maker's options, one group for each underlying, in seconds of the venue's time.
MMP_INTERVAL_S = 60
MMP_FROZEN_S = 30
MMP_LOTS_MAX = 120
TICKER_EVERY_STEPS = 8
ROTATE_EVERY_STEPS = 40
TAKER_INSTRUMENTS = 8
TAKER_LOTS = (1, 15)
TAKER_RESTING_MAX = 3
OVERSIZED_LOTS = 900_000
UNKNOWN_ORDER = "999999999999"


def write_amount(instrument: ClientInstrument, lots: int) -> Decimal:
    """Return lots as an exact amount."""
    return Decimal(lots) / Decimal(instrument.lots_per_unit)


def write_price(instrument: ClientInstrument, ticks: int) -> Decimal:
    """Return ticks as an exact price."""
    return Decimal(ticks * instrument.tick_atoms * instrument.lots_per_unit) / Decimal(E6)


def count_ticks(instrument: ClientInstrument, price: float) -> float:
    """Return a price in ticks, not rounded."""
    return price * E6 / (instrument.tick_atoms * instrument.lots_per_unit)


class Agent:
    """What makers and takers share: a client, a pace, and the rule that a refusal is an answer and not a
    failure.
    """

    def __init__(self, client: LedgerClient, names: list[str], seed: int, pace_s: float) -> None:
        self.client = client
        self.names = names
        self.random = random.Random(seed)
        self.pace_s = pace_s
        self.held_lots: dict[str, int] = {}
        self.is_running = True
        self.lost = 0

    async def attempt(self, action: Awaitable[Any]) -> Any:
        """Return the outcome of an action, or the code of its refusal."""
        try:
            return await action
        except VenueError as error:
            return error.code

    async def prepare(self) -> None:
        """Subscribe to what the agent needs."""

    async def step(self, number: int) -> None:
        """Do the next thing."""

    async def run(self) -> None:
        """Step at the agent's pace until stopped; a lost connection is made again by the client."""
        await self.prepare()
        number = self.random.randrange(ROTATE_EVERY_STEPS)
        while self.is_running:
            await asyncio.sleep(self.random.expovariate(1.0 / self.pace_s))
            try:
                await self.step(number)
            except (ConnectionLost, TimeoutError):
                self.lost += 1
            number += 1

    def note_trade(self, trade: dict[str, Any]) -> None:
        """Keep count of what the agent holds."""
        name = trade["instrument_name"]
        lots = round(trade["amount"] * self.client.instruments[name].lots_per_unit)
        self.held_lots[name] = self.held_lots.get(name, 0) + (lots if trade["direction"] == "buy" else -lots)


class Quote:
    """A maker's two sides in one instrument, and the mark, delta and index that they came from.

    Options are quoted under protection, many in one message; `orders` are those of a perpetual or future.
    """

    def __init__(self, instrument: ClientInstrument) -> None:
        self.instrument = instrument
        self.base = instrument.name.split("_")[0]
        self.is_option = instrument.name.endswith(("-C", "-P"))
        self.orders: dict[str, str] = {}
        self.ticks: dict[str, int] = {}
        self.mark = 0.0
        self.delta = 0.0
        self.index = 0.0

    def read_ticker(self, ticker: dict[str, Any]) -> None:
        """Take mark, delta and index of a ticker."""
        self.mark, self.index = ticker["mark_price"] or 0.0, ticker["index_price"] or 0.0
        self.delta = (ticker.get("greeks") or {}).get("delta", 1.0)

    def estimate_mark(self, index: float) -> float:
        """Return the mark moved along with the index."""
        return self.mark + self.delta * (index - self.index)


class Maker(Agent):
    """Quotes a few instruments at a time."""

    def __init__(self, client: LedgerClient, names: list[str], seed: int, pace_s: float) -> None:
        super().__init__(client, names, seed, pace_s)
        self.quotes: list[Quote] = []
        self.indexes: dict[str, float] = {}
        self.groups: dict[str, int] = {}

    async def prepare(self) -> None:
        """Subscribe to the indexes and to the maker's own trades, set up protection, and choose the first
        instruments.
        """
        await self.client.subscribe("user.trades.any.any.raw", self.receive_trades)
        for base in sorted({name.split("_")[0] for name in self.names}):
            await self.client.subscribe(f"deribit_price_index.{base.lower()}_usdc", self.receive_index)
            await self.protect(base)
        chosen = self.random.sample(self.names, min(MAKER_INSTRUMENTS, len(self.names)))
        self.quotes = [Quote(self.client.find_instrument(name)) for name in chosen]

    async def protect(self, base: str) -> None:
        """Give the options of an underlying a group; a group that is left from before keeps its figures."""
        group = self.groups[base] = len(self.groups) + 1
        limit = write_amount(self.client.find_option(base), MMP_LOTS_MAX)
        await self.attempt(
            self.client.set_mmp(f"{base.lower()}_usdc", group, MMP_INTERVAL_S, MMP_FROZEN_S, limit)
        )

    def receive_trades(self, data: Any) -> None:
        """Note the maker's own trades."""
        for trade in data:
            self.note_trade(trade)

    def receive_index(self, data: dict[str, Any]) -> None:
        """Note an index price."""
        self.indexes[data["index_name"].split("_")[0].upper()] = data["price"]

    async def step(self, number: int) -> None:
        """Renew one instrument's quotes; every now and then leave one for another."""
        if number % ROTATE_EVERY_STEPS == 0:
            await self.rotate()
        quote = self.quotes[number % len(self.quotes)]
        name = quote.instrument.name
        if quote.mark <= 0.0 or number // len(self.quotes) % TICKER_EVERY_STEPS == 0:
            quote.read_ticker(await self.client.call("public/ticker", {"instrument_name": name}))
        if quote.is_option:
            await self.renew_options(quote.base)
        elif quote.mark > 0.0:
            fair = self.estimate_fair(quote)
            await asyncio.gather(*(self.renew(quote, side, fair) for side in ("buy", "sell")))

    def estimate_fair(self, quote: Quote) -> float:
        """Return an instrument's fair value at the index as it is now."""
        return max(0.0, quote.estimate_mark(self.indexes.get(quote.base, quote.index)))

    async def renew_options(self, base: str) -> None:
        """Quote every option of an underlying that the maker has chosen, in one message."""
        quotes = [quote for quote in self.quotes if quote.is_option and quote.base == base and quote.mark > 0]
        rows = [
            (quote.instrument.name, self.choose_side(quote, "buy"), self.choose_side(quote, "sell"))
            for quote in quotes
        ]
        if rows:
            await self.attempt(self.client.mass_quote(self.groups[base], rows))

    def choose_side(self, quote: Quote, side: str) -> tuple[Decimal, Decimal] | None:
        """Return price and amount of one side, or None where the maker holds enough."""
        ticks = self.choose_ticks(quote, side, self.estimate_fair(quote))
        if not 1 <= ticks <= PRICE_TICKS_MAX or self.holds_enough(quote, side):
            return None
        return write_price(quote.instrument, ticks), self.draw_amount(quote)

    def holds_enough(self, quote: Quote, side: str) -> bool:
        """Whether the maker wants no more of one side."""
        held = self.held_lots.get(quote.instrument.name, 0)
        return (held if side == "buy" else -held) > MAKER_LOTS_HELD_MAX

    def draw_amount(self, quote: Quote) -> Decimal:
        """Return the amount of one side."""
        return write_amount(quote.instrument, self.random.randint(*MAKER_LOTS))

    async def rotate(self) -> None:
        """Leave one instrument, cancelling what rests there, and begin another."""
        place = self.random.randrange(len(self.quotes))
        old = self.quotes[place]
        if old.is_option:
            nothing = (old.instrument.name, None, None)
            await self.attempt(self.client.mass_quote(self.groups[old.base], [nothing]))
        elif old.orders:
            await self.attempt(self.client.cancel_all(old.instrument.name))
        quoted = {quote.instrument.name for quote in self.quotes}
        fresh = [name for name in self.names if name not in quoted]
        if fresh:
            self.quotes[place] = Quote(self.client.find_instrument(self.random.choice(fresh)))

    def choose_ticks(self, quote: Quote, side: str, fair: float) -> int:
        """Return the price of one side: away from the fair value, leaning against what the maker holds."""
        half = fair * MAKER_SPREAD * self.random.uniform(0.3, 1.0) if quote.is_option else fair * 0.0004
        lean = -half * self.held_lots.get(quote.instrument.name, 0) / MAKER_LOTS_HELD_MAX
        ticks = count_ticks(quote.instrument, fair + lean + (-half if side == "buy" else half))
        return int(ticks) if side == "buy" else int(ticks) + 1

    async def renew(self, quote: Quote, side: str, fair: float) -> None:
        """Place or move one order; an order that was filled is placed anew at the next step."""
        ticks = self.choose_ticks(quote, side, fair)
        if not 1 <= ticks <= PRICE_TICKS_MAX or self.holds_enough(quote, side):
            return
        amount = self.draw_amount(quote)
        price = write_price(quote.instrument, ticks)
        name, order_id = quote.instrument.name, quote.orders.get(side)
        if order_id is None:
            result = await self.attempt(self.client.place(side, name, amount, price, post_only=True))
            if isinstance(result, dict):
                quote.orders[side] = result["order"]["order_id"]
        elif quote.ticks.get(side) != ticks:
            result = await self.attempt(self.client.edit(order_id, name, amount, price))
            if result in (Code.ORDER_NOT_FOUND, Code.INSTRUMENT_CLOSED):
                del quote.orders[side]
        quote.ticks[side] = ticks


class Taker(Agent):
    """Trades against what is quoted."""

    def __init__(self, client: LedgerClient, names: list[str], seed: int, pace_s: float) -> None:
        super().__init__(client, names, seed, pace_s)
        self.tops: dict[str, dict[str, Any]] = {}
        self.resting: list[str] = []

    async def prepare(self) -> None:
        """Watch the best prices of a few instruments."""
        for name in self.random.sample(self.names, min(TAKER_INSTRUMENTS, len(self.names))):
            await self.client.subscribe(f"quote.{name}", self.receive_quote)

    def receive_quote(self, data: dict[str, Any]) -> None:
        """Note an instrument's best prices."""
        self.tops[data["instrument_name"]] = data

    async def step(self, number: int) -> None:
        """Do one of the things a taker does, mostly trading."""
        if len(self.resting) > TAKER_RESTING_MAX:
            await self.attempt(self.client.cancel(self.resting.pop(0)))
            return
        quoted = [name for name, top in self.tops.items() if top["best_bid_price"] and top["best_ask_price"]]
        if not quoted:
            return
        name = self.random.choice(quoted)
        actions: tuple[Callable[[str], Awaitable[None]], ...] = (
            self.cross,
            self.rest,
            self.ask_the_impossible,
        )
        await self.random.choices(actions, weights=(80, 15, 5))[0](name)

    def choose_side(self, name: str) -> str:
        """Return a side, more often the one that brings the position back."""
        held = self.held_lots.get(name, 0)
        reducing = "sell" if held > 0 else "buy"
        if held and self.random.random() < 0.7:
            return reducing
        return self.random.choice(("buy", "sell"))

    def read_ticks(self, name: str, side: str) -> int:
        """Return the best price that an order of this side would meet, in ticks."""
        top = self.tops[name]
        price = top["best_ask_price"] if side == "buy" else top["best_bid_price"]
        return round(count_ticks(self.client.instruments[name], price))

    async def send_order(
        self, name: str, side: str, lots: int, ticks: int, **options: Any
    ) -> dict[str, Any] | None:
        """Place an order and return its result, or None if it was refused."""
        instrument = self.client.instruments[name]
        amount, price = write_amount(instrument, lots), write_price(instrument, ticks)
        result = await self.attempt(self.client.place(side, name, amount, price, **options))
        if not isinstance(result, dict):
            return None
        for trade in result["trades"]:
            self.note_trade(trade)
        return result

    async def cross(self, name: str) -> None:
        """Take the best price, immediate or cancel."""
        side = self.choose_side(name)
        ticks = self.read_ticks(name, side) + (1 if side == "buy" else -1)
        if ticks >= 1:
            lots = self.random.randint(*TAKER_LOTS)
            await self.send_order(name, side, lots, ticks, time_in_force="immediate_or_cancel")

    async def rest(self, name: str) -> None:
        """Rest an order one tick better than the best of its own side, post-only every other time."""
        side = self.choose_side(name)
        own = self.read_ticks(name, "sell" if side == "buy" else "buy")
        ticks = own + (1 if side == "buy" else -1)
        if ticks >= 1:
            post_only = self.random.random() < 0.5
            result = await self.send_order(
                name, side, self.random.randint(*TAKER_LOTS), ticks, post_only=post_only
            )
            if result is not None and result["order"].get("order_state") == "open":
                self.resting.append(result["order"]["order_id"])

    async def ask_the_impossible(self, name: str) -> None:
        """Send what must be refused: a post-only order that crosses, one beyond any margin, an unknown
        order.
        """
        choice = self.random.randrange(3)
        if choice == 0:
            await self.send_order(name, "buy", 1, self.read_ticks(name, "buy") + 1, post_only=True)
        elif choice == 1:
            await self.send_order(name, "sell", OVERSIZED_LOTS, self.read_ticks(name, "buy") + 50)
        else:
            await self.attempt(self.client.cancel(UNKNOWN_ORDER))
