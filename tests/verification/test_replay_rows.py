"""The replayer's loops over scenarios against the law's leaves, to the last atom, in and out of windows."""

import random

import numpy as np
import pytest

from novate.protocol.averaging import compute_averaged_row, compute_averaged_volatility_x48
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.scenarios import (
    compute_floor_volatility_x48,
    compute_option_row,
    compute_option_total_volatility_x48,
    compute_vega_atoms,
    compute_volatility_factors_x48,
    compute_year_root_x48,
)
from novate.verification.option_rows import Outlook, fill_series

ONE = 1 << 48
NS = 1_000_000_000
LOTS_PER_UNIT, SHIFT_E6 = 100, 10_000
KINDS = np.array([InstrumentKind.CALL, InstrumentKind.PUT] * 2, np.int64)


def draw_outlook(chance: random.Random, in_window: bool) -> Outlook:
    """A state of the settlement price: inside the window any part of it is known, at times all or nothing."""
    ratio, time_left = chance.randrange(ONE + 1), chance.randrange(1, 1_800 * NS)
    forward = chance.randrange(1, 2**38)
    if not in_window:
        return Outlook(forward, 0, forward, 0, ratio, chance.randrange(1, 400 * 86_400 * NS))
    moving = chance.choice((0, forward, chance.randrange(forward + 1)))
    known = chance.choice((0, forward - moving, forward))
    return Outlook(max(1, known + moving), known, moving, 1, ratio, time_left)


@pytest.mark.parametrize("in_window", [False, True])
def test_marks_rows_and_vegas_are_those_of_the_leaves(in_window: bool) -> None:
    """[MARK-4] [MARK-5] [SCENARIO-4] [SCENARIO-5] [GREEK-1]: written twice, computed twice, equal."""
    chance = random.Random(17 + in_window)
    slice_x48 = (ONE // 50, ONE // 10, -ONE // 5, ONE // 100, ONE // 4)
    for _ in range(25):
        outlook = draw_outlook(chance, in_window)
        strikes = np.array([chance.randrange(1, 2**38), outlook.forward_atoms] * 2, np.int64)
        marks, vegas = np.zeros(4, np.int64), np.zeros(4, np.int64)
        rows, basis = np.zeros((4, 32), np.int64), np.zeros((4, 2), np.int64)
        found = (KINDS, strikes, marks, rows, basis, vegas)
        fill_series(*slice_x48, outlook, LOTS_PER_UNIT, SHIFT_E6, *found)
        for i in range(4):
            expected = ask_leaves(slice_x48, outlook, int(KINDS[i]), int(strikes[i]))
            assert expected == (marks[i], rows[i].tolist(), basis[i].tolist(), vegas[i])


def ask_leaves(
    slice_x48: tuple[int, ...], outlook: Outlook, kind: int, strike: int
) -> tuple[int, list[int], list[int], int]:
    """Mark, row, basis row and vega of one option by the functions that every reading may call."""
    forward, moving = outlook.forward_atoms, outlook.moving_atoms
    row, basis = np.zeros(32, np.int64), np.zeros(2, np.int64)
    volatility = compute_option_total_volatility_x48(*slice_x48, forward, strike, outlook.ratio_x48)
    floor = compute_floor_volatility_x48(outlook.time_left_ns)
    root = compute_year_root_x48(outlook.time_left_ns)
    factors = compute_volatility_factors_x48(outlook.time_left_ns)
    if outlook.in_window:
        volatility, floor, root = (
            compute_averaged_volatility_x48(value, moving, forward) for value in (volatility, floor, root)
        )
        parts = (outlook.known_atoms, moving, forward, strike, LOTS_PER_UNIT)
        mark = compute_averaged_row(kind, *parts, volatility, floor, *factors, SHIFT_E6, row, basis)
    else:
        given = (kind, forward, strike, LOTS_PER_UNIT)
        mark = compute_option_row(*given, volatility, floor, *factors, SHIFT_E6, row, basis)
    vega = compute_vega_atoms(kind, forward, strike, LOTS_PER_UNIT, volatility, root, mark)
    return mark, row.tolist(), basis.tolist(), vega
