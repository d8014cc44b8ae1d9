"""SET_SLICE: how much of an underlying one slice of a liquidation may close. Implements [LIQ-9]."""

from typing import Any

from novate.execution.events import emit, emit_result
from novate.execution.market import verify_operator
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import Code, EventKind
from novate.protocol.generated.constants import INDEX_ATOMS_MAX

Record = Any


@kernel_inner
def verify_slice(w: World, command: Record) -> Code:
    """Return the code of a SET_SLICE from the operator. [LIQ-9]"""
    if command["underlying"] < 0 or command["underlying"] >= w.markets.shape[0]:
        return Code.UNDERLYING_NOT_FOUND
    if command["slice_notional_atoms"] < 1:
        return Code.AMOUNT_NOT_POSITIVE
    return Code.OK if command["slice_notional_atoms"] < INDEX_ATOMS_MAX else Code.BALANCE_LIMIT


@kernel_inner
def apply_set_slice(w: World, command: Record) -> None:
    """SET_SLICE. [LIQ-9]"""
    code = verify_operator(w, command)
    if code == Code.OK:
        code = verify_slice(w, command)
    emit_result(w, code, NONE, 0)
    if code != Code.OK:
        return
    w.markets[command["underlying"]]["slice_notional_atoms"] = command["slice_notional_atoms"]
    event = emit(w, EventKind.SLICE_SET)
    event["instrument"] = command["underlying"]
    event["amount_atoms"] = command["slice_notional_atoms"]
