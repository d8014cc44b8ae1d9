"""Tells the law when an account that asked for it is gone: its last authenticated connection has closed.

A server that starts has no connections, so whoever asked is gone then too, whatever ended the last run.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from novate.access.venue import Venue
from novate.execution import views
from novate.execution.sequencer import VenueBusy
from novate.protocol.command import make_command
from novate.protocol.generated.codes import CommandKind

RETRY_S = 0.05


class LoggedIn(Protocol):
    """A connection that still stands."""

    logins: set[bytes]


class DisconnectWatch:
    """Sends DISCONNECT for accounts with cancel_on_disconnect. [TIMER-2]"""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.tasks: set[asyncio.Task[None]] = set()

    def note_started(self) -> None:
        """End the orders that a past run left to accounts which wanted them ended."""
        engine = self.venue.engine
        for account, address in enumerate(engine.addresses):
            if views.read_open_orders(engine, account) or views.read_waiting_orders(engine, account):
                self.note_gone(address)

    def note_closed(self, logins: set[bytes], others: Iterable[LoggedIn]) -> None:
        """Note the end of a connection; wallets that another one has logged in as are still there."""
        if logins:
            for address in logins.difference(*(other.logins for other in others)):
                self.note_gone(address)

    def note_gone(self, address: bytes) -> None:
        """Tell the law of one account if it asked for that."""
        account = self.venue.engine.find_account(address)
        if account >= 0 and views.read_account(self.venue.engine, account).cancel_on_disconnect:
            task = asyncio.create_task(self.send(account))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def send(self, account: int) -> None:
        """Submit a DISCONNECT; a full queue only delays it."""
        command = make_command(CommandKind.DISCONNECT, 0, target=account)
        while not self.venue.sequencer.stopping:
            try:
                await self.venue.sequencer.submit(command)
                return
            except VenueBusy:
                await asyncio.sleep(RETRY_S)

    async def finish(self) -> None:
        """Wait until everything that was noted is told."""
        await asyncio.gather(*self.tasks, return_exceptions=True)
