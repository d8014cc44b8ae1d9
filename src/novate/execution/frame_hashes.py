"""Keccak-256 of many frames at once: eight lanes side by side, so that one instruction serves several.

It only compares: frames carry their hashes. Twin of `frame.keccak256`, equal by test. Implements [FRAME-1].
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from novate.kernel import LANES, kernel, kernel_inner, permute_lanes

Bytes = NDArray[np.uint8]
# A machine word. NumPy's stubs widen sums of uint64 to a type no annotation can name, hence Any.
Words = Any

RATE_BYTES = 136
RATE_WORDS = 17
STATE_WORDS = 25
HASH_BYTES = 32
HASH_WORDS = 4
# A longer frame is left to the caller: no command but the largest mass quotes comes near.
BLOCKS_MAX = 64


class Scratch:
    """What one thread hashes in: the states, and a block and a hash of each lane, as bytes and as words."""

    def __init__(self) -> None:
        self.states = np.zeros((STATE_WORDS, LANES), np.uint64)
        self.block = np.zeros((LANES, RATE_BYTES), np.uint8)
        self.words = self.block.view(np.uint64)


@kernel_inner
def load_block(block: Bytes, lane: int, buffer: Bytes, start: int, end: int) -> None:
    """Copy the next block of a message that ends at `end`, padded where it ends."""
    length = end - start
    if length >= RATE_BYTES:
        for i in range(RATE_BYTES):
            block[lane, i] = buffer[start + i]
        return
    for i in range(RATE_BYTES):
        block[lane, i] = 0
    for i in range(length):
        block[lane, i] = buffer[start + i]
    block[lane, max(length, 0)] ^= 1
    block[lane, RATE_BYTES - 1] ^= 0x80


@kernel_inner
def is_equal_hash(buffer: Bytes, at: int, states: Words, lane: int) -> bool:
    """Whether the 32 bytes at a place are the first four words of a lane."""
    for i in range(HASH_WORDS):
        word = np.uint64(0)
        for j in range(8):
            word |= np.uint64(buffer[at + 8 * i + j]) << np.uint64(8 * j)
        if word != states[i, lane]:
            return False
    return True


@kernel
def count_true_hashes(
    buffer: Bytes, ends: Any, first: int, last: int, states: Words, block: Bytes, words: Words
) -> int:
    """Return the first frame in [first, last) whose hash is not that of its bytes, or that is too long for
    BLOCKS_MAX; `last` if there is none.

    Frame i is buffer[ends[i] : ends[i + 1]]. Its last 32 bytes are the hash of those before them and of the
    32 bytes before the frame.
    """
    for group in range(first, last, LANES):
        count = min(LANES, last - group)
        longest = 0
        for k in range(count):
            longest = max(longest, (ends[group + k + 1] - ends[group + k]) // RATE_BYTES + 1)
        if longest > BLOCKS_MAX:
            return group
        states[:STATE_WORDS, :] = 0
        good = count
        for turn in range(longest):
            for k in range(count):
                start = ends[group + k] - HASH_BYTES + turn * RATE_BYTES
                load_block(block, k, buffer, start, ends[group + k + 1] - HASH_BYTES)
            for i in range(RATE_WORDS):
                for k in range(LANES):
                    states[i, k] ^= words[k, i]
            permute_lanes(states)
            for k in range(count):
                at = ends[group + k + 1] - HASH_BYTES
                finished = (ends[group + k + 1] - ends[group + k]) // RATE_BYTES == turn
                if finished and not is_equal_hash(buffer, at, states, k):
                    good = min(good, k)
        if good < count:
            return group + good
    return last
