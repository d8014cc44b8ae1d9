"""Keccak-f[1600] on eight states side by side, in vectors of eight words: Numba's own loops over lanes do
not become vectors.

What the processor lacks in width LLVM makes up for with more instructions, so the words are the same
everywhere.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
WORD = ir.IntType(64)
VECTOR = ir.VectorType(WORD, LANES)


def make_round_constants() -> tuple[int, ...]:
    """Return the 24 constants of iota, from the shift register of the standard (FIPS 202, 3.2.5)."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for j in range(7):
            if register & 1:
                constant |= 1 << (1 << j) - 1
            register = register << 1 ^ (0x171 if register >> 7 & 1 else 0)
        constants.append(constant)
    return tuple(constants)


def make_moves() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return, for each word, where rho and pi bring it and by how much it is rotated."""
    rotations = [0] * 25
    x, y = 1, 0
    for t in range(24):
        rotations[x + 5 * y] = (t + 1) * (t + 2) // 2 & 63
        x, y = y, (2 * x + 3 * y) % 5
    places = [i // 5 + 5 * ((2 * (i % 5) + 3 * (i // 5)) % 5) for i in range(25)]
    return tuple(places), tuple(rotations)


PLACES, ROTATIONS = make_moves()


def splat(value: int) -> Any:
    """Return a vector of one word in every lane."""
    return ir.Constant(VECTOR, [value] * LANES)


def rotate(builder: Any, value: Any, count: int) -> Any:
    """Return each lane rotated to the left."""
    if count == 0:
        return value
    return builder.or_(builder.shl(value, splat(count)), builder.lshr(value, splat(64 - count)))


def mix(builder: Any, words: list[Any], constant: Any) -> list[Any]:
    """Return the words after one round: theta, rho, pi, chi, iota."""
    xor = builder.xor
    columns = [
        xor(xor(xor(words[x], words[x + 5]), xor(words[x + 10], words[x + 15])), words[x + 20])
        for x in range(5)
    ]
    sums = [xor(columns[(x + 4) % 5], rotate(builder, columns[(x + 1) % 5], 1)) for x in range(5)]
    moved: list[Any] = [None] * 25
    for i, word in enumerate(words):
        moved[PLACES[i]] = rotate(builder, xor(word, sums[i % 5]), ROTATIONS[i])
    mixed = []
    for i in range(25):
        row = i - i % 5
        second, third = moved[row + (i + 1) % 5], moved[row + (i + 2) % 5]
        mixed.append(xor(moved[i], builder.and_(builder.not_(second), third)))
    return [xor(mixed[0], constant), *mixed[1:]]


@intrinsic  # type: ignore[untyped-decorator]
def permute_lanes(typing_context: Any, states: Any) -> Any:
    """Apply the permutation in place to an array uint64[25 or more, 8], word by lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        base = builder.bitcast(array.data, VECTOR.as_pointer())
        places = [builder.gep(base, [ir.Constant(WORD, i)]) for i in range(25)]
        words = [cgutils.alloca_once_value(builder, builder.load(place, align=8)) for place in places]
        kind = ir.ArrayType(WORD, 24)
        table = cgutils.global_constant(builder, "keccak_rounds", kind(make_round_constants()))
        with cgutils.for_range(builder, ir.Constant(WORD, 24)) as loop:
            one = builder.load(cgutils.gep(builder, table, 0, loop.index))
            first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), one, ir.IntType(32)(0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            constant = builder.shuffle_vector(first, first, mask)
            mixed = mix(builder, [builder.load(word) for word in words], constant)
            for word, value in zip(words, mixed, strict=True):
                builder.store(value, word)
        for place, word in zip(places, words, strict=True):
            builder.store(builder.load(word), place, align=8)
        return context.get_dummy_value()

    return types.none(states), generate
