"""Watch the inbox and hand over deposits in the order of their cursor, each once, none left out.

A deposit is handed over when `confirmations` blocks stand on its block. The position is the cursor alone:
after a restart the caller names the last cursor it has journalled and the chain is read again. Implements
[SETTLE-8].
"""

from collections.abc import Iterator

from novate.settlement.client import LOG_BLOCKS_MAX, Deposit, SettlementClient, SettlementError


class DepositWatcher:
    """Reads deposits after a cursor. One caller at a time.

    Errors     SettlementError if the chain shows a gap between two cursors: stop and ask a person.
    """

    def __init__(self, client: SettlementClient, cursor: int, confirmations: int) -> None:
        if cursor < 0 or confirmations < 0:
            raise ValueError("Condition failed: cursor and confirmations are not negative.")
        self._client = client
        self._cursor = cursor
        self._confirmations = confirmations
        self._next_block = client.manifest.block_number

    @property
    def cursor(self) -> int:
        """The cursor of the last deposit handed over."""
        return self._cursor

    def skip_to_block(self, number: int) -> None:
        """Read from this block on, for a caller that knows the block of its cursor."""
        self._next_block = number

    def poll(self) -> Iterator[Deposit]:
        """Yield the deposits that became confirmed since the last poll."""
        # With no confirmations asked for, the head block itself counts.
        last = self._client.web3.eth.block_number - self._confirmations
        while self._next_block <= last:
            end = min(last, self._next_block + LOG_BLOCKS_MAX - 1)
            deposits = self._client.read_deposit_logs(self._next_block, end)
            for deposit in deposits:
                if deposit.cursor <= self._cursor:
                    continue
                if deposit.cursor != self._cursor + 1:
                    raise SettlementError(f"deposit {self._cursor + 1} is missing before {deposit.cursor}")
                self._cursor = deposit.cursor
                yield deposit
            self._next_block = end + 1


def read_deposits(client: SettlementClient, from_cursor: int, confirmations: int) -> list[Deposit]:
    """Return all confirmed deposits whose cursor is `from_cursor` or above."""
    return list(DepositWatcher(client, from_cursor - 1, confirmations).poll())
