"""The lists that hold an account's positions, open orders and waiting orders: links inside the records.

Each table's records have `next_in_account` and `prev_in_account`; the account keeps the first slot.
"""

from novate.execution.tables import NONE, Array
from novate.kernel import kernel_inner


@kernel_inner
def link_record(table: Array, slot: int, first: int) -> int:
    """Put a record before the first of its account's list (NONE: an empty one) and return the new first."""
    record = table[slot]
    record["next_in_account"] = first
    record["prev_in_account"] = NONE
    if first != NONE:
        table[first]["prev_in_account"] = slot
    return slot


@kernel_inner
def unlink_record(table: Array, slot: int, first: int) -> int:
    """Take a record out of its account's list and return the list's first slot, NONE if it is empty now."""
    following, previous = table[slot]["next_in_account"], table[slot]["prev_in_account"]
    if following != NONE:
        table[following]["prev_in_account"] = previous
    if previous == NONE:
        return int(following)
    table[previous]["next_in_account"] = following
    return first
