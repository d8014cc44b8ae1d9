"""The permutation a second time for the chain: plain Vyper in loops, slow, compiled by another program."""

from novate.protocol.generated.poseidon2_constants import (
    EXTERNAL_CONSTANTS,
    INTERNAL_CONSTANTS,
    INTERNAL_DIAGONAL_MINUS_ONE,
    P,
)

LANES = "abcd"
SBOX = """        {lane} = uint256_addmod({lane}, {key}, P)
        square = uint256_mulmod({lane}, {lane}, P)
        {lane} = uint256_mulmod(uint256_mulmod(square, square, P), {lane}, P)
"""
ROWS = ((5, 7, 1, 3), (4, 6, 1, 1), (1, 3, 5, 7), (1, 1, 4, 6))


def write_mix(pad: str) -> str:
    """The external matrix, a row at a time and reduced after each product and sum."""
    lines = ""
    for target, row in zip("wxyz", ROWS, strict=True):
        a, b, c, d = (f"uint256_mulmod({n}, {lane}, P)" for n, lane in zip(row, LANES, strict=True))
        half, other = f"uint256_addmod({a}, {b}, P)", f"uint256_addmod({c}, {d}, P)"
        lines += f"{pad}{target} = uint256_addmod({half}, {other}, P)\n"
    return lines + "".join(f"{pad}{lane} = {target}\n" for lane, target in zip(LANES, "wxyz", strict=True))


def write_rounds(constants: tuple[tuple[int, ...], ...]) -> str:
    """A loop over full rounds."""
    rows = ", ".join(str(key) for row in constants for key in row)
    count = len(constants)
    lines = f"    keys = [{rows}]\n    for i: uint256 in range({count}):\n"
    for place, lane in enumerate(LANES):
        lines += SBOX.format(lane=lane, key=f"keys[4 * i + {place}]")
    return lines + write_mix(" " * 8)


def write_source() -> str:
    """The source of a contract with one function, `compress`."""
    half = len(EXTERNAL_CONSTANTS) // 2
    head = f"""#pragma version 0.4.3
P: constant(uint256) = {P}


@external
@pure
def compress(h: uint256, x1: uint256, x2: uint256, x3: uint256) -> uint256:
    a: uint256 = h
    b: uint256 = x1
    c: uint256 = x2
    d: uint256 = x3
    w: uint256 = 0
    x: uint256 = 0
    y: uint256 = 0
    z: uint256 = 0
    square: uint256 = 0
    keys: uint256[{4 * half}] = empty(uint256[{4 * half}])
"""
    partial = "    for key: uint256 in [" + ", ".join(map(str, INTERNAL_CONSTANTS)) + "]:\n"
    partial += SBOX.format(lane="a", key="key")
    partial += "        w = uint256_addmod(uint256_addmod(a, b, P), uint256_addmod(c, d, P), P)\n"
    for lane, factor in zip(LANES, INTERNAL_DIAGONAL_MINUS_ONE, strict=True):
        partial += f"        {lane} = uint256_addmod(uint256_mulmod({lane}, {factor}, P), w, P)\n"
    body = write_mix(" " * 4) + write_rounds(EXTERNAL_CONSTANTS[:half]) + partial
    return head + body + write_rounds(EXTERNAL_CONSTANTS[half:]) + "    return uint256_addmod(a, h, P)\n"
