"""A whole venue on a loopback port: engine, journal, sequencer and server are the real ones.
Only the clock can jump.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from coincurve import PrivateKey

from novate.access.client import NovateClient
from novate.access.client_signing import CommandSigner, KeySigner
from novate.access.limits import ServerLimits
from novate.access.venue_server import VenueServer
from novate.execution.engine import Engine
from novate.execution.journal import open_journal
from novate.execution.sequencer import Sequencer
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind
from novate.protocol.genesis import Genesis, encode_genesis, parse_genesis
from novate.protocol.signing import Domain, compute_address, sign_command

NS_PER_S = 1_000_000_000
DAY_NS = 86_400 * NS_PER_S
ONE_X48 = 1 << 48
USDC = 1_000_000
PERPETUAL = "BTC_USDC-PERPETUAL"
INDEX_ATOMS = 50_000 * USDC
SETTLEMENT = bytes.fromhex("5e" * 20)


def make_key(name: str) -> PrivateKey:
    """The same key for the same role, in every run."""
    return PrivateKey(name.encode().rjust(32, b"\1"))


OPERATOR, ORACLE = make_key("operator"), make_key("oracle")
MAKER, TAKER, PAUPER, STRANGER = (make_key(name) for name in ("maker", "taker", "pauper", "stranger"))
UNDERLYING = {
    "name": "BTC",
    "index_atoms_max": 1_000_000 * USDC,
    "option_lots_per_unit": 100,
    "option_tick_atoms": 50_000,
    "perpetual_lots_per_unit": 1000,
    "perpetual_tick_atoms": 2_500,
    "funding_impact_lots": 100,
    "slice_notional_atoms": 50_000_000_000,
}
PARAMETERS = {
    "observation_skew_ns": 2 * NS_PER_S,
    "observation_age_ns_max": 60 * NS_PER_S,
    "index_age_ns_max": 300 * NS_PER_S,
    "futures_initial_e6": 10_000,
    "futures_maintenance_e6": 5_000,
    "short_initial_e6": 10_000,
    "short_maintenance_e6": 5_000,
    "basis_shift_e6": 5_000,
    "confidence_threshold_e6": 900_000,
    "confidence_rate_e6": 10_000,
    "option_band_e6": 1_000_000_000,
    "futures_band_e6": 1_000_000_000,
    "option_fee_cap_e6": 125_000,
    "insurance_share_e6": 200_000,
    "funding_cap_e9": 5_000_000,
    "funding_deadband_e9": 250_000,
    "warning_e6": 1_200_000,
    "liquidation_fee_e6": 5_000,
    "slice_tick_count": 5,
    "auction_tick_count": 10,
    "auction_step_e6": 50_000,
}


def make_genesis(**limits: int) -> Genesis:
    """A small venue of one underlying and one oracle."""
    sizes = {"accounts": 16, "orders": 512, "positions": 256, "instruments": 16, "series": 8, "triggers": 64}
    document = {
        "version": 1,
        "chain_id": 31_337,
        "settlement": "0x" + SETTLEMENT.hex(),
        "operator": "0x" + compute_address(OPERATOR.public_key).hex(),
        "oracles": ["0x" + compute_address(ORACLE.public_key).hex()],
        "quorum": 1,
        "underlyings": [UNDERLYING],
        "limits": sizes | limits,
        "parameters": PARAMETERS,
        "fee_tiers": [
            {
                "option_taker_e6": 300,
                "option_maker_e6": 100,
                "futures_taker_e6": 300,
                "futures_maker_e6": 100,
            },
            {
                "option_taker_e6": 200,
                "option_maker_e6": 0,
                "futures_taker_e6": 200,
                "futures_maker_e6": -50,
            },
        ],
    }
    return parse_genesis(encode_genesis(document))


class JumpingClock:
    """The wall clock, which a test may set forward."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead_ns


class TestVenue:
    """One running venue and the few commands of its operator, oracle and vault."""

    __test__ = False

    def __init__(self, genesis: Genesis, folder: Path, limits: ServerLimits) -> None:
        self.genesis = genesis
        self.clock = JumpingClock()
        self.engine = Engine(genesis)
        self.journal, _ = open_journal(folder, genesis.hash)
        self.sequencer = Sequencer(self.engine, self.journal, self.clock)
        self.server = VenueServer(
            self.engine, self.sequencer, genesis, self.clock, folder, limits=limits, operator_key=OPERATOR
        )
        self.domain = Domain(genesis.chain_id, genesis.settlement)
        self.cursor = 0
        self.operator_nonce = 0
        self.option = ""
        self.unmarked = ""

    @property
    def url(self) -> str:
        """The WebSocket's address."""
        return f"ws://127.0.0.1:{self.server.port}/ws/api/v2"

    @property
    def http(self) -> str:
        """The HTTP address."""
        return f"http://127.0.0.1:{self.server.port}"

    async def submit(self, kind: CommandKind, key: PrivateKey | None = None, **fields: int) -> None:
        """Submit a command of the venue's own side, which must be accepted."""
        command = make_command(kind, 0, **fields)
        if key is not None:
            command = sign_command(command, self.engine.names, self.domain, key)
        outcome = await self.sequencer.submit(command)
        assert Code.OK == outcome.code, Code(outcome.code).name

    def make_tick(self) -> Command:
        """A command that anyone may see: time goes on."""
        return make_command(CommandKind.TICK, 0)

    async def deposit(self, key: PrivateKey, amount_usdc: int) -> None:
        """Credit a deposit."""
        self.cursor += 1
        command = make_command(
            CommandKind.DEPOSIT,
            0,
            compute_address(key.public_key),
            cursor=self.cursor,
            amount_atoms=amount_usdc * USDC,
        )
        assert Code.OK == (await self.sequencer.submit(command)).code

    async def list_instrument(self, kind: InstrumentKind, strike_atoms: int = 0, expiry_ns: int = 0) -> str:
        """List an instrument and return its name."""
        self.operator_nonce = max(self.operator_nonce + 1, self.clock())
        await self.submit(
            CommandKind.LIST_INSTRUMENT,
            OPERATOR,
            underlying=0,
            instrument_kind=kind,
            strike_atoms=strike_atoms,
            expiry_ns=expiry_ns,
            nonce=self.operator_nonce,
            expires_ns=self.clock() + DAY_NS,
        )
        return self.engine.instruments[-1].name

    async def list_put(self) -> str:
        """List a put of the same expiry as the option, and mark it."""
        expiry_ns = self.engine.instruments[self.engine.find_instrument(self.option)].expiry_ns
        name = await self.list_instrument(InstrumentKind.PUT, 45_000 * USDC, expiry_ns)
        await self.report_index(INDEX_ATOMS + 2)
        return name

    async def report_index(self, index_atoms: int = INDEX_ATOMS) -> None:
        """Report an index and renew the marks."""
        await self.submit(
            CommandKind.INDEX,
            ORACLE,
            underlying=0,
            index_atoms=index_atoms,
            confidence_e6=1_000_000,
            observed_ns=self.clock(),
        )
        await self.submit(CommandKind.TICK)

    async def report_surface(self, expiry_ns: int) -> None:
        """Report a volatility surface near 60 % and renew the marks."""
        await self.submit(
            CommandKind.SURFACE,
            ORACLE,
            underlying=0,
            expiry_ns=expiry_ns,
            forward_atoms=INDEX_ATOMS,
            svi_a_x48=ONE_X48 // 50,
            svi_b_x48=ONE_X48 // 20,
            svi_rho_x48=-ONE_X48 // 5,
            svi_m_x48=0,
            svi_sigma_x48=ONE_X48 // 5,
            observed_ns=self.clock(),
        )
        await self.submit(CommandKind.TICK)

    async def open_market(self) -> None:
        """Accounts, a perpetual, a marked call of one month and an option without a surface."""
        for key, amount_usdc in ((MAKER, 20_000_000), (TAKER, 20_000_000), (PAUPER, 20)):
            await self.deposit(key, amount_usdc)
        assert PERPETUAL == await self.list_instrument(InstrumentKind.PERPETUAL)
        expiry_ns = (self.clock() // DAY_NS + 30) * DAY_NS + 8 * 3600 * NS_PER_S
        await self.report_index()
        self.option = await self.list_instrument(InstrumentKind.CALL, 55_000 * USDC, expiry_ns)
        await self.report_surface(expiry_ns)
        self.unmarked = await self.list_instrument(InstrumentKind.PUT, 45_000 * USDC, expiry_ns + 7 * DAY_NS)
        await self.report_index(INDEX_ATOMS + 1)

    def make_client(self, key: PrivateKey | None = None, **options: Any) -> NovateClient:
        """A client of this venue, on the venue's clock."""
        return NovateClient(self.url, key, clock_ns=self.clock, **options)


@contextlib.asynccontextmanager
async def run_venue(
    folder: Path, limits: ServerLimits | None = None, **genesis_limits: int
) -> AsyncIterator[TestVenue]:
    """A venue that listens on a free loopback port, with its market open."""
    venue = TestVenue(make_genesis(**genesis_limits), folder, limits or ServerLimits())
    await venue.sequencer.start()
    await venue.server.start("127.0.0.1", 0)
    try:
        await venue.open_market()
        yield venue
    finally:
        await venue.server.stop()
        await venue.sequencer.stop()


class Wire:
    """A WebSocket without a client's manners: sends what it is told and returns what comes."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.last_id = 0

    async def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return the reply of the same id, skipping notifications."""
        self.last_id += 1
        message = {"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params or {}}
        await self.socket.send_str(json.dumps(message))
        while True:
            reply = await self.receive()
            if reply.get("id") == self.last_id:
                return reply

    async def receive(self) -> dict[str, Any]:
        """Return the next message."""
        reply: dict[str, Any] = await asyncio.wait_for(self.socket.receive_json(), 5)
        return reply


@contextlib.asynccontextmanager
async def open_wire(venue: TestVenue) -> AsyncIterator[Wire]:
    """A raw WebSocket to a venue."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(venue.url, max_msg_size=16 << 20) as socket,
    ):
        yield Wire(socket)


def sign(
    venue: TestVenue, key: PrivateKey, kind: CommandKind, instrument_name: str = "", **fields: int
) -> dict[str, Any]:
    """The parameters that a write carries; nonce and expiry are fresh unless given, domain is the venue's."""
    fields = {"nonce": venue.clock(), "expires_ns": venue.clock() + 60 * NS_PER_S} | fields
    return CommandSigner(KeySigner(key), venue.domain).sign(kind, name=instrument_name, **fields)


def sign_place(
    venue: TestVenue,
    key: PrivateKey,
    instrument_name: str = PERPETUAL,
    lots: int = 10,
    ticks: int = 20_000,
    **fields: int,
) -> dict[str, Any]:
    """The parameters of a valid limit order to buy, by default 0.01 BTC of the perpetual at 50,000 USDC."""
    order = {"instrument": 0, "side": 0, "time_in_force": 0, "lots": lots, "price_ticks": ticks} | fields
    signed = sign(venue, key, CommandKind.PLACE, instrument_name, **order)
    number = venue.engine.find_instrument(instrument_name)
    view = venue.engine.instruments[max(number, 0)]
    return signed | {
        "instrument_name": instrument_name,
        "amount": lots / view.lots_per_unit,
        "price": ticks * view.tick_atoms * view.lots_per_unit / USDC,
        "time_in_force": "immediate_or_cancel" if order["time_in_force"] == 1 else "good_til_cancelled",
        "post_only": order["time_in_force"] == 2,
    }
