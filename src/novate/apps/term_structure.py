"""A slice and a forward for an expiry that nobody has quoted, from the expiries around it.

Total variance is linear in time between neighbours, and proportional to time before the first and after the
last. The float code only proposes: it goes on from the best guess to safer ones until the law's own checks
accept one between the neighbours. [SURFACE-2]
"""

import math
from collections.abc import Iterator, Sequence

from novate.apps.market import MarketError, SeriesPlan, Svi, compute_level, is_lawful, scale_slice
from novate.protocol.arithmetic import ONE_X48

# How many steps there are from the first guess to the one that is safe.
STEPS = 40
SHARES = tuple(step / 10 for step in range(11))


def compute_time_left(series: SeriesPlan, time_ns: int) -> float:
    """Return the time left as a share of what was left when the series was observed, at most 1."""
    return min(1.0, (series.expiry_ns - time_ns) / (series.expiry_ns - series.observed_ns))


def compute_forward_ratio(series: SeriesPlan, time_ns: int) -> float:
    """Return the forward as a multiple of the index: the premium that was observed melts with the time."""
    premium = math.log(series.forward_atoms / series.reference_index_atoms)
    return math.exp(premium * compute_time_left(series, time_ns))


def set_level(svi: Svi, level: float) -> Svi:
    """Return the slice moved up or down to a total variance at the money."""
    return scale_slice(svi, 1.0, level - compute_level(svi))


def mix_slices(near: Svi, far: Svi, weight: float) -> Svi:
    """Return a slice between two, `weight` of it the far one: the slopes of both wings, the level at the
    money, and where and how it bends are linear.
    """
    mixed = [x + weight * (y - x) for x, y in zip(near, far, strict=True)]
    tilt = near[1] * near[2] + weight * (far[1] * far[2] - near[1] * near[2])
    a, b, _, m, sigma = (round(each) for each in mixed)
    rho = round(tilt / mixed[1]) if b else 0
    level = compute_level(near) + weight * (compute_level(far) - compute_level(near))
    return set_level((a, b, rho, m, sigma), level)


def flatten_slice(svi: Svi, share: float) -> Svi:
    """Return the slice with a share of its smile, and the same variance at the money."""
    level = compute_level(svi) * ONE_X48
    a, b, rho, m, sigma = svi
    return round(level + share * (a - level)), round(b * share), rho, m, sigma


def propose_between(near: Svi, far: Svi, weight: float) -> Iterator[Svi]:
    """Yield slices between two: the linear one, then smiles more like one or the other at the same level,
    then the same higher and higher, and the far one itself last.
    """
    yield mix_slices(near, far, weight)
    level_near, level_far = compute_level(near), compute_level(far)
    linear = level_near + weight * (level_far - level_near)
    for step in range(STEPS):
        level = linear + (level_far - linear) * step / STEPS
        scaled = scale_slice(near, level / level_near), scale_slice(far, level / level_far)
        for share in sorted(SHARES, key=lambda share: abs(share - weight)):
            yield mix_slices(*scaled, share)
    yield far


def propose_scaled(svi: Svi, ratio: float) -> Iterator[Svi]:
    """Yield slices of `ratio` times the variance: the scaled one, then flatter ones, then the slice moved up
    or down as a whole.
    """
    scaled = scale_slice(svi, ratio)
    yield from (flatten_slice(scaled, 1.0 - step / STEPS) for step in range(STEPS + 1))
    added = compute_level(svi) * (ratio - 1.0)
    yield from (scale_slice(svi, 1.0, added * (STEPS - step) / STEPS) for step in range(STEPS))


def renew(series: SeriesPlan, time_ns: int) -> Svi:
    """Return the slice of a series for the time that is left."""
    return scale_slice(series.svi, compute_time_left(series, time_ns))


def propose_slices(
    near: SeriesPlan | None, far: SeriesPlan | None, expiry_ns: int, time_ns: int
) -> Iterator[Svi]:
    """Yield slices for an expiry, the best first."""
    if near is not None and far is not None:
        weight = (expiry_ns - near.expiry_ns) / (far.expiry_ns - near.expiry_ns)
        yield from propose_between(renew(near, time_ns), renew(far, time_ns), weight)
        return
    known = far if near is None else near
    if known is None:
        raise MarketError("a slice cannot be derived without a neighbour")
    if known.expiry_ns <= time_ns:  # Nothing is left of the neighbour but the level that it had.
        yield from propose_scaled(known.svi, (expiry_ns - time_ns) / (known.expiry_ns - known.observed_ns))
        return
    yield from propose_scaled(renew(known, time_ns), (expiry_ns - time_ns) / (known.expiry_ns - time_ns))


def derive_premium(near: SeriesPlan | None, far: SeriesPlan | None, expiry_ns: int, time_ns: int) -> float:
    """Return the logarithm of the forward over the index, linear in time from nothing at the present on."""
    points = [(time_ns, 0.0)]
    for series in (near, far):
        if series is None:
            continue
        if series.expiry_ns > time_ns:
            points.append((series.expiry_ns, math.log(compute_forward_ratio(series, time_ns))))
        else:
            rate = math.log(series.forward_atoms / series.reference_index_atoms)
            points.append((time_ns + series.expiry_ns - series.observed_ns, rate))
    (begin_ns, begin), (end_ns, end) = points[-2:] if len(points) > 1 else (points[0], (expiry_ns, 0.0))
    return begin + (end - begin) * (expiry_ns - begin_ns) / (end_ns - begin_ns)


def derive_series(known: Sequence[SeriesPlan], expiry_ns: int, time_ns: int, index_atoms: int) -> SeriesPlan:
    """Return the series of an expiry that is not among `known`, observed at `time_ns`.

    Errors     MarketError if no slice is lawful between the neighbours.
    """
    live = [each for each in known if each.expiry_ns > time_ns] or list(known[-1:])
    near = next((each for each in reversed(live) if each.expiry_ns < expiry_ns), None)
    far = next((each for each in live if each.expiry_ns > expiry_ns), None)
    bounds = [
        renew(each, time_ns) if each is not None and each.expiry_ns > time_ns else None
        for each in (near, far)
    ]
    proposals = propose_slices(near, far, expiry_ns, time_ns)
    svi = next((each for each in proposals if is_lawful(each, *bounds)), None)
    if svi is None:
        raise MarketError("no slice between its neighbours is lawful for an expiry")
    premium = derive_premium(near, far, expiry_ns, time_ns)
    forward_atoms = max(1, round(index_atoms * math.exp(premium)))
    return SeriesPlan(expiry_ns, time_ns, forward_atoms, index_atoms, svi, ())
