"""Derive the Poseidon2 constants over the BN254 scalar field (t = 4) and write them as a Python module.

The procedure is public: the Grain LFSR of the Poseidon paper, seeded by the parameters, yields the round
constants and then candidate diagonals for the internal matrix; the first whose powers all have an irreducible
minimal polynomial is taken (Grassi, Khovratovich, Schofnegger, "Poseidon2", 2023, eprint 2023/323, sections
5.2 and 5.3). Run without arguments.
"""

from collections.abc import Iterator
from pathlib import Path

P = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001
FIELD_BITS = 254
WIDTH = 4
ROUNDS_FULL = 8
ROUNDS_PARTIAL = 56
TARGET = Path(__file__).parent.parent / "src/novate/protocol/generated/poseidon2_constants.py"

Matrix = list[list[int]]


def generate_bits() -> Iterator[int]:
    """Yield the self-shrunk output of the 80-bit Grain register for a prime field and an x^alpha S-box."""
    seed = f"{1:02b}{0:04b}{FIELD_BITS:012b}{WIDTH:012b}{ROUNDS_FULL:010b}{ROUNDS_PARTIAL:010b}" + "1" * 30
    register = [int(bit) for bit in seed]

    def step() -> int:
        new = register[62] ^ register[51] ^ register[38] ^ register[23] ^ register[13] ^ register[0]
        register.pop(0)
        register.append(new)
        return new

    for _ in range(160):
        step()
    while True:
        # A zero discards the bit after it; a one releases it.
        chosen = step()
        bit = step()
        if chosen:
            yield bit


def take_integer(bits: Iterator[int]) -> int:
    """Return the next FIELD_BITS bits, most significant first."""
    return int("".join(str(next(bits)) for _ in range(FIELD_BITS)), 2)


def take_element(bits: Iterator[int]) -> int:
    """Return the next integer below P; larger ones are rejected, not reduced."""
    value = take_integer(bits)
    while value >= P:
        value = take_integer(bits)
    return value


def multiply_matrices(a: Matrix, b: Matrix) -> Matrix:
    """Return a * b mod P."""
    return [
        [sum(x * y for x, y in zip(row, column, strict=True)) % P for column in zip(*b, strict=True)]
        for row in a
    ]


def compute_characteristic(matrix: Matrix) -> list[int]:
    """Return the monic characteristic polynomial, lowest degree first (Faddeev and LeVerrier)."""
    size = len(matrix)
    coefficients = [0] * size + [1]
    work = [[0] * size for _ in range(size)]
    for k in range(1, size + 1):
        shifted = [
            [(work[i][j] + (coefficients[size - k + 1] if i == j else 0)) % P for j in range(size)]
            for i in range(size)
        ]
        work = multiply_matrices(matrix, shifted)
        coefficients[size - k] = -sum(work[i][i] for i in range(size)) * pow(k, -1, P) % P
    return coefficients


def multiply_modulo(a: list[int], b: list[int], modulus: list[int]) -> list[int]:
    """Return a * b modulo a monic polynomial of degree WIDTH."""
    product = [0] * (2 * WIDTH - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] = (product[i + j] + x * y) % P
    for top in range(2 * WIDTH - 2, WIDTH - 1, -1):
        for i in range(WIDTH):
            product[top - WIDTH + i] = (product[top - WIDTH + i] - product[top] * modulus[i]) % P
    return product[:WIDTH]


def raise_to_field(base: list[int], modulus: list[int]) -> list[int]:
    """Return base ** P modulo the polynomial."""
    result = [1] + [0] * (WIDTH - 1)
    for bit in f"{P:b}":
        result = multiply_modulo(result, result, modulus)
        if bit == "1":
            result = multiply_modulo(result, base, modulus)
    return result


def is_coprime(a: list[int], b: list[int]) -> bool:
    """Return whether two polynomials have no common factor, by Euclid's algorithm."""
    a, b = list(a), list(b)
    while True:
        while b and b[-1] == 0:
            b.pop()
        if not b:
            return len(a) == 1
        inverse = pow(b[-1], -1, P)
        while len(a) >= len(b):
            factor = a[-1] * inverse % P
            offset = len(a) - len(b)
            for i, y in enumerate(b):
                a[offset + i] = (a[offset + i] - factor * y) % P
            a.pop()
        a, b = b, a


def is_irreducible(polynomial: list[int]) -> bool:
    """Return whether a monic quartic is irreducible (Rabin).

    X^(P^4) = x and x^(P^2) - x shares no factor with it.
    """
    x = [0, 1, 0, 0]
    powers = [x]
    for _ in range(WIDTH):
        powers.append(raise_to_field(powers[-1], polynomial))
    difference = [(u - v) % P for u, v in zip(powers[2], x, strict=True)]
    return powers[WIDTH] == x and is_coprime(polynomial, difference)


def is_secure(diagonal: list[int]) -> bool:
    """Return whether M, M^2 .. M^(2t) all have an irreducible minimal polynomial of full degree."""
    matrix = [[diagonal[i] if i == j else 1 for j in range(WIDTH)] for i in range(WIDTH)]
    power = matrix
    for _ in range(2 * WIDTH):
        if not is_irreducible(compute_characteristic(power)):
            return False
        power = multiply_matrices(matrix, power)
    return True


def derive_constants() -> tuple[list[list[int]], list[int], list[int]]:
    """Return the constants of the full rounds, of the partial rounds, and the internal diagonal minus one."""
    bits = generate_bits()
    half = ROUNDS_FULL // 2
    first = [[take_element(bits) for _ in range(WIDTH)] for _ in range(half)]
    partial = [take_element(bits) for _ in range(ROUNDS_PARTIAL)]
    last = [[take_element(bits) for _ in range(WIDTH)] for _ in range(half)]
    # Unlike round constants, candidate diagonals are reduced and never rejected for their size.
    diagonal = [take_integer(bits) % P for _ in range(WIDTH)]
    while not is_secure(diagonal):
        diagonal = [take_integer(bits) % P for _ in range(WIDTH)]
    return first + last, partial, [(entry - 1) % P for entry in diagonal]


def render_module() -> str:
    """Return the text of the generated module."""
    full, partial, diagonal = derive_constants()
    lines = [
        '"""Poseidon2 over BN254, t = 4. Generated by scripts/generate_poseidon2.py; do not edit."""',
        "",
        f"P = 0x{P:064x}",
        "",
        "EXTERNAL_CONSTANTS = (",
    ]
    for row in full:
        lines += ["    ("] + [f"        0x{entry:064x}," for entry in row] + ["    ),"]
    lines += [")", "", "INTERNAL_CONSTANTS = ("] + [f"    0x{entry:064x}," for entry in partial]
    lines += (
        [")", "", "INTERNAL_DIAGONAL_MINUS_ONE = ("] + [f"    0x{entry:064x}," for entry in diagonal] + [")"]
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render_module())
