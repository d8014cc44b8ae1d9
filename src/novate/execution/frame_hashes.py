"""Keccak-256 of many frames at once: eight lanes side by side, so that one instruction serves several.

It only compares: frames carry their hashes. Twin of `frame.keccak256`, equal by test. Implements [FRAME-1].
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from novate.kernel import LANES, kernel, kernel_inner, load_word, permute_lanes

Bytes = NDArray[np.uint8]
Words = NDArray[np.int64]

RATE_BYTES = 136
RATE_WORDS = 17
STATE_WORDS = 25
HASH_BYTES = 32
HASH_WORDS = 4
PAD_END = np.iinfo(np.int64).min  # The last bit of a block.
# A longer frame is left to the caller: no command but the largest mass quotes comes near.
BLOCKS_MAX = 64


def make_states() -> Words:
    """Return what one thread hashes in: the states of all lanes, word by word."""
    return np.zeros((STATE_WORDS, LANES), np.int64)


@kernel_inner
def absorb_block(states: Words, lane: int, buffer: Bytes, start: int, end: int) -> None:
    """Mix the next block of a message that ends at `end` into a lane, padded where it ends. At least eight
    bytes lie behind the message.
    """
    whole = min((end - start) >> 3, RATE_WORDS)
    for i in range(whole):
        states[i, lane] ^= load_word(buffer, start + 8 * i)
    if whole < RATE_WORDS:
        bits = 8 * (end - start - 8 * whole)
        below = (np.int64(1) << bits) - 1
        word = load_word(buffer, start + 8 * whole) & below
        states[whole, lane] ^= word | (np.int64(1) << bits)
        states[RATE_WORDS - 1, lane] ^= PAD_END


@kernel_inner
def is_equal_hash(buffer: Bytes, at: int, states: Words, lane: int) -> bool:
    """Whether the 32 bytes at a place are the first four words of a lane."""
    differing = np.int64(0)
    for i in range(HASH_WORDS):
        differing |= load_word(buffer, at + 8 * i) ^ states[i, lane]
    return bool(differing == 0)


@kernel
def count_true_hashes(buffer: Bytes, ends: Any, first: int, last: int, states: Words) -> int:
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
                end = ends[group + k + 1] - HASH_BYTES
                if start <= end:
                    absorb_block(states, k, buffer, start, end)
            permute_lanes(states)
            for k in range(count):
                at = ends[group + k + 1] - HASH_BYTES
                finished = (ends[group + k + 1] - ends[group + k]) // RATE_BYTES == turn
                if finished and not is_equal_hash(buffer, at, states, k):
                    good = min(good, k)
        if good < count:
            return group + good
    return last
