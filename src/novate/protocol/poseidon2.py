"""Poseidon2 over the BN254 scalar field, t = 4: the hash of the state tree, as plain integers.

This text is the law; `poseidon2_kernel` computes the same numbers in machine words. It refuses to know what
is hashed. Implements [STATE-TREE-1] to [STATE-TREE-3]. Source: Grassi, Khovratovich, Schofnegger (2023),
"Poseidon2", sections 5 and 6.
"""

from collections.abc import Sequence

from novate.protocol.generated.poseidon2_constants import (
    EXTERNAL_CONSTANTS,
    INTERNAL_CONSTANTS,
    INTERNAL_DIAGONAL_MINUS_ONE,
    P,
)

WIDTH = 4
RATE = 3
ROUNDS_FULL = 8
ROUNDS_PARTIAL = 56

State = tuple[int, int, int, int]


def to_field(value: int) -> int:
    """Return the field element of any integer: a negative x becomes P - |x| [STATE-TREE-3]."""
    return value % P


def _mix_external(state: State) -> State:
    """Multiply by the matrix M4 of the paper: rows (5 7 1 3), (4 6 1 1), (1 3 5 7), (1 1 4 6)."""
    a, b, c, d = state
    return (
        (5 * a + 7 * b + c + 3 * d) % P,
        (4 * a + 6 * b + c + d) % P,
        (a + 3 * b + 5 * c + 7 * d) % P,
        (a + b + 4 * c + 6 * d) % P,
    )


def _mix_internal(state: State) -> State:
    """Multiply by the all-ones matrix plus the diagonal of the internal rounds."""
    total = sum(state)
    a, b, c, d = ((total + x * m) % P for x, m in zip(state, INTERNAL_DIAGONAL_MINUS_ONE, strict=True))
    return a, b, c, d


def _apply_full_round(state: State, constants: State) -> State:
    a, b, c, d = (pow(x + k, 5, P) for x, k in zip(state, constants, strict=True))
    return _mix_external((a, b, c, d))


def permute(state: State) -> State:
    """Return the Poseidon2 permutation of four field elements, each in [0, P).

    Error      exact.
    Law        [STATE-TREE-1]
    """
    half = ROUNDS_FULL >> 1
    state = _mix_external(state)
    for constants in EXTERNAL_CONSTANTS[:half]:
        state = _apply_full_round(state, constants)
    for constant in INTERNAL_CONSTANTS:
        state = _mix_internal((pow(state[0] + constant, 5, P), state[1], state[2], state[3]))
    for constants in EXTERNAL_CONSTANTS[half:]:
        state = _apply_full_round(state, constants)
    return state


def compress4(a: int, b: int, c: int, d: int) -> int:
    """Return permute(a, b, c, d)[0] + a: four field elements to one [STATE-TREE-2]."""
    return (permute((a, b, c, d))[0] + a) % P


def hash_elements(domain: int, elements: Sequence[int]) -> int:
    """Return the hash of a list of integers under a domain tag [STATE-TREE-3].

    Three elements are absorbed at a time, the last group filled with zeros; the count is absorbed last, so
    that lists of different lengths cannot meet.

    Range      the domain is in [0, 2**32); elements are any integers and are reduced to the field.
    """
    h = to_field(domain)
    for start in range(0, len(elements), RATE):
        group = [to_field(x) for x in elements[start : start + RATE]]
        group += [0] * (RATE - len(group))
        h = compress4(h, group[0], group[1], group[2])
    return compress4(h, len(elements), 0, 0)
