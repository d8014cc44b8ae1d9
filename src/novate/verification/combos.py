"""Combos as the replayer reads them: which legs make one, and what it takes from them [COMBO-1].

Their marks are in marking.py, their orders and margin wherever those of other instruments are, through
`parts`, and their end in expiry.py.
"""

from itertools import pairwise
from math import gcd

from novate.protocol.generated.codes import Code, InstrumentKind, InstrumentState
from novate.protocol.generated.constants import COMBO_LEG_COUNT_MAX, COMBO_RATIO_MAX
from novate.verification.state import NO_SERIES, Instrument, State, require

LEG_COUNT_MIN = 2


def list_combo(state: State, items: tuple[tuple[int, ...], ...]) -> Instrument:
    """Apply LIST_COMBO, whose operator is known, and return the new combo [COMBO-1]."""
    require(is_valid_combo(state, items), Code.INSTRUMENT_INVALID)
    require(items not in state.listed_combos, Code.INSTRUMENT_EXISTS)
    require(len(state.instruments) < state.limits["instruments"], Code.INSTRUMENT_TABLE_FULL)
    parts = tuple((state.instruments[number], ratio) for number, ratio in items)
    # The leg that expires first; a perpetual never does.
    expiry_ns = min(leg.expiry_ns for leg, _ in parts if not leg.is_perpetual)
    underlying, number = parts[0][0].underlying, len(state.instruments)
    combo = Instrument(number, underlying, InstrumentKind.COMBO, 0, expiry_ns, NO_SERIES)
    combo.parts = parts
    market = state.markets[underlying]
    has_option = any(leg.is_option for leg, _ in parts)
    combo.lots_per_unit, combo.tick_atoms = (
        (market.figures.option_lots_per_unit, market.figures.option_tick_atoms)
        if has_option
        else (market.figures.perpetual_lots_per_unit, market.figures.perpetual_tick_atoms)
    )
    state.listed_combos.add(items)
    state.instruments.append(combo)
    market.instruments.append(combo)
    state.dirty_instruments.add(number)
    return combo


def is_valid_combo(state: State, items: tuple[tuple[int, ...], ...]) -> bool:
    """Whether these (instrument, ratio) can be the legs of a combo [COMBO-1]."""
    numbers, ratios = [item[0] for item in items], [item[1] for item in items]
    if not LEG_COUNT_MIN <= len(items) <= COMBO_LEG_COUNT_MAX:
        return False
    if not all(left < right for left, right in pairwise(numbers)):
        return False
    if numbers[0] < 0 or numbers[-1] >= len(state.instruments):
        return False
    legs = [state.instruments[number] for number in numbers]
    if any(leg.is_combo or not is_open(state, leg) for leg in legs):
        return False
    in_range = all(1 <= abs(ratio) <= COMBO_RATIO_MAX for ratio in ratios)
    alike = len({leg.underlying for leg in legs}) == 1
    return in_range and alike and gcd(*ratios) == 1 and ratios[0] > 0


def is_open(state: State, instrument: Instrument) -> bool:
    """Whether an instrument is open and before its expiry."""
    assert state.time_ns is not None
    past = not instrument.is_perpetual and state.time_ns >= instrument.expiry_ns
    return instrument.state == InstrumentState.OPEN and not past
