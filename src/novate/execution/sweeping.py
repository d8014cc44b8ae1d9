"""Heaps of order ids: what has to be visited in ascending order_id is gathered first and popped lowest first.

Sweeps put their ids into `World.due`, where a sweep inside another one works above it, as on a stack. Ids are
looked up again when they are popped, because an order may end before its turn. A sweep of k out of n orders
costs n + k log k steps.
"""

from novate.execution.tables import Array, World
from novate.kernel import kernel_inner


@kernel_inner
def push_id(heap: Array, start: int, count: int, order_id: int) -> None:
    """Add an id to the heap of `count` ids that begins at `start`."""
    at = count
    while at > 0:
        above = (at - 1) >> 1
        if heap[start + above] <= order_id:
            break
        heap[start + at] = heap[start + above]
        at = above
    heap[start + at] = order_id


@kernel_inner
def pop_id(heap: Array, start: int, count: int) -> int:
    """Take the lowest id out of the heap of `count` ids, at least one, that begins at `start`."""
    lowest = heap[start]
    last = heap[start + count - 1]
    count -= 1
    at = 0
    below = 1
    while below < count:
        if below + 1 < count and heap[start + below + 1] < heap[start + below]:
            below += 1
        if last <= heap[start + below]:
            break
        heap[start + at] = heap[start + below]
        at = below
        below = 2 * at + 1
    heap[start + at] = last
    return int(lowest)


@kernel_inner
def push_due(w: World, start: int, order_id: int) -> None:
    """Add an id to the sweep that began when `start` ids were due."""
    house = w.house[0]
    push_id(w.due, start, house["due_count"] - start, order_id)
    house["due_count"] += 1


@kernel_inner
def pop_due(w: World, start: int) -> int:
    """Take the lowest id out of the sweep that began when `start` ids were due, or return 0 at its end."""
    house = w.house[0]
    count = house["due_count"] - start
    if count == 0:
        return 0
    house["due_count"] -= 1
    return pop_id(w.due, start, count)
