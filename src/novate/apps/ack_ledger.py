"""What the venue has acknowledged, as its clients know it: to be compared with the journal, and to measure
latency.

A client notes every reply to a signed command that carries a receipt. After a crash the journal must hold
each of them at the same place, or the venue has broken its word.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from coincurve import PrivateKey

from novate.access.client import NovateClient

LATENCIES_KEPT_MAX = 1_000_000
ORDER_METHODS = frozenset({"private/buy", "private/sell", "private/edit"})
QUOTE_METHOD = "private/mass_quote"
ACCEPTED = "ok"


class Ack(NamedTuple):
    """One acknowledged command: its place, its result, and the signature that identifies it."""

    sequence: int
    reason: str
    order_id: str
    method: str
    account: str
    nonce: int
    signature: str


class AckLedger:
    """Acknowledgements of any number of clients."""

    def __init__(self) -> None:
        self.acks: list[Ack] = []
        self.latencies_ns: list[int] = []
        self.refusals: Counter[str] = Counter()
        self.order_count = 0
        self.fill_count = 0
        self.sent_count = 0

    def note_sent(self) -> None:
        """Count a signed command that was sent."""
        self.sent_count += 1

    def note_reply(self, method: str, params: dict[str, Any], reply: dict[str, Any], latency_ns: int) -> None:
        """Note the reply to a signed command; a refusal at the door has no receipt and no place in the
        sequence.
        """
        if len(self.latencies_ns) < LATENCIES_KEPT_MAX:
            self.latencies_ns.append(latency_ns)
        result, error = reply.get("result") or {}, reply.get("error") or {}
        data = error.get("data") or {}
        if error:
            self.refusals[str(data.get("reason", "internal_error"))] += 1
        receipt = result.get("receipt") or data.get("receipt")
        if receipt is None:
            return
        order = result.get("order") or result
        ack = Ack(
            int(receipt["sequence"]),
            str(receipt["reason"]),
            str(order.get("order_id", "")),
            method,
            params["account"],
            int(params["nonce"]),
            params["signature"],
        )
        self.acks.append(ack)
        self.fill_count += len(result.get("trades", ()))
        if method in ORDER_METHODS and ack.reason == ACCEPTED:
            self.order_count += 1
        elif method == QUOTE_METHOD:
            self.order_count += len(result.get("orders", ()))

    def compute_latency_ms(self, *shares: float) -> list[float]:
        """Return the latencies below which these shares of replies came, in milliseconds; zeros without
        replies.
        """
        ordered = sorted(self.latencies_ns)
        if not ordered:
            return [0.0] * len(shares)
        return [ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1e6 for share in shares]


class LedgerClient(NovateClient):
    """A client that writes every acknowledgement of its signed commands into a ledger."""

    def __init__(
        self,
        url: str,
        key: PrivateKey,
        ledger: AckLedger,
        clock_ns: Callable[[], int],
        reconnect: bool = True,
    ) -> None:
        super().__init__(url, key, clock_ns=clock_ns, reconnect=reconnect)
        self.ledger = ledger

    async def send(self, method: str, params: dict[str, Any]) -> "asyncio.Future[dict[str, Any]]":
        """Send a request; note the time and the reply of a signed one."""
        begin_ns = time.perf_counter_ns()
        future = await super().send(method, params)
        if "signature" in params and method != "public/auth":
            self.ledger.note_sent()

            def note(done: "asyncio.Future[dict[str, Any]]") -> None:
                if not done.cancelled() and done.exception() is None:
                    latency_ns = time.perf_counter_ns() - begin_ns
                    self.ledger.note_reply(method, params, done.result(), latency_ns)

            future.add_done_callback(note)
        return future
