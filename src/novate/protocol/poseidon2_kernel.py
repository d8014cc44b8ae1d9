"""Poseidon2 in machine words: batches of field elements as four uint64 limbs, least significant first.

Inside a kernel an element is a tuple of four words in Montgomery form (x * 2**256 mod P), always below P.
Arrays at the border hold plain values. Twin of `poseidon2`, equal by test. Implements [STATE-TREE-1] to
[STATE-TREE-3].
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from novate.kernel import JIT_ENABLED, kernel, kernel_inline, mul_high
from novate.protocol.generated.poseidon2_constants import (
    EXTERNAL_CONSTANTS,
    INTERNAL_CONSTANTS,
    INTERNAL_DIAGONAL_MINUS_ONE,
    P,
)
from novate.protocol.poseidon2 import compress4, hash_elements

# A machine word. NumPy's stubs widen sums of uint64 to a type no annotation can name, hence Any.
Word = Any
Element = tuple[Word, Word, Word, Word]
Limbs = NDArray[np.uint64]

LIMB_COUNT = 4
LIMB_MASK = (1 << 64) - 1
RADIX = 1 << 256


def split_limbs(value: int) -> tuple[int, int, int, int]:
    """Return the four 64-bit limbs of a value in [0, 2**256), least significant first."""
    return (
        value & LIMB_MASK,
        value >> 64 & LIMB_MASK,
        value >> 128 & LIMB_MASK,
        value >> 192,
    )


def join_limbs(limbs: Limbs) -> int:
    """Return the integer whose limbs these are."""
    return int(limbs[0]) | int(limbs[1]) << 64 | int(limbs[2]) << 128 | int(limbs[3]) << 192


def _to_montgomery_array(values: tuple[int, ...]) -> Limbs:
    return np.array([split_limbs(value * RADIX % P) for value in values], dtype=np.uint64)


P0, P1, P2, P3 = (np.uint64(limb) for limb in split_limbs(P))
# -1 / P modulo 2**64, the constant that clears the lowest word in each Montgomery step.
N0 = np.uint64(-pow(P, -1, 1 << 64) & LIMB_MASK)
S0, S1, S2, S3 = (np.uint64(limb) for limb in split_limbs(RADIX * RADIX % P))
ZERO, ONE = np.uint64(0), np.uint64(1)
EXTERNAL = np.stack([_to_montgomery_array(row) for row in EXTERNAL_CONSTANTS])
INTERNAL = _to_montgomery_array(INTERNAL_CONSTANTS)
DIAGONAL = _to_montgomery_array(INTERNAL_DIAGONAL_MINUS_ONE)


@kernel_inline
def _multiply_add(t: Word, a: Word, b: Word, carry: Word) -> tuple[Word, Word]:
    """Return the low and high word of t + a * b + carry, which is below 2**128 for all words."""
    low = a * b
    first = low + t
    second = first + carry
    return second, mul_high(a, b) + np.uint64(first < low) + np.uint64(second < first)


@kernel_inline
def _multiply_row(t: Element, a: Element, b: Word) -> Element:
    """Return (t + a * b + m * P) / 2**64 for the m that makes the division exact.

    Range      t below 2 P, a below P: the top limb of P is below 2**62, so no carry leaves the fourth word.
    """
    r0, carry = _multiply_add(t[0], a[0], b, ZERO)
    m = r0 * N0
    _, reduction = _multiply_add(r0, m, P0, ZERO)
    r1, carry = _multiply_add(t[1], a[1], b, carry)
    s0, reduction = _multiply_add(r1, m, P1, reduction)
    r2, carry = _multiply_add(t[2], a[2], b, carry)
    s1, reduction = _multiply_add(r2, m, P2, reduction)
    r3, carry = _multiply_add(t[3], a[3], b, carry)
    s2, reduction = _multiply_add(r3, m, P3, reduction)
    return s0, s1, s2, carry + reduction


@kernel_inline
def _subtract_modulus(x: Element) -> Element:
    """Return x - P if x is not below P, else x. x is in [0, 2 P)."""
    d0 = x[0] - P0
    b0 = np.uint64(x[0] < P0)
    e1 = x[1] - P1
    d1 = e1 - b0
    b1 = np.uint64(x[1] < P1) | np.uint64(e1 < b0)
    e2 = x[2] - P2
    d2 = e2 - b1
    b2 = np.uint64(x[2] < P2) | np.uint64(e2 < b1)
    e3 = x[3] - P3
    d3 = e3 - b2
    # All ones where the subtraction borrowed, so that x is kept.
    keep = ZERO - (np.uint64(x[3] < P3) | np.uint64(e3 < b2))
    take = ~keep
    return (
        d0 & take | x[0] & keep,
        d1 & take | x[1] & keep,
        d2 & take | x[2] & keep,
        d3 & take | x[3] & keep,
    )


@kernel_inline
def _multiply(a: Element, b: Element) -> Element:
    """Return a * b / 2**256 mod P."""
    t = _multiply_row((ZERO, ZERO, ZERO, ZERO), a, b[0])
    t = _multiply_row(t, a, b[1])
    t = _multiply_row(t, a, b[2])
    t = _multiply_row(t, a, b[3])
    return _subtract_modulus(t)


@kernel_inline
def _add(a: Element, b: Element) -> Element:
    """Return a + b mod P. The sum is below 2 P < 2**255, so the fourth word cannot overflow."""
    r0 = a[0] + b[0]
    c0 = np.uint64(r0 < a[0])
    h1 = a[1] + b[1]
    r1 = h1 + c0
    c1 = np.uint64(h1 < a[1]) | np.uint64(r1 < h1)
    h2 = a[2] + b[2]
    r2 = h2 + c1
    c2 = np.uint64(h2 < a[2]) | np.uint64(r2 < h2)
    return _subtract_modulus((r0, r1, r2, a[3] + b[3] + c2))


@kernel
def _power5(x: Element) -> Element:
    square = _multiply(x, x)
    return _multiply(_multiply(square, square), x)


@kernel
def _scale_add(x: Element, factor: Element, total: Element) -> Element:
    return _add(_multiply(x, factor), total)


@kernel
def _mix_external(
    a: Element, b: Element, c: Element, d: Element
) -> tuple[Element, Element, Element, Element]:
    """Multiply by M4 with eight additions and four doublings, as in the paper's section 5.1."""
    t0 = _add(a, b)
    t1 = _add(c, d)
    t2 = _add(_add(b, b), t1)
    t3 = _add(_add(d, d), t0)
    t1 = _add(t1, t1)
    t4 = _add(_add(t1, t1), t3)
    t0 = _add(t0, t0)
    t5 = _add(_add(t0, t0), t2)
    return _add(t3, t5), t5, _add(t2, t4), t4


@kernel_inline
def _load(array: Limbs, row: int) -> Element:
    return array[row, 0], array[row, 1], array[row, 2], array[row, 3]


@kernel_inline
def _load_external(round_index: int, cell: int) -> Element:
    return (
        EXTERNAL[round_index, cell, 0],
        EXTERNAL[round_index, cell, 1],
        EXTERNAL[round_index, cell, 2],
        EXTERNAL[round_index, cell, 3],
    )


@kernel
def _apply_full_rounds(
    a: Element, b: Element, c: Element, d: Element, first: int
) -> tuple[Element, Element, Element, Element]:
    """Apply four full rounds, starting at round `first`."""
    for r in range(first, first + 4):
        a = _power5(_add(a, _load_external(r, 0)))
        b = _power5(_add(b, _load_external(r, 1)))
        c = _power5(_add(c, _load_external(r, 2)))
        d = _power5(_add(d, _load_external(r, 3)))
        a, b, c, d = _mix_external(a, b, c, d)
    return a, b, c, d


@kernel
def _compress(a: Element, b: Element, c: Element, d: Element) -> Element:
    """Return permute(a, b, c, d)[0] + a in Montgomery form [STATE-TREE-2]."""
    feed = a
    a, b, c, d = _mix_external(a, b, c, d)
    a, b, c, d = _apply_full_rounds(a, b, c, d, 0)
    for r in range(len(INTERNAL)):
        a = _power5(_add(a, _load(INTERNAL, r)))
        total = _add(_add(a, b), _add(c, d))
        a = _scale_add(a, _load(DIAGONAL, 0), total)
        b = _scale_add(b, _load(DIAGONAL, 1), total)
        c = _scale_add(c, _load(DIAGONAL, 2), total)
        d = _scale_add(d, _load(DIAGONAL, 3), total)
    a, b, c, d = _apply_full_rounds(a, b, c, d, 4)
    return _add(a, feed)


@kernel
def _enter(x: Element) -> Element:
    """Return the Montgomery form of a plain value below P."""
    return _multiply(x, (S0, S1, S2, S3))


@kernel
def _enter_integer(value: int) -> Element:
    """Return the Montgomery form of an int64; a negative x is P - |x| [STATE-TREE-3]."""
    if value >= 0:
        return _enter((np.uint64(value), ZERO, ZERO, ZERO))
    # The magnitude of -2**63 is its own bit pattern read without sign; a borrow may reach the second limb.
    size = ZERO - np.uint64(value)
    d0 = P0 - size
    d1 = P1 - np.uint64(P0 < size)
    return _enter((d0, d1, P2, P3))


@kernel
def _compress_rows(inputs: Limbs, out: Limbs) -> None:
    for i in range(len(out)):
        row = inputs[i]
        h = _compress(
            _enter(_load(row, 0)), _enter(_load(row, 1)), _enter(_load(row, 2)), _enter(_load(row, 3))
        )
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = _multiply(h, (ONE, ZERO, ZERO, ZERO))


@kernel
def _hash_rows(domain: int, elements: NDArray[np.int64], out: Limbs) -> None:
    zero = (ZERO, ZERO, ZERO, ZERO)
    count = elements.shape[1]
    for i in range(len(out)):
        h = _enter_integer(domain)
        for start in range(0, count, 3):
            x1 = _enter_integer(elements[i, start])
            x2 = _enter_integer(elements[i, start + 1]) if start + 1 < count else zero
            x3 = _enter_integer(elements[i, start + 2]) if start + 2 < count else zero
            h = _compress(h, x1, x2, x3)
        h = _compress(h, _enter_integer(count), zero, zero)
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = _multiply(h, (ONE, ZERO, ZERO, ZERO))


def compress_batch(inputs: Limbs, out: Limbs) -> None:
    """Write compress4 of each row of four elements [STATE-TREE-2].

    Shape      inputs uint64[n, 4, 4], out uint64[n, 4]; the last axis is the limbs, least significant first.
    Range      every element is below P; the caller keeps this true.
    """
    if JIT_ENABLED:
        _compress_rows(inputs, out)
        return
    # Without the compiler, NumPy words would warn at each wrap; the law's own text runs instead.
    for row, target in zip(inputs, out, strict=True):
        a, b, c, d = (join_limbs(limbs) for limbs in row)
        target[:] = split_limbs(compress4(a, b, c, d))


def hash_elements_batch(domain: int, elements: NDArray[np.int64], out: Limbs) -> None:
    """Write hash_elements of each row of int64 elements [STATE-TREE-3].

    Shape      elements int64[n, k], out uint64[n, 4].
    Range      the domain is in [0, 2**32).
    """
    if JIT_ENABLED:
        _hash_rows(domain, elements, out)
        return
    for row, target in zip(elements, out, strict=True):
        target[:] = split_limbs(hash_elements(domain, [int(x) for x in row]))
