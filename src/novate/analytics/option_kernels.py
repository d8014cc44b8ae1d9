"""Loops over options: price with five Greeks, Greeks of second order, and implied volatility.

Each loop is a function of one option (`store_...`), which a GPU runs once a thread (`option_gpu`). Advisory:
no float decides anything. Sources: F. Black (1976); P. Jaeckel, Let's be rational (2015), for 1 / ln(price)
as the objective; L. Bachelier (1900) for the first guess. docs/decisions/0015-float-kernels.md has the rest.
"""

import math

from novate.analytics.float_functions import exp, log, log1p, measure_tails
from novate.kernel import float_inline, float_kernel
from novate.kernel.floats import Floats

INVERSE_SQRT_2PI = 0.3989422804014327
SQRT_2PI = 2.5066282746310002
SQRT_2_OVER_PI = 0.7978845608028654
# A total volatility below this counts as none: an option worth its intrinsic value.
TOTAL_VOLATILITY_MIN = 1e-100
# The greatest exponent of a square: beyond it neither branch that uses the square is taken.
SQUARE_MAX = 700.0
# Below this ratio of |forward - strike| to the price, an option is at the money for the first guess.
AT_THE_MONEY = 1e-4
LEAST = 1e-300


@float_inline
def store_greeks(
    i: int,
    sign: Floats,
    forward: Floats,
    strike: Floats,
    time_years: Floats,
    volatility: Floats,
    price: Floats,
    delta: Floats,
    gamma: Floats,
    vega: Floats,
    theta: Floats,
    rho: Floats,
) -> None:
    """Store price and five Greeks of option i; see `fill_greeks`."""
    is_call = sign[i] > 0.0
    f, k, time = forward[i], strike[i], max(time_years[i], 0.0)
    low, high = min(f, k), max(f, k)
    moneyness = log1p((high - low) / low)
    root = math.sqrt(time)
    total = volatility[i] * root
    is_alive = total >= TOTAL_VOLATILITY_MIN
    width = total if is_alive else TOTAL_VOLATILITY_MIN
    is_near, exponent, _, first, second, gap = measure_tails(-moneyness, width)
    middle = math.sqrt(f * k)
    density = exp(exponent)
    half = 0.5 * density * middle
    outside = half * gap if is_near else low - half * (first + second)
    # The chance of the side of the strike that the forward is not on, or of the other if that is nearer.
    tail = half / f * (first if f <= k else second)
    tail = tail if is_alive or f != k else 0.5
    is_call_tail = is_near and f <= k
    call_delta = tail if is_call_tail else 1.0 - tail
    put_delta = tail - 1.0 if is_call_tail else -tail
    own_delta = call_delta if is_call else put_delta
    weight = density * middle * INVERSE_SQRT_2PI
    price[i] = (outside if is_alive else 0.0) + max(f - k if is_call else k - f, 0.0)
    delta[i] = own_delta
    gamma[i] = weight / (f * f * width) if is_alive else 0.0
    vega[i] = weight * root
    theta[i] = -0.5 * weight * volatility[i] / max(root, LEAST) if is_alive else 0.0
    rho[i] = time * f * own_delta


@float_kernel
def fill_greeks(
    sign: Floats,
    forward: Floats,
    strike: Floats,
    time_years: Floats,
    volatility: Floats,
    price: Floats,
    delta: Floats,
    gamma: Floats,
    vega: Floats,
    theta: Floats,
    rho: Floats,
) -> None:
    """Store undiscounted prices of European options and their Greeks, in the units of `greeks.Greeks`.

    Shape      arrays of float64 of one length, without gaps.
    Units      sign 1 for calls, -1 for puts; forward and strike in quote currency, positive; theta per year.
    Limits     as `greeks.compute_option_greeks`.
    Error      relative, of price and density terms: 2e-15 and 5e-16 for each unit of d^2 / 2, down to 1e-300.
    """
    for i in range(forward.shape[0]):
        store_greeks(i, sign, forward, strike, time_years, volatility, price, delta, gamma, vega, theta, rho)


@float_inline
def store_second_order(
    i: int,
    forward: Floats,
    strike: Floats,
    time_years: Floats,
    volatility: Floats,
    vanna: Floats,
    volga: Floats,
    charm: Floats,
) -> None:
    """Store the Greeks of second order of option i; see `fill_second_order`."""
    f, k, time = forward[i], strike[i], max(time_years[i], 0.0)
    low, high = min(f, k), max(f, k)
    distance = log1p((high - low) / low)
    root = math.sqrt(time)
    total = volatility[i] * root
    is_alive = total >= TOTAL_VOLATILITY_MIN
    width = total if is_alive else 1.0
    h = (distance if f >= k else -distance) / width
    d1, d2 = h + 0.5 * total, h - 0.5 * total
    chance = INVERSE_SQRT_2PI * exp(-0.5 * d1 * d1)
    at_the_strike = -0.5 * root if f == k else 0.0
    score = d2 / max(volatility[i], LEAST) if is_alive else at_the_strike
    is_dense = chance > 0.0
    # Without total volatility only an option at the strike has a density.
    density = chance if is_alive else (INVERSE_SQRT_2PI if f == k else 0.0)
    vanna[i] = -density * score if is_dense else 0.0
    volga[i] = f * density * root * d1 * score if is_alive and is_dense else 0.0
    charm[i] = 0.5 * density * d2 / max(time, LEAST) if is_alive and is_dense else 0.0


@float_kernel
def fill_second_order(
    forward: Floats,
    strike: Floats,
    time_years: Floats,
    volatility: Floats,
    vanna: Floats,
    volga: Floats,
    charm: Floats,
) -> None:
    """Store the Greeks of second order, which are the same for calls and puts; see `fill_greeks`."""
    for i in range(forward.shape[0]):
        store_second_order(i, forward, strike, time_years, volatility, vanna, volga, charm)


@float_inline
def guess_total_volatility(price: float, distance: float, moneyness: float, middle: float) -> float:
    """Return the first guess from the price outside the money and |forward - strike|.

    Bachelier's price over the distance is a function of one variable, v = distance / deviation. With L =
    ln(1 + distance / price), (L / v)^2 is a ratio of two polynomials within 2e-4; the rest is Hagan's
    correction from normal to lognormal volatility, held where its series fails.
    """
    ratio = distance / price
    level = log(1.0 + ratio)
    above = 6.28305 + level * (1.10152 + level * (0.183788 + level * (0.0118916 + level * 4.17506e-05)))
    below = 1.0 + level * (0.174739 + level * (0.0226979 + level * 8.34735e-05))
    normal = moneyness * math.sqrt(above / below) / max(level, LEAST)
    near = SQRT_2PI * price / middle
    guess = near if ratio < AT_THE_MONEY else normal
    return guess / math.sqrt(max(1.0 - guess * guess / 12.0, 0.3))


@float_inline
def improve_total_volatility(s: float, x: float, target: float, is_upper: bool) -> float:
    """Return a total volatility nearer to the solution by Householder's method of the fourth order.

    The objective is 1 / ln b - 1 / target, or with `is_upper` ln c - target, where b is the price outside
    the money over sqrt(forward * strike) and c what b lacks of its bound. A step at most doubles or halves.
    """
    is_near, exponent, square, first, second, gap = measure_tails(x, s)
    twice = 2.0 * exp(min(square, SQUARE_MAX))
    lower = gap if is_near else twice - first - second
    upper = (twice - first if is_near else first) + second
    value = max(upper if is_upper else lower, LEAST)
    n = log(0.5 * value) + exponent
    # The first derivative of n, and the second and third over the first.
    n1 = (-SQRT_2_OVER_PI if is_upper else SQRT_2_OVER_PI) / value
    h = x / s
    bend = h * h / s - 0.25 * s - n1
    twist = bend * bend - 3.0 * h * h / (s * s) - 0.25 - n1 * bend
    slope = n1 / n
    bend_inverse = bend - 2.0 * slope
    twist_inverse = bend_inverse * bend_inverse + twist - bend * bend + 2.0 * slope * (slope - bend)
    newton = (target - n) / n1 if is_upper else n * (1.0 - n / target) / n1
    second_order = bend if is_upper else bend_inverse
    third_order = twist if is_upper else twist_inverse
    step = (
        newton
        * (1.0 + 0.5 * newton * second_order)
        / (1.0 + newton * (second_order + newton * third_order / 6.0))
    )
    return max(min(s + step, 2.0 * s), 0.5 * s)


@float_inline
def subtract_intrinsic(price: float, left: float, right: float) -> float:
    """Return price - max(left - right, 0), with what the difference loses by rounding put back (Knuth)."""
    difference = left - right
    back = left - difference
    lost = (left - (difference + back)) + (back - right)
    return (price - difference) - lost if difference > 0.0 else price


@float_inline
def store_implied_volatility(
    i: int,
    sign: Floats,
    price: Floats,
    forward: Floats,
    strike: Floats,
    time_years: Floats,
    volatility: Floats,
) -> None:
    """Store the implied volatility of option i; see `fill_implied_volatilities`."""
    f, k, p, time = forward[i], strike[i], price[i], time_years[i]
    is_call = sign[i] > 0.0
    bound = f if is_call else k
    outside = subtract_intrinsic(p, f if is_call else k, k if is_call else f)
    lacking = bound - p
    is_solvable = outside > 0.0 and lacking > 0.0 and time > 0.0
    outside = outside if is_solvable else 0.1 * bound
    lacking = lacking if is_solvable else 0.1 * bound
    low, high = min(f, k), max(f, k)
    middle = math.sqrt(f * k)
    x = -log1p((high - low) / low)
    is_upper = outside > lacking
    target = log((lacking if is_upper else outside) / middle)
    s = guess_total_volatility(outside, high - low, -x, middle)
    s = improve_total_volatility(s, x, target, is_upper)
    s = improve_total_volatility(s, x, target, is_upper)
    s = improve_total_volatility(s, x, target, is_upper)
    volatility[i] = s / math.sqrt(time) if is_solvable else math.nan


@float_kernel
def fill_implied_volatilities(
    sign: Floats,
    price: Floats,
    forward: Floats,
    strike: Floats,
    time_years: Floats,
    volatility: Floats,
) -> None:
    """Store the volatilities that give undiscounted prices, or nan where none does.

    Shape      arrays of float64 of one length, without gaps.
    Units      sign 1 for calls, -1 for puts; time in years; volatility per year, 1.00 = 100 %.
    Error      relative error below 5e-14 against the exact solution for the very doubles that were passed,
               for a total volatility from 1e-6 to 10; three steps of the fourth order from a guess.
    """
    for i in range(forward.shape[0]):
        store_implied_volatility(i, sign, price, forward, strike, time_years, volatility)
