"""What the poster has signed and the chain has not confirmed: one file, replaced before anything is sent.

It only saves a restart from signing a second transaction where the first one would do; the chain decides
what is posted. A lost file costs a higher fee, a damaged one is an error.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec

from novate.settlement.fees import Fees
from novate.settlement.files import replace_file

ATTEMPTS_MAX = 4096


class PostingRecordError(RuntimeError):
    """A record that cannot be read; delete it only if no transaction of the key waits."""


class Attempt(NamedTuple):
    """A signed transaction: batch, nonce, fees in wei per gas, gas limit, head when it was made, hash."""

    number: int
    nonce: int
    tip_wei: int
    fee_wei: int
    blob_fee_wei: int
    gas: int
    block_number: int
    hash: bytes

    @property
    def fees(self) -> Fees:
        """The three fees."""
        return Fees(self.tip_wei, self.fee_wei, self.blob_fee_wei)


class PostingRecord:
    """The last attempt at each nonce. `path` None keeps it in memory, for a chain without a pool."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._by_nonce: dict[int, Attempt] = {}
        if path is not None and path.exists():
            try:
                rows = msgspec.json.decode(path.read_bytes(), type=list[Attempt])
            except msgspec.MsgspecError as error:
                raise PostingRecordError(f"{path} is damaged: {error}") from error
            self._by_nonce = {attempt.nonce: attempt for attempt in rows}

    def find(self, nonce: int) -> Attempt | None:
        """Return the last attempt at a nonce."""
        return self._by_nonce.get(nonce)

    @property
    def attempts(self) -> list[Attempt]:
        """All attempts that are not yet confirmed, by nonce."""
        return [self._by_nonce[nonce] for nonce in sorted(self._by_nonce)]

    def write(self, attempt: Attempt) -> None:
        """Remember an attempt durably."""
        self._by_nonce[attempt.nonce] = attempt
        assert len(self._by_nonce) <= ATTEMPTS_MAX, "Invariant: what is confirmed is forgotten."
        self._save()

    def forget(self, confirmed_number: int) -> None:
        """Drop the attempts of batches up to a confirmed one."""
        kept = {nonce: a for nonce, a in self._by_nonce.items() if a.number > confirmed_number}
        if len(kept) != len(self._by_nonce):
            self._by_nonce = kept
            self._save()

    def _save(self) -> None:
        if self._path is not None:
            replace_file(self._path, msgspec.json.encode(self.attempts))
