"""How tasks are ended."""

import asyncio
from collections.abc import Iterable

PATIENCE_S = 0.5


async def end_tasks(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel tasks until every one has ended.

    Once is not enough: before Python 3.12 a cancellation that meets the end of `asyncio.wait_for` is lost.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=PATIENCE_S)
