"""The demo's traders as one fleet: connect them, let them trade, stop them, and ask for their money back."""

import asyncio
import random
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple

from coincurve import PrivateKey

from novate.access.client_errors import ConnectionLost, VenueError
from novate.access.client_signing import ClientInstrument
from novate.apps.ack_ledger import AckLedger, LedgerClient
from novate.apps.traders import Agent, Maker, Taker
from novate.protocol.generated.constants import NS_PER_S

CONNECT_AT_ONCE = 5
ACTIVE_MAX = 48
STRIKES_PER_EXPIRY = 3
MAKER_PACE_S = 0.09
TAKER_PACE_S = 0.33
# A signature must outlive its way to the venue, whose time may run fast.
SIGNED_AHEAD_S = 30
WITHDRAWN_SHARE = Decimal("0.1")
CENT = Decimal("0.01")


class Request(NamedTuple):
    """One accepted withdrawal, as its owner asked for it."""

    key: PrivateKey
    amount_atoms: int


class SharedClient(LedgerClient):
    """One of many clients of one program: the list of instruments is read once for all."""

    shared: dict[str, ClientInstrument] | None = None

    async def load_instruments(self) -> dict[str, ClientInstrument]:
        """Return the shared instruments, or read them if nobody has."""
        if self.shared is None:
            return await super().load_instruments()
        self.instruments = self.shared
        return self.shared


class TraderFleet:
    """Makers and takers of one venue, each with a key and a connection of its own.

    `clock_ns` is the venue's time and `rate` how fast it runs; `seed` makes the same traders behave alike.
    """

    def __init__(
        self,
        url: str,
        maker_keys: list[PrivateKey],
        taker_keys: list[PrivateKey],
        clock_ns: Callable[[], int],
        rate: float,
        seed: int,
    ) -> None:
        self.url = url
        self.keys = [*maker_keys, *taker_keys]
        self.maker_count = len(maker_keys)
        self.clock_ns = clock_ns
        self.ahead_ns = int(SIGNED_AHEAD_S * rate * NS_PER_S)
        self.random = random.Random(seed)
        self.ledger = AckLedger()
        self.clients: list[SharedClient] = []
        self.agents: list[Agent] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.names: list[str] = []

    async def connect(self, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Connect and log in every trader, and choose the instruments that they trade."""
        self.clients = [SharedClient(self.url, key, self.ledger, self.clock_ns) for key in self.keys]
        await self.clients[0].connect()
        self.names = await self.choose_names()
        for client in self.clients[1:]:
            client.shared = self.clients[0].instruments
        done = 1
        while done < len(self.clients):
            chunk = self.clients[done : done + CONNECT_AT_ONCE]
            await asyncio.gather(*(client.connect() for client in chunk))
            done += len(chunk)
            progress(done, len(self.clients))
        for client in self.clients:
            client.clock_ns = lambda: self.clock_ns() + self.ahead_ns

    async def choose_names(self) -> list[str]:
        """Return the names in focus: perpetuals, futures, of each expiry the strikes nearest the index."""
        client = self.clients[0]
        rows = await client.call("public/get_instruments", {"currency": "any"})
        indexes = {}
        for name in {row["price_index"] for row in rows}:
            indexes[name] = (await client.call("public/get_index_price", {"index_name": name}))["index_price"]
        names = [row["instrument_name"] for row in rows if row["kind"] == "future"]
        groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for row in rows:
            if row["kind"] == "option":
                groups.setdefault((row["price_index"], row["expiration_timestamp"]), []).append(row)
        # Expiries take turns, so that a long list is cut at its far strikes and not at its last expiries.
        ranked = []
        for (index_name, _), group in sorted(groups.items()):
            group.sort(key=lambda row: (abs(row["strike"] - indexes[index_name]), row["instrument_name"]))
            ranked.append([row["instrument_name"] for row in group[: 2 * STRIKES_PER_EXPIRY]])
        for place in range(2 * STRIKES_PER_EXPIRY):
            names.extend(group[place] for group in ranked if place < len(group))
        return names[:ACTIVE_MAX]

    def start(self) -> None:
        """Let everybody trade."""
        for number, client in enumerate(self.clients):
            seed = self.random.randrange(1 << 32)
            if number < self.maker_count:
                agent: Agent = Maker(client, self.names, seed, MAKER_PACE_S)
            else:
                agent = Taker(client, self.names, seed, TAKER_PACE_S)
            self.agents.append(agent)
        self.tasks = [asyncio.create_task(agent.run()) for agent in self.agents]

    async def stop(self) -> None:
        """Stop trading, wait for what is under way, and cancel every order.

        Errors     whatever ended an agent before its time.
        """
        for agent in self.agents:
            agent.is_running = False
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []
        failed = next((each for each in results if isinstance(each, Exception)), None)
        if failed is not None:
            raise failed
        for start in range(0, len(self.clients), CONNECT_AT_ONCE):
            await asyncio.gather(
                *(client.cancel_all() for client in self.clients[start : start + CONNECT_AT_ONCE])
            )

    async def withdraw_some(self, count: int) -> list[Request]:
        """Let the last `count` takers withdraw a tenth of what they may, and return what was accepted."""
        requests = []
        for client, key in list(zip(self.clients, self.keys, strict=True))[-count:]:
            summary = await client.call("private/get_account_summary", {"currency": "USDC"})
            free = Decimal(str(summary["available_withdrawal_funds"]))
            amount = (free * WITHDRAWN_SHARE).quantize(CENT, ROUND_DOWN)
            if amount <= 0:
                continue
            try:
                await client.withdraw(amount)
            except (VenueError, ConnectionLost):
                continue
            requests.append(Request(key, int(amount * 1_000_000)))
        return requests

    async def close(self) -> None:
        """End every connection; agents that still run are stopped."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.gather(*(client.close() for client in self.clients))
