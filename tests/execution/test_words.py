"""Words loaded from bytes that are aligned to nothing, and checksums of headers by tables, are what Python
makes of the same bytes.
"""

import random
import zlib

import numpy as np

from novate.execution.frame_scan import LOW, step_checksum
from novate.kernel import copy_bytes, kernel, load_big_word, load_word


@kernel
def load_both(data: np.ndarray, at: int) -> tuple[int, int]:
    """A word in both orders."""
    return load_word(data, at), load_big_word(data, at)


@kernel
def copy_some(target: np.ndarray, at: int, source: np.ndarray, start: int, count: int) -> None:
    """A copy within compiled code."""
    copy_bytes(target, at, source, start, count)


@kernel
def sum_words(words: np.ndarray) -> int:
    """The checksum of words of 32 bits."""
    value = LOW
    for i in range(words.shape[0]):
        value = step_checksum(value, words[i])
    return value ^ LOW


def test_words_are_those_of_the_bytes() -> None:
    """At every place of random bytes, in both orders, compiled or not."""
    data = np.frombuffer(random.Random(1).randbytes(300), np.uint8)
    for at in range(len(data) - 7):
        part = data[at : at + 8].tobytes()
        expected = int.from_bytes(part, "little", signed=True), int.from_bytes(part, "big", signed=True)
        assert expected == load_both(data, at) == (load_word(data, at), load_big_word(data, at))


def test_copies_touch_nothing_else() -> None:
    """Any number of bytes, from anywhere to anywhere."""
    rng = random.Random(2)
    source = np.frombuffer(rng.randbytes(200), np.uint8)
    for _ in range(200):
        count, start, at = rng.randrange(60), rng.randrange(100), rng.randrange(100)
        target = np.zeros(200, np.uint8)
        copy_some(target, at, source, start, count)
        expected = bytes(at) + source[start : start + count].tobytes()
        assert expected.ljust(200, b"\0") == target.tobytes()


def test_checksums_are_those_of_zlib() -> None:
    """CRC-32 of one to six words."""
    rng = random.Random(3)
    for length in range(1, 7):
        data = rng.randbytes(4 * length)
        assert zlib.crc32(data) == sum_words(np.frombuffer(data, np.uint32).astype(np.int64))
