"""The synthetic venue and order stream that the benchmarks share: the same commands for the same seed."""

import random
from typing import Any

from novate.execution.engine import Engine
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import Code, CommandKind, EventKind, InstrumentKind, Side, TimeInForce
from novate.protocol.generated.constants import NS_PER_DAY, NS_PER_S
from novate.protocol.genesis import Genesis, encode_genesis, parse_genesis

USDC = 1_000_000
ONE = 1 << 48
START_NS = 20_500 * NS_PER_DAY
OPERATOR, ORACLE = b"\x0e" * 20, b"\x0a" * 20
SERIES = 10
SIGNATURE = bytes(65)
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
    "observation_age_ns_max": 30 * NS_PER_S,
    "index_age_ns_max": 3600 * NS_PER_S,
    "futures_initial_e6": 20_000,
    "futures_maintenance_e6": 10_000,
    "short_initial_e6": 30_000,
    "short_maintenance_e6": 15_000,
    "basis_shift_e6": 10_000,
    "confidence_threshold_e6": 950_000,
    "confidence_rate_e6": 50_000,
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


def make_genesis(accounts: int, instruments: int, positions: int = 1 << 17) -> Genesis:
    """BTC alone, one oracle."""
    document: dict[str, Any] = {
        "version": 1,
        "chain_id": 31_337,
        "settlement": "0x" + "5e" * 20,
        "operator": "0x" + OPERATOR.hex(),
        "oracles": ["0x" + ORACLE.hex()],
        "quorum": 1,
        "underlyings": [UNDERLYING],
        "limits": {
            "accounts": accounts,
            "orders": 1 << 18,
            "positions": positions,
            "instruments": instruments,
            "series": SERIES,
            "triggers": 1 << 10,
        },
        "parameters": PARAMETERS,
        "fee_tiers": [
            {
                "option_taker_e6": 300,
                "option_maker_e6": 100,
                "futures_taker_e6": 300,
                "futures_maker_e6": 100,
            }
        ],
    }
    return parse_genesis(encode_genesis(document))


def name_account(number: int) -> bytes:
    return (number + 1).to_bytes(20, "big")


class Stream:
    """Builds commands. Every account is rich, so every PLACE is accepted and ids can be counted ahead."""

    def __init__(
        self,
        accounts: int,
        instruments: int,
        seed: int = 7,
        positions: int = 1 << 17,
        deposit_atoms: int = 1 << 50,
    ) -> None:
        self.rng = random.Random(seed)
        self.accounts, self.instruments = accounts, instruments
        self.deposit_atoms = min(deposit_atoms, (1 << 60) // accounts)
        self.engine = Engine(make_genesis(accounts, instruments, positions))
        self.now_ns = START_NS
        self.nonces: dict[bytes, int] = {}
        self.next_order_id = 1
        self.open: list[tuple[int, int, int, int]] = []  # (order id, account, instrument, price)
        self.setup = self.make_setup()
        events = self.engine.apply(self.setup)
        results = events[events["kind"] == EventKind.RESULT]
        assert (results["code"] == Code.OK).all(), results["code"]
        records = self.engine.world.instruments[:instruments]
        self.fair = (records["mark_atoms"] // records["tick_atoms"]).tolist()

    def sign(self, kind: CommandKind, signer: bytes, **fields: int) -> Command:
        nonce = self.nonces[signer] = self.nonces.get(signer, 0) + 1
        return make_command(kind, self.now_ns, signer, SIGNATURE, nonce=nonce, expires_ns=1 << 62, **fields)

    def index(self, atoms: int = 80_000 * USDC) -> Command:
        self.now_ns += 1_000_000
        fields = {
            "underlying": 0,
            "index_atoms": atoms,
            "confidence_e6": 1_000_000,
            "observed_ns": self.now_ns,
        }
        return make_command(CommandKind.INDEX, self.now_ns, ORACLE, SIGNATURE, **fields)

    def tick(self) -> Command:
        return make_command(CommandKind.TICK, self.now_ns)

    def make_setup(self) -> list[Command]:
        """Deposits, a perpetual, options in ten series, an index, surfaces, marks."""
        commands = [
            make_command(
                CommandKind.DEPOSIT,
                self.now_ns,
                name_account(n),
                cursor=n + 1,
                amount_atoms=self.deposit_atoms,
            )
            for n in range(self.accounts)
        ]
        listing: dict[str, int] = {"underlying": 0, "instrument_kind": InstrumentKind.PERPETUAL}
        commands.append(
            self.sign(CommandKind.LIST_INSTRUMENT, OPERATOR, strike_atoms=0, expiry_ns=0, **listing)
        )
        expiries = [START_NS + (3 + 17 * n) * NS_PER_DAY for n in range(SERIES)]
        for n in range(self.instruments - 1):
            kind = (InstrumentKind.CALL, InstrumentKind.PUT)[n // SERIES % 2]
            strike = (60_000 + 40_000 * (n // SERIES // 2) * 2 * SERIES // self.instruments) * USDC
            terms = {
                "underlying": 0,
                "instrument_kind": kind,
                "strike_atoms": strike,
                "expiry_ns": expiries[n % SERIES],
            }
            commands.append(self.sign(CommandKind.LIST_INSTRUMENT, OPERATOR, **terms))
        commands.append(self.index())
        for expiry_ns in expiries[: min(SERIES, self.instruments - 1)]:
            variance = (expiry_ns - START_NS) * ONE // (4 * 365 * NS_PER_DAY)
            slice_ = {
                "svi_a_x48": variance,
                "svi_b_x48": 0,
                "svi_rho_x48": 0,
                "svi_m_x48": 0,
                "svi_sigma_x48": ONE,
            }
            rest = {"forward_atoms": 80_000 * USDC, "observed_ns": self.now_ns, "expiry_ns": expiry_ns}
            fields = {"underlying": 0, **slice_, **rest}
            commands.append(make_command(CommandKind.SURFACE, self.now_ns, ORACLE, SIGNATURE, **fields))
        commands.append(self.tick())
        return commands

    def place(
        self, account: int, number: int, side: int, lots: int, ticks: int, tif: int = TimeInForce.GTC
    ) -> Command:
        self.open.append((self.next_order_id, account, number, ticks))
        self.next_order_id += 1
        fields = {
            "instrument": number,
            "side": side,
            "time_in_force": tif,
            "lots": lots,
            "price_ticks": ticks,
        }
        return self.sign(CommandKind.PLACE, name_account(account), **fields)

    def next_order(self) -> Command:
        """45 % limit orders, 12 % IOC orders, 38 % cancels of an order of the last thousand, 5 %
        replacements.
        """
        rng = self.rng
        draw = rng.random()
        if draw < 0.57 or not self.open:
            number, side = rng.randrange(self.instruments), rng.choice((Side.BUY, Side.SELL))
            sign = 1 if side == Side.BUY else -1
            ioc = draw >= 0.45
            offset = round(abs(rng.gauss(0, 12))) * (sign if ioc else -sign) + rng.choice((0, 0, 0, 2 * sign))
            ticks = max(1, self.fair[number] + offset)
            tif = TimeInForce.IOC if ioc else TimeInForce.GTC
            return self.place(rng.randrange(self.accounts), number, side, rng.randrange(1, 20), ticks, tif)
        at = max(0, len(self.open) - 1 - rng.randrange(1000))
        order_id, account, _, ticks = self.open[at]
        if draw < 0.95:
            self.open.pop(at)
            return self.sign(CommandKind.CANCEL, name_account(account), order_id=order_id)
        fields = {
            "order_id": order_id,
            "lots": rng.randrange(1, 20),
            "price_ticks": max(1, ticks + rng.randrange(-2, 3)),
        }
        return self.sign(CommandKind.REPLACE, name_account(account), **fields)
