"""[NOVATE-2] and [NOVATE-3]: what a trade does to one side's position and cash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .records import LINEAR, Account, Position

if TYPE_CHECKING:
    from .model import Model


def trade(model: Model, account: Account, number: int, signed_lots: int, price_atoms: int) -> None:
    """[NOVATE-2] and [NOVATE-3] for one side, at a value per lot in atoms; fees are apart."""
    gain = _change_position(account, number, signed_lots, price_atoms)
    linear = model.instruments[number].kind in LINEAR
    account.cash_atoms += gain if linear else -signed_lots * price_atoms


def _change_position(account: Account, number: int, signed_lots: int, price_atoms: int) -> int:
    """[NOVATE-2]: keep lots and entry value; returns the closed part's gain, paid for linear instruments."""
    position = account.positions.setdefault(number, Position())
    held, cost = position.lots, position.cost_atoms
    closed = min(abs(signed_lots), abs(held)) if held * signed_lots < 0 else 0
    closed_cost = gain = 0
    if closed:
        closed_cost = cost if closed == abs(held) else cost * closed // abs(held)
        proceeds = closed * price_atoms
        gain = (proceeds if held > 0 else -proceeds) - closed_cost
    opened = signed_lots + closed if signed_lots < 0 else signed_lots - closed
    position.lots = held + signed_lots
    position.cost_atoms = cost - closed_cost + opened * price_atoms
    if position.lots == 0:
        assert position.cost_atoms == 0
        del account.positions[number]
    return gain
