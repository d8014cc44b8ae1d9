"""A million portfolios: the law never requires less than exact figures do, nor three atoms more.

Exact is meant of marks and rows as they stand, which are themselves within an atom per floor of exact values
(test_scenarios.py). Of the parts of a requirement, the shares of futures, short options and confidence (to
maintain: of the scan) are rounded up, each by less than an atom; all else is exact. NOVATE_MARGIN_PORTFOLIOS
sets how many portfolios are tried.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.law.desk import make_genesis
from tests.law.margin_batches import E6, Batch, make_batch, margin_by_law, margin_exactly

PORTFOLIOS = int(os.environ.get("NOVATE_MARGIN_PORTFOLIOS", "1000000"))
BATCH = 10_000
SHARDS = 2
ROUNDED_PARTS = 3
RATES = [f"{part}_{use}_e6" for part in ("futures", "short") for use in ("initial", "maintenance")]


def draw_parameters(rng: np.random.Generator) -> Any:
    """Rates from none to all, and any threshold of confidence."""
    parameters = make_genesis().pack_parameters()
    for name in (*RATES, "confidence_rate_e6", "confidence_threshold_e6"):
        parameters[name] = int(rng.choice([0, 1, 30_000, 333_333, E6 - 1, E6]))
    return parameters[0]


def count_wrong(batch: Batch, found: np.ndarray, parameters: Any) -> tuple[int, int]:
    """Requirements below the exact ones, and those above them by as much as all roundings could add."""
    under = over = 0
    for exact, law in zip(margin_exactly(batch, parameters), (found[:, 0], found[:, 1]), strict=True):
        excess = law.astype(object) * E6 - exact
        under += int((excess < 0).sum())
        over += int((excess >= ROUNDED_PARTS * E6).sum())
    return under, over


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_portfolio_is_margined_too_low(shard: int) -> None:
    """Of a million portfolios, a third of whose figures are boundary values, none is asked for less than the
    exact requirement or for three atoms more, and one more order costs what it costs once it is open.
    """
    rng = np.random.default_rng(31 + shard)
    for _ in range(PORTFOLIOS // SHARDS // BATCH):
        batch, parameters = make_batch(rng, BATCH), draw_parameters(rng)
        found = margin_by_law(batch, parameters)
        assert (0, 0) == count_wrong(batch, found, parameters)
        assert np.array_equal(found[:, 0], found[:, 2])


def forget_the_fee(batch: Batch) -> Batch:
    terms = batch.terms.copy()
    terms["taker_fee_atoms"] = 0
    return batch._replace(terms=terms)


def forget_a_scenario(batch: Batch) -> Batch:
    rows = batch.rows.copy()
    rows[:, :, 17] = 0
    return batch._replace(rows=rows)


def forget_a_shift(batch: Batch) -> Batch:
    basis = batch.basis.copy()
    basis[:, :, 1] = 0
    return batch._replace(basis=basis)


def forget_an_order(batch: Batch) -> Batch:
    orders = batch.orders.copy()
    orders[:, 3, 2] = 0
    return batch._replace(orders=orders)


def round_lots_away(batch: Batch) -> Batch:
    return batch._replace(held=batch.held - np.sign(batch.held))


@pytest.mark.parametrize(
    "planted", [forget_the_fee, forget_a_scenario, forget_a_shift, forget_an_order, round_lots_away]
)
def test_a_wrong_margin_is_caught(planted: Callable[[Batch], Batch]) -> None:
    """A part that the law is not told of is missed by somebody, in one batch."""
    rng = np.random.default_rng(5)
    batch, parameters = make_batch(rng, 2_000), draw_parameters(rng)
    under, _ = count_wrong(batch, margin_by_law(planted(batch), parameters), parameters)
    assert under > 0
