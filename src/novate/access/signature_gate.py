"""Signature recovery off the event loop.
Chunks of digests go to a few threads, where coincurve releases the GIL.

A chunk holds whatever is waiting when a thread falls free, so one hop to a thread serves many orders under
load and one order without it.
"""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from novate.access.errors import ApiError
from novate.protocol.generated.codes import AccessCode
from novate.protocol.signing import recover_signer

CHUNK = 32
Job = tuple[bytes, bytes, "asyncio.Future[bytes]"]


def recover_signers(pairs: list[tuple[bytes, bytes]]) -> list[bytes]:
    """Return the signer of each (digest, signature), or empty bytes."""
    return [recover_signer(digest, signature) for digest, signature in pairs]


class SignatureGate:
    """A bounded queue of signatures before a small pool of threads. Used from one event loop."""

    def __init__(self, threads: int, waiting_max: int) -> None:
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="novate-signatures")
        self.idle = threads
        self.waiting_max = waiting_max
        self.waiting: deque[Job] = deque()

    def recover(self, digest: bytes, signature: bytes) -> "asyncio.Future[bytes]":
        """Return the future signer of a digest; raise VENUE_BUSY if too many are waiting."""
        if len(self.waiting) >= self.waiting_max:
            raise ApiError(AccessCode.VENUE_BUSY, "too many signatures are waiting; try again")
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.waiting.append((digest, signature, future))
        if self.idle:
            self.dispatch()
        return future

    def dispatch(self) -> None:
        """Hand the next chunk to an idle thread."""
        jobs = [self.waiting.popleft() for _ in range(min(CHUNK, len(self.waiting)))]
        self.idle -= 1
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(
            self.executor, recover_signers, [(digest, sig) for digest, sig, _ in jobs]
        )
        work.add_done_callback(lambda done: self.finish(jobs, done))

    def finish(self, jobs: list[Job], done: "asyncio.Future[list[bytes]]") -> None:
        """Deliver a chunk's signers and start the next."""
        self.idle += 1
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        for position, (_, _, future) in enumerate(jobs):
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result()[position])
        if self.waiting and self.idle:
            self.dispatch()

    def close(self) -> None:
        """End the threads."""
        self.executor.shutdown(wait=False, cancel_futures=True)
