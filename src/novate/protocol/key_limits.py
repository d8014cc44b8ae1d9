"""Limits of a session key: what an account's Greeks are, and could become if its open orders were filled.

Sums are kept as positions and orders change, so that measuring an order costs the same whatever the account
has. Implements the arithmetic of [KEY-5].
"""

from typing import Any

from novate.kernel import kernel

Record = Any


@kernel
def add_held_greeks(portfolio: Record, delta_atoms: int, vega_atoms: int, lots: int) -> None:
    """Add `lots` held lots (signed) to D and to the vega held.

    Units      atoms per lot, lots -> atoms.
    Range      |delta|, |vega| < 2**36, at most 2**24 lots: each sum stays within 2**60. Exact.
    Law        [KEY-5]
    """
    portfolio["delta_atoms"] += lots * delta_atoms
    portfolio["vega_atoms"] += lots * vega_atoms


@kernel
def add_open_greeks(portfolio: Record, delta_atoms: int, vega_atoms: int, direction: int, lots: int) -> None:
    """Add `lots` open lots (negative: remove them) to the sums of what fills could add, upwards and
    downwards.

    Units      as `add_held_greeks`; `direction` is +1 for a buy, -1 for a sell.
    Range      as there. Exact.
    Law        [KEY-5]
    """
    delta, vega = direction * delta_atoms, direction * vega_atoms
    portfolio["delta_up_atoms"] += lots * max(0, delta)
    portfolio["delta_down_atoms"] += lots * min(0, delta)
    portfolio["vega_up_atoms"] += lots * max(0, vega)
    portfolio["vega_down_atoms"] += lots * min(0, vega)


@kernel
def is_within_limit(
    limit_atoms: int, held_atoms: int, up_atoms: int, down_atoms: int, change_atoms: int
) -> bool:
    """Whether a Greek stays within -limit .. limit in the direction in which a change moves it, if every
    open order that moves it further were filled. `limit_atoms` 0 is no limit; a change of 0 needs nothing.

    Range      0 <= limit <= 2**60, the others within 2**60: sums stay within 2**61. Exact.
    Law        [KEY-5]
    """
    if limit_atoms == 0 or change_atoms == 0:
        return True
    if change_atoms > 0:
        return held_atoms + up_atoms <= limit_atoms
    return held_atoms + down_atoms >= -limit_atoms
