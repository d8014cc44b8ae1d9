"""What ends orders by the clock: good till date, the dead man's switch, and a connection that is gone.

Implements [GTD-1], [TIMER-1] and [TIMER-2].
"""

from typing import Any

from novate.execution.authentication import verify_account
from novate.execution.events import emit_result
from novate.execution.open_orders import cancel_account_orders, cancel_due_orders
from novate.execution.sweeping import push_due
from novate.execution.tables import NONE, World
from novate.execution.waiting import end_due_waiting
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import CancelReason, Code
from novate.protocol.generated.constants import NS_PER_DAY, NS_PER_S

Record = Any


@kernel_inner
def apply_protect(w: World, command: Record) -> None:
    """PROTECT. [TIMER-1]"""
    timeout_ns, on_disconnect = command["timeout_ns"], command["cancel_on_disconnect"]
    code = verify_account(w, command)
    if code == Code.OK:
        timed = timeout_ns == 0 or (timeout_ns >= NS_PER_S and timeout_ns <= NS_PER_DAY)
        if not timed or on_disconnect < 0 or on_disconnect > 1:
            code = Code.TIMER_INVALID
    emit_result(w, code, command["account"], 0)
    if code == Code.OK:
        account = w.accounts[command["account"]]
        account["dead_man_ns"] = command["time_ns"] + timeout_ns if timeout_ns > 0 else 0
        account["cancel_on_disconnect"] = on_disconnect
        account["dirty"] = 1


@kernel_inner
def apply_disconnect(w: World, command: Record) -> None:
    """DISCONNECT. [TIMER-2]"""
    target = command["target"]
    code = Code.OK
    if target < 0 or target >= w.house[0]["account_count"]:
        code = Code.ACCOUNT_NOT_FOUND
    elif w.accounts[target]["cancel_on_disconnect"] == 0:
        code = Code.DISCONNECT_NOT_ENABLED
    emit_result(w, code, target if code == Code.OK else NONE, 0)
    if code == Code.OK:
        cancel_account_orders(w, target, NONE, 0, 0, CancelReason.DISCONNECTED)


@kernel_inner
def cancel_due_accounts(w: World, time_ns: int) -> None:
    """End all orders of every account whose dead man's switch is due, in ascending account. [TIMER-1]"""
    for number in range(w.house[0]["account_count"]):
        account = w.accounts[number]
        if account["dead_man_ns"] > 0 and account["dead_man_ns"] <= time_ns:
            account["dead_man_ns"] = 0
            account["dirty"] = 1
            cancel_account_orders(w, number, NONE, 0, 0, CancelReason.DEAD_MAN)


@kernel_inner
def cancel_expired_orders(w: World, time_ns: int) -> None:
    """End every order past its date, open ones in ascending order_id, then waiting ones. [GTD-1]"""
    start = w.house[0]["due_count"]
    for slot in range(w.house[0]["order_high"]):
        order = w.orders[slot]
        if order["order_id"] != 0 and order["valid_until_ns"] > 0 and order["valid_until_ns"] <= time_ns:
            push_due(w, start, order["order_id"])
    cancel_due_orders(w, start, CancelReason.GOOD_TILL_DATE)
    for slot in range(w.house[0]["waiting_high"]):
        record = w.waiting[slot]
        if record["order_id"] != 0 and record["valid_until_ns"] > 0 and record["valid_until_ns"] <= time_ns:
            push_due(w, start, record["order_id"])
    end_due_waiting(w, start, CancelReason.GOOD_TILL_DATE)
