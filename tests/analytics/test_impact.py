"""The impact model: known coefficients come back from made-up markets, and real files give sane figures."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novate.analytics import impact
from novate.analytics.impact import COEFFICIENT_LITERATURE, ImpactError, ImpactModel
from novate.protocol.generated.constants import E6

SHARED = Path(__file__).parents[3] / "shared" / "data"
PRICES = sorted((SHARED / "prices").glob("binance_spot_*_1m_*.csv.gz"))
ORDER_FLOW = SHARED / "order_flow" / "lobster_AAPL_20120621_0930_1030_message_50.csv.gz"
needs_prices = pytest.mark.skipif(
    not PRICES, reason="needs ../shared/data/prices, which a clone does not have"
)
needs_order_flow = pytest.mark.skipif(
    not ORDER_FLOW.exists(), reason="needs ../shared/data/order_flow, which a clone does not have"
)
MODEL = ImpactModel(0.001, 1e6, 1.0, False, 0.3, 0.75, 10_000)
SMALL = st.floats(1.0, 1e9)


def make_market(
    coefficient: float, exponent: float, seed: int
) -> tuple[impact.Floats, impact.Floats, impact.Floats]:
    """Returns, volumes and signed volumes of 20,000 minutes that obey a power law with noise.

    Volatility is that of the returns themselves, so it is found by scaling noise and impact alike.
    """
    generator = np.random.default_rng(seed)
    volume = generator.lognormal(13.0, 1.0, 20_000)
    signed = volume * generator.uniform(-0.8, 0.8, 20_000)
    push = coefficient * np.sign(signed) * np.abs(signed / volume.mean()) ** exponent
    noise = generator.normal(0.0, np.sqrt(max(0.0, 1.0 - float(np.var(push)))), 20_000)
    return 0.001 * (push + noise), volume, signed


@pytest.mark.parametrize("coefficient", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_known_coefficient_comes_back(coefficient: float, seed: int) -> None:
    """Y, volatility and volume of a made-up market are found within 0.03, 2 % and exactly."""
    returns, volume, signed = make_market(coefficient, 0.5, seed)
    model = impact.fit_impact(returns, volume, signed)
    assert model.is_coefficient_fitted
    assert coefficient == pytest.approx(model.coefficient, abs=0.03)
    assert pytest.approx(0.001, rel=0.02) == model.volatility_per_minute
    assert float(volume.mean()) == model.volume_usd_per_minute
    assert len(returns) == model.minute_count


def test_a_perfect_market_is_explained_fully() -> None:
    """Without noise the signed root of volume explains every move."""
    volume = np.linspace(1.0, 9.0, 40)
    signed = volume * np.where(np.arange(40) % 2 == 0, 1.0, -1.0)
    returns = 0.01 * np.sign(signed) * np.sqrt(np.abs(signed))
    assert pytest.approx(1.0) == impact.fit_impact(returns, volume, signed).r_squared


def test_noise_is_not_impact() -> None:
    """Where nobody's trades move the price, Y is near zero or refused, though absolute returns are not."""
    generator = np.random.default_rng(3)
    returns, signed = generator.normal(0.0, 1.0, 20_000), generator.normal(0.0, 1.0, 20_000)
    try:
        coefficient = impact.fit_impact(returns, np.abs(signed), signed).coefficient
    except ImpactError:
        coefficient = 0.0
    assert pytest.approx(0.0, abs=0.03) == coefficient


def test_without_signs_the_literature_speaks() -> None:
    """Unsigned volume leaves Y at the published value, and r_squared says what activity explains."""
    generator = np.random.default_rng(4)
    volume = generator.lognormal(13.0, 1.0, 20_000)
    returns = 0.001 * np.sqrt(volume / volume.mean()) * generator.normal(0.0, 1.0, 20_000)
    model = impact.fit_impact(returns, volume)
    assert not model.is_coefficient_fitted
    assert COEFFICIENT_LITERATURE == model.coefficient
    # The mean of an absolute normal deviate is 0.798.
    assert pytest.approx(0.798, abs=0.02) == model.activity_slope
    assert 0.1 < model.r_squared < 0.6


@pytest.mark.parametrize("exponent", [0.4, 0.5, 0.7, 1.0])
def test_a_known_exponent_comes_back(exponent: float) -> None:
    """The power of a made-up market is found within one step of the grid and explains most."""
    returns, _, signed = make_market(0.6, exponent, 5)
    shape = impact.fit_shape(returns, signed)
    assert exponent == pytest.approx(shape.exponent, abs=0.051)
    assert shape.r_squared_best >= max(shape.r_squared_root, shape.r_squared_linear)


@pytest.mark.parametrize(
    ("returns", "volume", "signed"),
    [
        ([0.1] * 5, [1.0] * 5, None),
        ([0.1, -0.1] * 20, [1.0] * 39, None),
        ([0.1, -0.1] * 20, [1.0] * 40, [1.0] * 39),
        ([0.1, float("nan")] * 20, [1.0] * 40, None),
        ([0.1, -0.1] * 20, [-1.0] * 40, None),
        ([0.1, -0.1] * 20, [0.0] * 40, None),
        ([0.0] * 40, [1.0] * 40, None),
        ([0.1, -0.1] * 20, [1.0] * 40, [0.0] * 40),
        ([0.1, -0.1] * 20, [1.0] * 40, [-1.0, 1.0] * 20),
    ],
)
def test_unusable_series_are_refused(
    returns: list[float], volume: list[float], signed: list[float] | None
) -> None:
    """Short, ragged, infinite, dead or perverse series make no model."""
    with pytest.raises(ImpactError):
        impact.fit_impact(returns, volume, signed)


@settings(deadline=None)
@given(first=SMALL, second=SMALL)
def test_impact_grows_with_the_root_of_size(first: float, second: float) -> None:
    """A larger sale moves the price more, and four times the size moves it twice as far."""
    small, large = (float(impact.compute_impact(MODEL, size)) for size in sorted((first, second)))
    assert small <= large
    assert pytest.approx(2.0 * small) == float(impact.compute_impact(MODEL, 4.0 * min(first, second)))


@settings(deadline=None)
@given(
    limits=st.tuples(st.floats(1e-5, 0.5), st.floats(1e-5, 0.5)),
    seconds=st.tuples(st.floats(0.01, 1e5), st.floats(0.01, 1e5)),
    share=st.floats(0.001, 1.0),
)
def test_a_slice_keeps_to_both_limits(
    limits: tuple[float, float], seconds: tuple[float, float], share: float
) -> None:
    """A slice's impact and participation are within the limits, and looser limits never make it smaller."""
    notional = impact.choose_slice_notional(MODEL, min(limits), min(seconds), share)
    assert notional > 0.0
    assert float(impact.compute_impact(MODEL, notional / share)) <= min(limits) * (1.0 + 1e-9)
    assert notional <= 0.25 * share * MODEL.volume_usd_per_minute * min(seconds) / 60.0 * (1.0 + 1e-9)
    assert notional <= impact.choose_slice_notional(MODEL, max(limits), max(seconds), share)


def test_the_signed_figure_by_hand() -> None:
    """At Y 1, 10 basis points a minute and 1,000,000 USD a minute: a limit of 5 points gives 250,000 USD; one
    slice a second gives 4,166.67, signed as 4,100.
    """
    assert 250_000 * E6 == impact.choose_slice_atoms([MODEL], 0.0005, 1e6)
    assert 4_100 * E6 == impact.choose_slice_atoms([MODEL], 0.0005, 1.0)


def test_the_worst_history_decides() -> None:
    """Over several histories the least slice is signed."""
    wild = ImpactModel(0.004, 1e6, 1.0, False, 0.3, 0.75, 10_000)
    alone = impact.choose_slice_atoms([wild], 0.001, 600.0)
    assert 62_000 * E6 == alone == impact.choose_slice_atoms([MODEL, wild], 0.001, 600.0)


@pytest.mark.parametrize(
    ("limit", "seconds", "share", "participation"),
    [
        (0.0, 1.0, 1.0, 0.25),
        (1.0, 1.0, 1.0, 0.25),
        (0.001, 0.0, 1.0, 0.25),
        (0.001, float("inf"), 1.0, 0.25),
        (0.001, 1.0, 0.0, 0.25),
        (0.001, 1.0, 1.1, 0.25),
        (0.001, 1.0, 1.0, 0.0),
        (0.001, 1e-12, 1e-6, 0.25),
    ],
)
def test_senseless_limits_are_refused(
    limit: float, seconds: float, share: float, participation: float
) -> None:
    """No slice is made of limits out of range, nor one of less than an atom."""
    with pytest.raises(ImpactError):
        impact.choose_slice_atoms([MODEL], limit, seconds, share, participation)


def test_no_history_makes_no_slice() -> None:
    """At least one model is needed."""
    with pytest.raises(ImpactError):
        impact.choose_slice_atoms([], 0.001, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "open,high,low,close\n1,1,1,1\n",
        "open,high,low,close,volume\n1,1,1,0,1\n",
        "open,high,low,close,volume\n1,1,1,1,-1\n",
        "open,high,low,close,volume\n1,1,1,nan,1\n",
        "open,high,low,close,volume\n1,1,1,1\n",
        "open,high,low,close,volume\n1,1,1,x,1\n",
    ],
)
def test_damaged_price_files_are_refused(tmp_path: Path, text: str) -> None:
    """A price file without rows or columns, or with impossible figures, is refused by name."""
    path = tmp_path / "prices.csv"
    path.write_text(text)
    with pytest.raises(ImpactError, match=r"prices\.csv"):
        impact.read_minute_bars(path)


def test_a_price_file_is_read(tmp_path: Path) -> None:
    """Returns begin with the first open; notional is volume at the mean of high, low and close."""
    path = tmp_path / "prices.csv.gz"
    path.write_bytes(gzip.compress(b"open,high,low,close,volume\n100,120,90,110,2\n110,110,110,110,3\n"))
    bars = impact.read_minute_bars(path)
    np.testing.assert_allclose(bars.returns, [np.log(1.1), 0.0])
    np.testing.assert_allclose(bars.volume_usd, [2 * 320 / 3, 330.0])


def test_executions_are_signed_by_the_taker(tmp_path: Path) -> None:
    """An executed sell order is a purchase; other messages do not count; the middle moves, not the bounce."""
    path = tmp_path / "messages.csv"
    path.write_text("0,4,1,10,1000000,1\n0.1,1,9,5,1,1\n0.5,4,2,10,1020000,-1\n1.5,4,3,5,1040000,-1\n")
    executions = impact.read_executions(path)
    np.testing.assert_allclose(executions.signed_usd, [-1_000.0, 1_020.0, 520.0])
    moves, signed, volume = impact.bucket_executions(executions, 1.0)
    np.testing.assert_allclose(moves, [np.log(102.0 / 101.0)])
    np.testing.assert_allclose(signed, [520.0])
    np.testing.assert_allclose(volume, [520.0])


@pytest.mark.parametrize("text", ["1,2,3\n", "a,b,c,d,e,f\n", "0,4,1,10,1000000,1\n", "0,1,1,10,1000000,1\n"])
def test_damaged_order_flow_is_refused(tmp_path: Path, text: str) -> None:
    """Wrong columns, text, or executions of one side only make no series."""
    path = tmp_path / "messages.csv"
    path.write_text(text)
    with pytest.raises(ImpactError, match=r"messages\.csv"):
        impact.read_executions(path)


@needs_prices
def test_real_markets_are_in_the_documented_range() -> None:
    """The ten files of 2022 to 2024 give 4 to 25 basis points a minute, and the default slices of 0010."""
    models = {path.name: impact.fit_impact(*impact.read_minute_bars(path)) for path in PRICES}
    assert len(models) == 10
    for model in models.values():
        assert 0.000_4 < model.volatility_per_minute < 0.002_5
        assert 0.6 < model.activity_slope < 0.85
        assert 0.2 < model.r_squared < 0.45
    slices = [
        impact.choose_slice_atoms([model for name, model in models.items() if coin in name], 0.001, 60.0)
        for coin in ("BTC", "ETH")
    ]
    assert [120_000 * E6, 50_000 * E6] == slices


@needs_order_flow
@pytest.mark.parametrize("bucket_s", [10.0, 20.0, 30.0])
def test_real_order_flow_is_closer_to_a_root_than_to_a_line(bucket_s: float) -> None:
    """In an hour of real trades Y is of order one, the best power is near 1/2, and a root explains more."""
    moves, signed, volume = impact.bucket_executions(impact.read_executions(ORDER_FLOW), bucket_s)
    shape = impact.fit_shape(moves, signed)
    assert 0.5 <= shape.exponent <= 0.7
    assert shape.r_squared_root > shape.r_squared_linear
    model = impact.fit_impact(moves, volume, signed)
    assert 0.6 < model.coefficient < 1.2
    assert model.r_squared > 0.3
