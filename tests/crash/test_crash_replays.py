"""The worst hours of Luna, FTX and the USDC depeg over a thousand leveraged accounts, judged batch by batch;
and a made-up crash by which the judge is judged.
"""

from pathlib import Path

import pytest

from novate.apps.stress import StressOptions, StressRun, plan_stress, prepare_stress, run_stress
from novate.protocol.generated.codes import EventKind
from novate.protocol.generated.constants import E6
from tests.crash.synthetic import write_crash
from tests.crash.witness import Witness

PRICES = Path(__file__).parents[3] / "shared" / "data" / "prices"
CRASHES = ("luna_202205", "ftx_202211", "usdc_depeg_202303")
needs_prices = pytest.mark.skipif(
    not PRICES.exists(), reason="needs ../shared/data/prices, which a clone does not have"
)
ACCOUNTS = 1_000


def replay(crash: str, **options: float) -> tuple[StressRun, Witness]:
    """One crash of both underlyings, replayed under a witness."""
    files = tuple(PRICES / f"binance_spot_{name}USDT_1m_{crash}.csv.gz" for name in ("BTC", "ETH"))
    run = prepare_stress(plan_stress(StressOptions(files, accounts=ACCOUNTS, **options)))
    witness = Witness(run)
    return run_stress(run), witness


def check(run: StressRun, witness: Witness) -> None:
    """What every replay has in common: it ran to its end, liquidated many, and left the rest alone."""
    assert run.plan.tick_count == witness.tick == len(run.record.moments)
    assert ACCOUNTS == len(run.opening.tested)
    assert run.record.conserved
    assert len(witness.flat) >= 20
    assert len(run.record.liquidated) >= 50
    assert not set(witness.flat) & set(run.record.liquidated)
    assert 0 < witness.seen[EventKind.LIQUIDATION_ENDED] <= witness.seen[EventKind.LIQUIDATION_STARTED]
    assert witness.seen[EventKind.SLICE] >= witness.seen[EventKind.PENALTY] > 0


@needs_prices
@pytest.mark.parametrize("crash", CRASHES)
def test_the_worst_hours_minute_by_minute(crash: str) -> None:
    """With little capital in backstops, each account in breach is liquidated in its TICK, step by step."""
    run, witness = replay(crash, hours=6.0, backstop_atoms=200_000 * E6, insurance_atoms=20_000 * E6)
    check(run, witness)
    assert witness.seen[EventKind.AUCTION_TAKEN] > 0
    assert witness.seen[EventKind.DELEVERAGED] > 0


@needs_prices
@pytest.mark.parametrize("crash", CRASHES)
def test_a_venue_that_marks_once_an_hour(crash: str) -> None:
    """Prices that jump by hours bankrupt accounts; the fund pays what it has, and only then are losses
    shared.
    """
    hours = 140.0
    run, witness = replay(
        crash, hours=hours, tick_seconds=3_600, backstop_atoms=100_000 * E6, insurance_atoms=0
    )
    check(run, witness)
    insured, shared = run.record.total("insured_atoms"), run.record.total("shared_atoms")
    if crash != "usdc_depeg_202303":
        assert insured > 0
        assert len(run.record.bankrupt) > 0
    if crash == "ftx_202211":
        assert shared > 0
        assert witness.seen[EventKind.LOSS_SHARED] > 0


def open_synthetic(folder: Path, accounts: int, **options: float) -> StressRun:
    """A run over a made-up crash of BTC, ready to begin."""
    prices = write_crash(folder / "BTC_crash.csv", 40_000.0)
    return prepare_stress(plan_stress(StressOptions((prices,), accounts=accounts, **options)))


def test_a_made_up_crash(tmp_path: Path) -> None:
    """The whole waterfall holds on a file that is always there."""
    run = open_synthetic(
        tmp_path, 200, tick_seconds=600, hours=6.0, backstop_atoms=20_000 * E6, insurance_atoms=0
    )
    witness = Witness(run)
    run_stress(run)
    assert run.plan.tick_count == witness.tick
    assert {EventKind.AUCTION_TAKEN, EventKind.DELEVERAGED, EventKind.INSURED} <= set(witness.seen)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("futures_maintenance_e6", 20_000),
        ("short_maintenance_e6", 10_000),
        ("auction_tick_count", 3),
        ("insurance_share_e6", 100_000),
    ],
)
def test_the_witness_notices(tmp_path: Path, parameter: str, value: int) -> None:
    """An engine that judges by another figure than the genesis file's is found out."""
    run = open_synthetic(tmp_path, 100, tick_seconds=300, backstop_atoms=0, insurance_atoms=0)
    witness = Witness(run)
    assert value != witness.parameters[parameter]
    run.venue.engine.world.parameters[parameter] = value
    with pytest.raises(AssertionError):
        run_stress(run)
