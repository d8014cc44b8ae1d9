"""What every method of the API works with.
The engine, the sequencer, the display state and the bounds, in one place.
"""

from collections.abc import Callable
from typing import Protocol

from novate.access.account_payloads import AccountPayloads
from novate.access.block_rfqs import RfqDesk
from novate.access.channels import Channel, ChannelReader
from novate.access.combo_lister import ComboLister
from novate.access.errors import ApiError
from novate.access.funding_tape import FundingTape
from novate.access.history_tape import HistoryTape
from novate.access.keyring import find_speaker, show_address
from novate.access.limits import ServerCounters, ServerLimits
from novate.access.market_feed import MarketFeed
from novate.access.market_payloads import Analytics, MarketPayloads
from novate.access.order_ledger import OrderLedger
from novate.access.order_payloads import OrderPayloads
from novate.access.sessions import Session, SessionTable
from novate.access.signature_gate import SignatureGate
from novate.access.trade_tape import TradeTape
from novate.execution import views
from novate.execution.engine import Engine, InstrumentView
from novate.execution.sequencer import Sequencer
from novate.protocol.generated.codes import AccessCode, Code
from novate.protocol.genesis import Genesis
from novate.protocol.signing import Domain


class Caller(Protocol):
    """Who sent a request: a WebSocket connection or one HTTP request."""

    session: Session | None

    def subscribe(self, channels: list[Channel]) -> list[str]:
        """Subscribe and return the names subscribed to; refuse where there is nothing to send on."""

    def unsubscribe(self, names: list[str] | None) -> list[str]:
        """Unsubscribe from the names, or from everything, and return the names that ended."""

    def set_heartbeat(self, interval_s: int) -> None:
        """Begin or, with 0, end heartbeats."""

    def note_test(self) -> None:
        """Note that the client answered a test request."""


class Venue:
    """The parts of one running venue. Methods read from it; only the sequencer's listener writes."""

    def __init__(
        self,
        engine: Engine,
        sequencer: Sequencer,
        genesis: Genesis,
        clock_ns: Callable[[], int],
        limits: ServerLimits,
        analytics: Analytics,
        testnet: bool,
        lister: ComboLister | None = None,
    ) -> None:
        self.engine = engine
        self.sequencer = sequencer
        self.genesis = genesis
        self.clock_ns = clock_ns
        self.limits = limits
        self.testnet = testnet
        self.lister = lister
        self.domain = Domain(genesis.chain_id, genesis.settlement)
        self.counters = ServerCounters()
        self.tape = TradeTape(limits.trades_kept, self.read_prices)
        self.funding = FundingTape(limits.payments_kept, self.read_prices)
        self.history = HistoryTape(limits.movements_kept, self.read_prices)
        self.ledger = OrderLedger(self.tape, limits.closed_orders_kept)
        self.market = MarketPayloads(engine, genesis, self.tape, clock_ns, analytics)
        self.accounts = AccountPayloads(self.market)
        self.orders = OrderPayloads(self.market, self.ledger)
        self.feed = MarketFeed(self.market, self.accounts, self.orders, self.ledger, self.funding)
        self.channels = ChannelReader(engine, genesis)
        self.sessions = SessionTable(limits.sessions, limits.session_for_s)
        self.rfqs = RfqDesk(limits)
        self.gate = SignatureGate(limits.signature_threads, limits.signatures_waiting)
        for account in range(len(engine.addresses)):
            self.ledger.adopt(views.read_open_orders(engine, account))
            self.ledger.adopt(views.read_waiting_orders(engine, account))

    def read_prices(self, number: int) -> tuple[int, int]:
        """Return (index_atoms, mark_atoms) of an instrument now."""
        underlying = self.engine.instruments[number].underlying
        index_atoms = views.read_underlying(self.engine, underlying).index_atoms
        return index_atoms, views.read_instrument_state(self.engine, number).mark_atoms

    def find_instrument(self, name: str) -> InstrumentView:
        """Return an instrument by its name, or raise INSTRUMENT_NOT_FOUND."""
        number = self.engine.find_instrument(name)
        if number < 0:
            message = f"no instrument is called {name[:80]!r}; public/get_instruments lists them"
            raise ApiError(Code.INSTRUMENT_NOT_FOUND, message, instrument_name=name[:80])
        return self.engine.instruments[number]

    def require_address(self, caller: Caller) -> bytes:
        """Return the address of the caller's account, or raise UNAUTHORIZED."""
        if caller.session is None:
            message = "log in with public/auth (grant_type wallet_signature) and send the access token"
            raise ApiError(AccessCode.UNAUTHORIZED, message)
        if not self.is_speaking(caller.session):
            message = f"the key {show_address(caller.session.signer)} that logged in is not active any more"
            raise ApiError(AccessCode.UNAUTHORIZED, message)
        return caller.session.address

    def is_speaking(self, session: Session) -> bool:
        """Whether who logged in may still sign for the account: a key is revoked, or expires."""
        if session.signer == session.address:
            return True
        account = self.engine.find_account(session.address)
        speaker = None if account < 0 else find_speaker(self.engine, account, session.signer)
        return speaker is not None and (not speaker.place or speaker.expires_ns > self.clock_ns())

    def require_account(self, caller: Caller) -> int:
        """Return the caller's account, or raise UNAUTHORIZED or ACCOUNT_NOT_FOUND."""
        account = self.engine.find_account(self.require_address(caller))
        if account < 0:
            raise ApiError(Code.ACCOUNT_NOT_FOUND)
        return account
