"""The batch header: what the operator commits to on chain, once per batch. Twin of the struct in
`Settlement.vy`.

The canonical bytes are the ABI encoding, eleven words of 32 bytes, so that one encoding is published, hashed
and submitted. Implements [SETTLE-1] and [SETTLE-2].
"""

from typing import NamedTuple

from novate.protocol.frame import keccak256

WORD_BYTES = 32
UINT64_END = 1 << 64
INTEGER_FIELDS = frozenset({"number", "first_sequence", "last_sequence", "inbox_cursor", "time_ns"})


class HeaderError(ValueError):
    """Bytes or fields that are no batch header; the message names the field."""


class BatchHeader(NamedTuple):
    """One batch of commands, `first_sequence` to `last_sequence` inclusive.

    Roots and hashes are 32 bytes big-endian.
    """

    number: int
    previous_state_root: bytes
    state_root: bytes
    first_sequence: int
    last_sequence: int
    journal_head: bytes
    inbox_cursor: int
    withdrawals_root: bytes
    marks_root: bytes
    data_hash: bytes
    time_ns: int

    def encode(self) -> bytes:
        """Return the canonical HEADER_BYTES bytes.

        Raise HeaderError if a field does not fit its width [SETTLE-1].
        """
        words = []
        for name, value in zip(self._fields, self, strict=True):
            if name in INTEGER_FIELDS:
                if not (isinstance(value, int) and 0 <= value < UINT64_END):
                    raise HeaderError(f"{name} should be an integer of 64 bits, it is {value!r}")
                words.append(value.to_bytes(WORD_BYTES, "big"))
            else:
                if not (isinstance(value, bytes) and len(value) == WORD_BYTES):
                    raise HeaderError(f"{name} should be {WORD_BYTES} bytes")
                words.append(value)
        return b"".join(words)

    def hash(self) -> bytes:
        """Return keccak256 of the canonical bytes, as `Settlement.headerHash` stores it [SETTLE-2]."""
        return keccak256(self.encode())


HEADER_BYTES = WORD_BYTES * len(BatchHeader._fields)


def decode_header(data: bytes) -> BatchHeader:
    """Return the header whose canonical bytes these are; raise HeaderError otherwise [SETTLE-1]."""
    if len(data) != HEADER_BYTES:
        raise HeaderError(f"a header has {HEADER_BYTES} bytes, found {len(data)}")
    fields: dict[str, int | bytes] = {}
    for position, name in enumerate(BatchHeader._fields):
        word = data[position * WORD_BYTES : (position + 1) * WORD_BYTES]
        if name in INTEGER_FIELDS:
            value = int.from_bytes(word, "big")
            if value >= UINT64_END:
                raise HeaderError(f"{name} does not fit 64 bits")
            fields[name] = value
        else:
            fields[name] = bytes(word)
    return BatchHeader(**fields)  # type: ignore[arg-type]
