"""An event loop without threads, sockets or a clock of its own: time passes when nobody has anything to do.

Calls that production sends to other threads run here too, one at a time, a while later by the seed's chance.
So the same seed gives the same interleaving for ever, and a thousand seeds give a thousand others.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

DELAY_S_MAX = 0.02
SLOW_DELAY_S_MAX = 1.0
SLOW_RATE = 0.02


class ProcessEnded(BaseException):
    """The simulated process is dead from here on. No code of production may catch it."""


class LoopStuck(RuntimeError):
    """Nothing is scheduled and nobody can ever go on."""


class Clockwork:
    """Stands where a loop has its selector: instead of waiting, it lets time pass."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def select(self, timeout: float | None) -> list[Any]:
        """Let the time pass that the loop would wait."""
        if timeout is None:
            raise LoopStuck("every task waits for something that nobody will do")
        self.now_s += max(0.0, timeout)
        return []


class SimulatedLoop(asyncio.BaseEventLoop):
    """`start_s` is its first moment. `ended` says how the process that runs on it died, if it did."""

    def __init__(self, chance: random.Random, start_s: float) -> None:
        super().__init__()
        self._selector = Clockwork()
        self._selector.now_s = start_s
        self.chance = chance
        self.slow_disk = False
        self.ended = ""
        self.buried = False

    def time(self) -> float:
        """Return the simulated time in seconds."""
        return self._selector.now_s

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody else could wake this loop, and it never sleeps."""

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Run a blocking call a while later, at one moment, on this thread."""
        future: asyncio.Future[Any] = self.create_future()
        delay_s = self.chance.uniform(0, DELAY_S_MAX)
        if self.slow_disk and self.chance.random() < SLOW_RATE:
            delay_s = self.chance.uniform(0, SLOW_DELAY_S_MAX)
        self.call_later(delay_s, self._call, future, func, args)
        return future

    def _call(self, future: "asyncio.Future[Any]", func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self.ended:
            return
        try:
            result = func(*args)
        except ProcessEnded as end:
            self.end(str(end))
        except Exception as error:
            # Like a thread's: whoever waits for the future is told, and so is the trace if nobody does.
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)

    def end(self, how: str) -> None:
        """Let the process die now: the loop stops after this turn, and nothing that waits goes on."""
        self.ended = self.ended or how
        if not self.buried:
            self.stop()

    def bury(self) -> None:
        """Cancel what is left of a dead process, so that nothing of it lingers, and close the loop."""
        self.ended, self.buried, self._stopping = self.ended or "over", True, False
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:
            self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.close()
