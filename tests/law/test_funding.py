"""[FUND-1] and [FUND-2] against exact fractions: premium, rate, and that no fraction of a payment is lost."""

import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from novate.protocol.funding import (
    FUNDING_STEP_MS_MAX,
    NO_PRICE,
    compute_accrual,
    compute_due_atoms,
    compute_premium_atoms,
    compute_rate_e9,
    compute_step_ms,
)
from novate.protocol.generated.constants import FUNDING_PERIOD_MS, NS_PER_MS
from novate.protocol.genesis import PARAMETERS

E9 = 10**9
Rate = Callable[[int, int, Any], int]


def make_parameters(cap: int, deadband: int) -> Any:
    """Parameters with the two that funding reads."""
    parameters = np.zeros(1, PARAMETERS)
    parameters["funding_cap_e9"], parameters["funding_deadband_e9"] = cap, deadband
    return parameters[0]


@pytest.mark.parametrize(
    ("bid", "ask", "premium"),
    [
        (1_000, 1_001, 0),
        (1_040, 1_050, 40),
        (940, 960, -40),
        (1_040, NO_PRICE, 40),
        (NO_PRICE, 960, -40),
        (NO_PRICE, NO_PRICE, 0),
        (2_500, NO_PRICE, 1_000),
        (0, 0, -1_000),
    ],
)
def test_a_premium_is_how_far_a_side_is_beyond_the_mark(bid: int, ask: int, premium: int) -> None:
    """Only a bid above the mark, or an ask below it, counts; at most the mark itself."""
    assert premium == compute_premium_atoms(bid, ask, 1_000)


def state_rate(premium: int, mark: int, cap: int, deadband: int) -> int:
    """The clause, in unbounded integers."""
    share = min(max(math.floor(Fraction(premium * E9, mark)), -cap), cap)
    sign = (share > 0) - (share < 0)
    return sign * max(0, abs(share) - deadband)


def count_wrong_rates(find: Rate) -> int:
    """Cases in which a function is not the rate of the clause."""
    source, wrong = random.Random(9), 0
    for _ in range(500):
        mark = source.choice((source.randrange(1, 1000), source.randrange(1, 2**34), 2**34))
        width = min(mark, max(1, mark // 100))
        premium = source.choice((source.randint(-width, width), -mark, mark, 0))
        cap, deadband = source.randrange(5 * 10**7), source.randrange(10**6)
        mine = find(premium, mark, make_parameters(cap, deadband))
        wrong += state_rate(premium, mark, cap, deadband) != mine
    return wrong


def add_the_deadband(premium: int, mark: int, parameters: Any) -> int:
    share = state_rate(premium, mark, int(parameters["funding_cap_e9"]), 0)
    deadband = int(parameters["funding_deadband_e9"])
    return share + deadband if share > 0 else share - deadband


def forget_the_cap(premium: int, mark: int, parameters: Any) -> int:
    return state_rate(premium, mark, 10**18, int(parameters["funding_deadband_e9"]))


def cap_after_the_deadband(premium: int, mark: int, parameters: Any) -> int:
    cap = int(parameters["funding_cap_e9"])
    return min(max(forget_the_cap(premium, mark, parameters), -cap), cap)


def truncate_the_share(premium: int, mark: int, parameters: Any) -> int:
    size = compute_rate_e9(abs(premium), mark, parameters)
    return int(-size if premium < 0 else size)


def turn_the_sign(premium: int, mark: int, parameters: Any) -> int:
    return -int(compute_rate_e9(premium, mark, parameters))


def test_rates_are_capped_and_then_lose_the_deadband() -> None:
    """For any premium, mark, cap and deadband the rate is the clause's, to the last unit of 1e-9."""
    assert count_wrong_rates(compute_rate_e9) == 0


@pytest.mark.parametrize(
    "planted",
    [add_the_deadband, forget_the_cap, cap_after_the_deadband, truncate_the_share, turn_the_sign],
)
def test_a_wrong_rate_is_caught(planted: Rate) -> None:
    """A deadband added, a cap forgotten or too late, a share truncated, and the other sign are not it."""
    assert count_wrong_rates(planted) > 0


def test_steps_add_up_and_end_at_an_hour() -> None:
    """The steps between ticks are the whole milliseconds between the first and the last of them."""
    source = random.Random(10)
    first = last = 1_772_000_000 * E9 + 123
    total = 0
    for _ in range(200):
        time_ns = last + source.randrange(10 * NS_PER_MS)
        total += compute_step_ms(time_ns, last)
        last = time_ns
    assert last // NS_PER_MS - first // NS_PER_MS == total
    assert compute_step_ms(last, 0) == 0
    assert FUNDING_STEP_MS_MAX == compute_step_ms(last + 3_601 * E9, last)


def find_lost_fraction(due: Callable[[int], int]) -> Fraction:
    """How far what was paid and what is still accrued are from what was owed, plus any rest that has left
    [0, 1) atoms.
    """
    source = random.Random(11)
    accrual, paid, owed, stray = 0, 0, Fraction(0), Fraction(0)
    for _ in range(2_000):
        mark, rate, step = (
            source.randrange(1, 2**34),
            source.randint(-(10**6), 10**6),
            source.randrange(5_000),
        )
        accrual += compute_accrual(mark, rate, step)
        owed += Fraction(math.floor(Fraction(mark * rate, E9)) * step, FUNDING_PERIOD_MS)
        amount = due(accrual)
        paid += amount
        accrual -= amount * FUNDING_PERIOD_MS
        if not 0 <= accrual < FUNDING_PERIOD_MS:
            stray += 1
    return abs(owed - paid - Fraction(accrual, FUNDING_PERIOD_MS)) + stray


def truncate_the_payment(accrual: int) -> int:
    return int(math.copysign(1, accrual)) * (abs(accrual) // FUNDING_PERIOD_MS)


def pay_what_is_not_due_yet(accrual: int) -> int:
    return -(-accrual // FUNDING_PERIOD_MS)


def test_what_is_not_paid_stays_accrued() -> None:
    """Every atom that was owed has been paid or is still accrued, and less than one atom waits."""
    assert find_lost_fraction(compute_due_atoms) == 0


@pytest.mark.parametrize("planted", [truncate_the_payment, pay_what_is_not_due_yet])
def test_a_wrong_payment_is_caught(planted: Callable[[int], int]) -> None:
    """A payment truncated, or rounded up, leaves a rest that is not between nothing and an atom."""
    assert find_lost_fraction(planted) > 0
