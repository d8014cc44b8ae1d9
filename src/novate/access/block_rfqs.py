"""Requests for quotes on packages of legs, and the quotes that makers signed. In memory, outside the law.

A request tells makers neither which side of the package its taker wants nor more about the taker than the
address that a block trade must name. A quote is firm: it carries the maker's cosignature over the very
BlockTrade that the taker's acceptance completes. What is here can be lost at a restart, and nobody's
position with it. Every table has a bound.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from novate.access.combo_terms import PackageLeg
from novate.access.errors import ApiError
from novate.access.limits import NS_PER_S, ServerLimits
from novate.execution.sequencer import Outcome
from novate.protocol.command import Command
from novate.protocol.generated.codes import AccessCode, Code, CommandKind, Side

OPEN, FILLED, CANCELLED, EXPIRED, CLOSED = "open", "filled", "cancelled", "expired", "closed"
STATES = (OPEN, FILLED, CANCELLED, EXPIRED, CLOSED)


@dataclass(slots=True)
class RfqQuote:
    """A maker's quote: the command that acceptance completes, already cosigned. `side` is the taker's."""

    quote_id: int
    account: int
    side: Side
    command: Command
    label: str
    created_ns: int
    updated_ns: int
    expires_ns: int
    state: str = OPEN

    def is_traded_by(self, command: Command) -> bool:
        """Whether a block trade is the one that this quote offers."""
        mine = self.command
        return (mine.items, mine.values, mine.subject) == (command.items, command.values, command.subject)


@dataclass(slots=True)
class BlockRfq:
    """A request: the package as its buyer trades it, and the nonce that the taker would sign with."""

    rfq_id: int
    account: int
    address: bytes
    nonce: int
    package: tuple[PackageLeg, ...]
    label: str
    created_ns: int
    updated_ns: int
    expires_ns: int
    state: str = OPEN
    quotes: dict[int, RfqQuote] = field(default_factory=dict)
    block_order_id: int = 0
    reason: str = ""

    def list_open_quotes(self) -> list[RfqQuote]:
        """Return the quotes that can be accepted."""
        return [quote for quote in self.quotes.values() if quote.state == OPEN]


class RfqDesk:
    """Open requests by number, and the latest that ended. One event loop."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self.open: dict[int, BlockRfq] = {}
        self.ended: OrderedDict[int, BlockRfq] = OrderedDict()
        self.quote_rfqs: dict[int, int] = {}
        self.last_rfq_id = 0
        self.last_quote_id = 0
        self.makers_dirty: dict[int, BlockRfq] = {}
        self.takers_dirty: dict[int, BlockRfq] = {}

    def create(
        self,
        account: int,
        address: bytes,
        nonce: int,
        package: tuple[PackageLeg, ...],
        label: str,
        time_ns: int,
    ) -> BlockRfq:
        """Return a new request, or raise TOO_MANY_REQUESTS beyond the bounds."""
        mine = sum(rfq.account == account for rfq in self.open.values())
        if mine >= self.limits.rfqs_per_account or len(self.open) >= self.limits.rfqs_open:
            bound = self.limits.rfqs_per_account
            message = f"an account may have {bound} open requests, and the venue {self.limits.rfqs_open}"
            raise ApiError(AccessCode.TOO_MANY_REQUESTS, message)
        self.last_rfq_id += 1
        expires_ns = time_ns + self.limits.rfq_for_s * NS_PER_S
        rfq = BlockRfq(
            self.last_rfq_id, account, address, nonce, package, label, time_ns, time_ns, expires_ns
        )
        self.open[rfq.rfq_id] = rfq
        self.touch(rfq, True)
        return rfq

    def touch(self, rfq: BlockRfq, concerns_makers: bool) -> None:
        """Note that a request has changed, for its taker and maybe for the makers."""
        self.takers_dirty[rfq.rfq_id] = rfq
        if concerns_makers:
            self.makers_dirty[rfq.rfq_id] = rfq

    def find(self, rfq_id: int) -> BlockRfq | None:
        """Return a request, open or ended not long ago."""
        return self.open.get(rfq_id) or self.ended.get(rfq_id)

    def require_open(self, rfq_id: int) -> BlockRfq:
        """Return an open request, or raise RFQ_NOT_FOUND."""
        rfq = self.find(rfq_id)
        if rfq is None or rfq.state != OPEN:
            state = "unknown" if rfq is None else rfq.state
            message = f"no block RFQ {rfq_id} is open: it is {state}"
            raise ApiError(AccessCode.RFQ_NOT_FOUND, message, block_rfq_id=rfq_id, state=state)
        return rfq

    def find_quote(self, quote_id: int) -> tuple[BlockRfq, RfqQuote] | None:
        """Return a quote that can be accepted, with its request."""
        rfq = self.open.get(self.quote_rfqs.get(quote_id, 0))
        quote = None if rfq is None else rfq.quotes.get(quote_id)
        return None if rfq is None or quote is None or quote.state != OPEN else (rfq, quote)

    def require_quote(self, quote_id: int) -> tuple[BlockRfq, RfqQuote]:
        """Return a quote that can be accepted, or raise RFQ_NOT_FOUND."""
        found = self.find_quote(quote_id)
        if found is None:
            message = f"no quote {quote_id} is open"
            raise ApiError(AccessCode.RFQ_NOT_FOUND, message, block_rfq_quote_id=quote_id)
        return found

    def add_quote(
        self,
        rfq: BlockRfq,
        account: int,
        side: Side,
        command: Command,
        label: str,
        time_ns: int,
    ) -> RfqQuote:
        """Return a new quote; it takes the place of the maker's earlier one on the same side.

        Errors     TOO_MANY_REQUESTS beyond the bound of quotes.
        """
        present = rfq.list_open_quotes()
        before = [quote for quote in present if (quote.account, quote.side) == (account, side)]
        if not before and len(present) >= self.limits.quotes_per_rfq:
            bound = self.limits.quotes_per_rfq
            raise ApiError(AccessCode.TOO_MANY_REQUESTS, f"a request has room for {bound} quotes")
        for quote in before:
            self.end_quote(rfq, quote, CANCELLED, time_ns)
        self.last_quote_id += 1
        expires_ns = command.get("expires_ns")
        quote = RfqQuote(self.last_quote_id, account, side, command, label, time_ns, time_ns, expires_ns)
        rfq.quotes[quote.quote_id] = quote
        self.quote_rfqs[quote.quote_id] = rfq.rfq_id
        self.touch(rfq, False)
        return quote

    def end_quote(self, rfq: BlockRfq, quote: RfqQuote, state: str, time_ns: int) -> None:
        """End a quote; one that was not filled is forgotten, so that a request keeps a bounded number."""
        quote.state, quote.updated_ns = state, time_ns
        self.quote_rfqs.pop(quote.quote_id, None)
        if state != FILLED:
            rfq.quotes.pop(quote.quote_id, None)
        self.touch(rfq, False)

    def end(self, rfq: BlockRfq, state: str, time_ns: int, reason: str = "") -> None:
        """End a request and its quotes, and forget the oldest ended beyond the bound."""
        rfq.state, rfq.updated_ns, rfq.reason = state, time_ns, reason
        for quote in rfq.list_open_quotes():
            self.end_quote(rfq, quote, CANCELLED, time_ns)
        self.open.pop(rfq.rfq_id, None)
        self.ended[rfq.rfq_id] = rfq
        while len(self.ended) > self.limits.rfqs_kept:
            self.ended.popitem(last=False)
        self.touch(rfq, True)

    def expire(self, time_ns: int) -> None:
        """End what is over."""
        for rfq in [rfq for rfq in self.open.values() if rfq.expires_ns <= time_ns]:
            self.end(rfq, EXPIRED, time_ns)
        for rfq in self.open.values():
            for quote in [quote for quote in rfq.list_open_quotes() if quote.expires_ns <= time_ns]:
                self.end_quote(rfq, quote, EXPIRED, time_ns)

    def observe(self, outcomes: list[Outcome]) -> None:
        """Take in what became of quotes that were traded. An acceptance that the law refused ends its request
        all the same: the nonce that every quote names is used up [AUTH-3].
        """
        for outcome in outcomes:
            if outcome.command.kind != CommandKind.BLOCK_TRADE:
                continue
            for rfq, quote in self.find_traded(outcome.command):
                if outcome.code == Code.OK:
                    rfq.block_order_id = int(outcome.events[0]["order_id"])
                    self.end_quote(rfq, quote, FILLED, outcome.time_ns)
                    self.end(rfq, FILLED, outcome.time_ns)
                else:
                    self.end(rfq, CLOSED, outcome.time_ns, Code(outcome.code).name.lower())

    def find_traded(self, command: Command) -> list[tuple[BlockRfq, RfqQuote]]:
        """Return the open quote that a block trade is, with its request; nothing for any other block."""
        return [
            (rfq, quote)
            for rfq in self.open.values()
            if rfq.address == command.holder and rfq.nonce == command.get("nonce")
            for quote in rfq.list_open_quotes()
            if quote.is_traded_by(command)
        ][:1]

    def list_rfqs(self) -> Iterator[BlockRfq]:
        """Yield the requests, newest first."""
        yield from sorted((*self.open.values(), *self.ended.values()), key=lambda rfq: -rfq.rfq_id)

    def take_dirty(self) -> tuple[list[BlockRfq], list[BlockRfq]]:
        """Return the requests that changed for makers and for takers since the last call."""
        makers, takers = list(self.makers_dirty.values()), list(self.takers_dirty.values())
        self.makers_dirty, self.takers_dirty = {}, {}
        return makers, takers
