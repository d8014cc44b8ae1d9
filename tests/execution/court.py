"""A venue without fees where one debtor is long ten lots, and what a TICK says of liquidation.

The maker, the taker and the stranger are rich; the debtor has 150 USDC and bought at 80 from the maker. A lot
of the perpetual is a thousandth of the index. Its worst scenario moves 16 %, so q lots at m need
q * m * (0.8 * 16 % + 1 %) = 13.8 % of their value as maintenance and 16 % + 2 % = 18 % as initial margin.
The band is 5 % of the index, half a per cent of what a slice closes is its penalty.
"""

from novate.execution.views import compute_conservation_gap, compute_lots_gap, read_account
from novate.protocol.generated.codes import EventKind
from novate.protocol.genesis import encode_genesis, parse_genesis
from tests.execution.scenes import LISTINGS, ROLES, make_roomy_genesis, read_document
from tests.law.desk import Desk

MAKER, TAKER, STRANGER, DEBTOR = range(4)
PERPETUAL, CALL, ETH_CALL = range(3)
TICKS_PER_USDC = 400
STORY = {kind: kind.name for kind in EventKind if kind >= EventKind.LIQUIDATION_STARTED}


class Court(Desk):
    """A desk with marks, and books that are balanced after every TICK."""

    def __init__(self, debtor_usdc: int = 150, **parameters: int) -> None:
        quiet = {"futures_band_e6": 50_000, "funding_cap_e9": 0, "funding_deadband_e9": 0}
        document = read_document(make_roomy_genesis(quiet | parameters, accounts=6))
        document["fee_tiers"] = [dict.fromkeys(tier, 0) for tier in document["fee_tiers"]]
        super().__init__(parse_genesis(encode_genesis(document)))
        for role in ROLES:
            self.must(role, "deposit amount_atoms=1_000_000*usdc")
        self.must("debtor", f"deposit amount_atoms={debtor_usdc}*usdc")
        self.must("operator", *LISTINGS, "set_slice slice_notional_atoms=10_000*usdc")
        self.must("oracle", "index", "surface", "tick")

    def deal(self, buyer: str, seller: str, lots: int, usdc: int) -> None:
        """The buyer takes what the seller offers of the perpetual."""
        self.offer(seller, "sell", lots, usdc)
        self.offer(buyer, "buy", lots, usdc)
        assert [(lots,)] == self.found("FILL", "lots")

    def offer(self, role: str, side: str, lots: int, usdc: int) -> None:
        """An order for the perpetual at whole USDC."""
        self.must(role, f"place side={side} lots={lots} price_ticks={usdc * TICKS_PER_USDC}")

    def mark(self, usdc: int) -> None:
        """A second later a lot of the perpetual is worth so much."""
        self.must("oracle", f"index after=1 index_atoms={usdc}*1000*usdc")
        self.tick()

    def tick(self) -> None:
        """A TICK; money and lots add up after it."""
        self.must("oracle", "tick")
        assert (0, 0) == (compute_conservation_gap(self.engine), compute_lots_gap(self.engine))

    def told(self) -> list[str]:
        """The names of the last command's events of liquidation, in order."""
        return [STORY[EventKind(event["kind"])] for event in self.events if event["kind"] in STORY]

    def found(self, name: str, *fields: str) -> list[tuple[int, ...]]:
        """Chosen fields of the last command's events of a kind."""
        kind = EventKind[name]
        return [tuple(event[field] for field in fields) for event in self.events if event["kind"] == kind]

    def cash(self, account: int) -> int:
        """The cash of an account in atoms."""
        return read_account(self.engine, account).cash_atoms

    def fund(self) -> int:
        """What is in the insurance fund."""
        return int(self.engine.world.house[0]["insurance_atoms"])

    def stage(self) -> tuple[int, int]:
        """The debtor's stage and its ticks in it."""
        record = self.engine.world.accounts[DEBTOR]
        return int(record["liquidation_stage"]), int(record["liquidation_count"])


def indebted(**parameters: int) -> Court:
    """A court with the debtor's position."""
    court = Court(**parameters)
    court.deal("debtor", "maker", 10, 80)
    return court
