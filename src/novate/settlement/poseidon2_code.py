"""The hasher contract, assembled: Poseidon2 compressions in a chain, as straight-line EVM code on the stack.

Vyper keeps every variable in memory and P in every instruction: the same permutation costs 30,300 gas there
and does not fit the size limit of a contract. This one costs under half and fits. There is nothing in it but
stack moves, sums, products modulo P, and one loop over the input; it has no storage, calls nothing and cannot
be changed. Law: SETTLE-40. Implements [STATE-TREE-1] to [STATE-TREE-3] for the contract Escape.
"""

from typing import Any

from novate.protocol.frame import keccak256
from novate.protocol.generated.poseidon2_constants import (
    EXTERNAL_CONSTANTS,
    INTERNAL_CONSTANTS,
    INTERNAL_DIAGONAL_MINUS_ONE,
    P,
)

OPCODES = {
    "ADD": 0x01,
    "MOD": 0x06,
    "ADDMOD": 0x08,
    "MULMOD": 0x09,
    "LT": 0x10,
    "EQ": 0x14,
    "ISZERO": 0x15,
    "SHL": 0x1B,
    "SHR": 0x1C,
    "CALLDATALOAD": 0x35,
    "CALLDATASIZE": 0x36,
    "CODECOPY": 0x39,
    "POP": 0x50,
    "MSTORE": 0x52,
    "JUMPI": 0x57,
    "JUMPDEST": 0x5B,
    "RETURN": 0xF3,
    "REVERT": 0xFD,
}
PUSH0, PUSH2, DUP1, SWAP1 = 0x5F, 0x61, 0x80, 0x90
REACH = 16
SELECTOR = int.from_bytes(keccak256(b"absorb(uint256,uint256[])")[:4], "big")
# Calldata: selector, h, the offset 64 of the words, their number, the words.
HASH_OFFSET, PLACE_OFFSET, COUNT_OFFSET, WORDS_OFFSET = 4, 36, 68, 100
WORDS_PLACE = 64
WORD_BYTES, WORD_SHIFT, GROUP_WORDS = 32, 5, 3
WORDS_END = 1 << 16
SELECTOR_SHIFT = 224
CREATION_BYTES = 10
# What stays on the stack below the permutation's own values, the deepest first.
LANES = ("x0", "x1", "x2", "x3")
STANDING = ("end", "place", "h", "P", "m0", "m1", "m2", "m3")


class Assembler:
    """Emits code and knows the name of every value on the stack, so that no depth is counted by hand."""

    def __init__(self) -> None:
        self.code = bytearray()
        self.stack: list[str] = []
        self.failures: list[int] = []

    def emit(self, name: str) -> None:
        """Emit an instruction by name, without regard to the stack."""
        self.code.append(OPCODES[name])

    def push(self, value: int, name: str) -> None:
        """Push a constant."""
        width = (value.bit_length() + 7) // 8
        self.code += bytes([PUSH0 + width]) + value.to_bytes(width, "big")
        self.stack.append(name)

    def copy(self, name: str) -> None:
        """Push a copy of a named value."""
        depth = self.find(name)
        self.code.append(DUP1 + depth)
        self.stack.append(name)

    def take(self, name: str) -> None:
        """Bring a named value to the top; what stood there takes its place."""
        depth = self.find(name)
        if depth:
            self.code.append(SWAP1 + depth - 1)
            self.stack[-1], self.stack[-1 - depth] = self.stack[-1 - depth], self.stack[-1]

    def pair(self, below: str, above: str) -> None:
        """Bring two named values to the top."""
        if self.stack[-2:] == [above, below]:
            return  # Their order does not matter to a sum.
        self.take(below)
        self.take(self.stack[-2])
        self.take(above)

    def find(self, name: str) -> int:
        """Return how many values stand above the topmost one of this name."""
        depth = self.stack[::-1].index(name)
        assert depth < REACH, "Invariant: every value is within the machine's reach."
        return depth

    def apply(self, instruction: str, operands: int, name: str) -> None:
        """Emit an instruction that takes this many values and leaves one."""
        self.emit(instruction)
        del self.stack[len(self.stack) - operands :]
        self.stack.append(name)

    def discard(self, instruction: str, operands: int) -> None:
        """Emit an instruction that takes this many values and leaves none."""
        self.emit(instruction)
        del self.stack[-operands:]

    def drop(self, name: str) -> None:
        """Remove a named value."""
        self.take(name)
        self.discard("POP", 1)

    def arrange(self, order: tuple[str, ...]) -> None:
        """Bring the whole stack into an order, the deepest first."""
        assert sorted(order) == sorted(self.stack), "Invariant: nothing is left over on the stack."
        while tuple(self.stack) != order:
            top = self.stack[-1]
            if top == order[-1]:
                top = next(name for name, due in zip(self.stack, order, strict=True) if name != due)
                self.take(top)
            self.take(self.stack[order.index(top)])

    def mark(self) -> int:
        """Emit a target for jumps and return its place."""
        self.emit("JUMPDEST")
        return len(self.code) - 1

    def jump_if(self, condition: str, place: int) -> None:
        """Jump to a marked place if the top value, named for safety, is not zero."""
        assert self.stack[-1] == condition, "Invariant: the condition is the top value."
        self.code += bytes([PUSH2]) + place.to_bytes(2, "big")
        self.emit("JUMPI")
        self.stack.pop()

    def fail_unless(self, condition: str) -> None:
        """Revert unless the top value is not zero. The place of the failure is filled in by `finish`."""
        self.apply("ISZERO", 1, condition)
        self.jump_if(condition, 0)
        self.failures.append(len(self.code) - 3)

    def finish(self) -> bytes:
        """Append the failure that the checks jump to and return the code."""
        place = self.mark()
        self.push(0, "memory")
        self.push(0, "size")
        self.discard("REVERT", 2)
        for hole in self.failures:
            self.code[hole : hole + 2] = place.to_bytes(2, "big")
        return bytes(self.code)

    def add_constant(self, value: int) -> None:
        """Add a constant to the top value, which keeps its name."""
        name = self.stack[-1]
        self.push(value, "constant")
        self.apply("ADD", 2, name)


def assemble_sbox(asm: Assembler, name: str) -> None:
    """Replace a value by its fifth power modulo P; any 256-bit value may go in."""
    asm.take(name)
    asm.copy("P")
    asm.copy(name)
    asm.copy(name)
    asm.apply("MULMOD", 3, "square")
    asm.copy("square")
    asm.copy("P")
    asm.code.append(SWAP1 + 1)  # (square, square, P) to (P, square, square)
    asm.apply("MULMOD", 3, "fourth")
    asm.copy("P")
    asm.code.append(SWAP1 + 1)  # (x, fourth, P) to (P, fourth, x)
    asm.stack.pop()
    asm.apply("MULMOD", 2, name)


def assemble_product(asm: Assembler, name: str, factor: str) -> None:
    """Replace a value by its product with a standing one, modulo P."""
    asm.take(name)
    asm.copy(factor)
    asm.copy("P")
    asm.code.append(SWAP1 + 1)
    asm.apply("MULMOD", 3, name)


def assemble_partial_round(asm: Assembler, constants: tuple[int, int, int, int]) -> None:
    """x0 to the fifth, then each x to the sum of all plus its product with m; below 3P if below 3P before."""
    assemble_sbox(asm, "x0")
    asm.copy("P")
    asm.copy("x3")
    asm.copy("x2")
    asm.apply("ADD", 2, "half")
    asm.copy("x1")
    asm.copy("x0")
    asm.apply("ADD", 2, "other")
    asm.apply("ADDMOD", 3, "total")
    for name, factor, constant in zip(("x3", "x2", "x1"), ("m3", "m2", "m1"), constants[:0:-1], strict=True):
        assemble_product(asm, name, factor)
        asm.copy("total")
        asm.apply("ADD", 2, name)
        if constant:
            asm.add_constant(constant)
    assemble_product(asm, "x0", "m0")
    asm.pair("x0", "total")
    asm.apply("ADD", 2, "x0")
    asm.add_constant(constants[0])


def assemble_mix(asm: Assembler, constants: tuple[int, int, int, int] | None) -> None:
    """Multiply four values below P by M4 and add the next round's constants.

    With t0 = x0 + x1, t1 = x2 + x3, t2 = 2 x1 + t1 and t3 = 2 x3 + t0, all below 4P, the rows are
    t3 + t5, t5 = 4 t0 + t2, t2 + t4, t4 = 4 t1 + t3. Without constants only the first row is found.
    """
    for first, second, name in (("x0", "x1", "t0"), ("x2", "x3", "t1")):
        asm.take(first)
        asm.copy(second)
        asm.apply("ADD", 2, name)
    for value, other, name in (("x1", "t1", "t2"), ("x3", "t0", "t3")):
        asm.take(value)
        asm.copy(value)
        asm.apply("ADD", 2, value)
        asm.copy(other)
        asm.apply("ADD", 2, name)
    for value, other, name in (("t0", "t2", "t5"), ("t1", "t3", "t4"))[: 2 if constants else 1]:
        asm.take(value)
        asm.copy("P")
        asm.take(value)
        asm.push(4, "four")
        asm.apply("MULMOD", 3, "product")
        asm.copy(other)
        asm.copy("P")
        asm.code.append(SWAP1 + 1)  # (product, other, P) to (P, other, product)
        asm.apply("ADDMOD", 3, name)
    if constants is None:
        for name in ("t1", "t2"):
            asm.drop(name)
        asm.pair("t3", "t5")
        return
    k0, k1, k2, k3 = constants
    for value, name, other, row, difference in (
        ("t5", "x1", "t3", "x0", (k0 - k1) % P),
        ("t4", "x3", "t2", "x2", (k2 - k3) % P),
    ):
        asm.take(value)
        if constants[int(name[1])]:
            asm.add_constant(constants[int(name[1])])
        asm.stack[-1] = name
        asm.copy("P")
        asm.copy(name)
        if difference:
            asm.add_constant(difference)
        asm.copy(other)
        asm.apply("ADDMOD", 3, row)
        asm.drop(other)


def assemble_compression(asm: Assembler) -> None:
    """Replace h, x1, x2, x3 on the stack by compress4 of them [STATE-TREE-2]."""
    half = len(EXTERNAL_CONSTANTS) // 2
    first = (INTERNAL_CONSTANTS[0], 0, 0, 0)
    asm.copy("h")
    asm.stack[-1] = "x0"
    assemble_mix(asm, EXTERNAL_CONSTANTS[0])
    for following in (*EXTERNAL_CONSTANTS[1:half], first):
        for name in LANES:
            assemble_sbox(asm, name)
        assemble_mix(asm, following)
    for constant in INTERNAL_CONSTANTS[1:]:
        assemble_partial_round(asm, (constant, 0, 0, 0))
    assemble_partial_round(asm, EXTERNAL_CONSTANTS[half])
    for last in (*EXTERNAL_CONSTANTS[half + 1 :], None):
        for name in LANES:
            assemble_sbox(asm, name)
        assemble_mix(asm, last)
    # The first row, t3 + t5, and the feed-forward of h are one sum modulo P.
    asm.apply("ADD", 2, "row")
    asm.copy("h")
    asm.copy("P")
    asm.code.append(SWAP1 + 1)  # (row, h, P) to (P, h, row)
    asm.apply("ADDMOD", 3, "digest")
    asm.drop("h")
    asm.stack[asm.stack.index("digest")] = "h"


def assemble_runtime() -> bytes:
    """Return the runtime code.

    It answers `absorb(h, words)`: three words at a time, h = compress4(h, x1, x2, x3). It reverts, without
    words, on anything else: another selector or encoding, no words, a number of them that is no multiple of
    three or not below WORDS_END, fewer words than were announced, or a word at or above P.
    """
    asm = Assembler()
    assemble_checks(asm)
    for value, name in (
        (WORDS_OFFSET, "place"),
        (HASH_OFFSET, "h"),
        (P, "P"),
        *((value, f"m{lane}") for lane, value in enumerate(INTERNAL_DIAGONAL_MINUS_ONE)),
    ):
        asm.push(value, name)
        if name == "h":
            asm.apply("CALLDATALOAD", 1, name)
    asm.copy("P")
    asm.copy("h")
    asm.apply("LT", 2, "sound")
    asm.fail_unless("sound")
    loop = asm.mark()
    for lane in LANES[1:]:
        asm.copy("place")
        asm.apply("CALLDATALOAD", 1, lane)
        asm.take("place")
        asm.push(WORD_BYTES, "width")
        asm.apply("ADD", 2, "place")
        asm.copy("P")
        asm.copy(lane)
        asm.apply("LT", 2, "sound")
        asm.fail_unless("sound")
    assemble_compression(asm)
    asm.arrange(STANDING)
    asm.copy("end")
    asm.copy("place")
    asm.apply("LT", 2, "more")
    asm.jump_if("more", loop)
    asm.take("h")
    asm.push(0, "memory")
    asm.discard("MSTORE", 2)
    asm.push(WORD_BYTES, "size")
    asm.push(0, "memory")
    asm.discard("RETURN", 2)
    return asm.finish()


def assemble_checks(asm: Assembler) -> None:
    """Refuse calldata that is not one encoded call, and leave the place where the words end on the stack.

    What stands behind the words is passed over: Vyper sends its whole buffer.
    """
    asm.push(0, "start")
    asm.apply("CALLDATALOAD", 1, "selector")
    asm.push(SELECTOR_SHIFT, "shift")
    asm.apply("SHR", 2, "selector")
    asm.push(SELECTOR, "expected")
    asm.apply("EQ", 2, "sound")
    asm.fail_unless("sound")
    asm.push(PLACE_OFFSET, "offset")
    asm.apply("CALLDATALOAD", 1, "place")
    asm.push(WORDS_PLACE, "expected")
    asm.apply("EQ", 2, "sound")
    asm.fail_unless("sound")
    asm.push(COUNT_OFFSET, "offset")
    asm.apply("CALLDATALOAD", 1, "count")
    asm.copy("count")
    asm.fail_unless("count")
    asm.push(WORDS_END, "bound")
    asm.copy("count")
    asm.apply("LT", 2, "sound")
    asm.fail_unless("sound")
    asm.push(GROUP_WORDS, "group")
    asm.copy("count")
    asm.apply("MOD", 2, "odd")
    asm.apply("ISZERO", 1, "sound")
    asm.fail_unless("sound")
    asm.push(WORD_SHIFT, "shift")
    asm.apply("SHL", 2, "length")
    asm.push(WORDS_OFFSET, "offset")
    asm.apply("ADD", 2, "end")
    asm.copy("end")
    asm.apply("CALLDATASIZE", 0, "size")
    asm.apply("LT", 2, "cut")
    asm.apply("ISZERO", 1, "sound")
    asm.fail_unless("sound")


def assemble_creation() -> bytes:
    """Return the creation code: it copies the runtime code behind it into place."""
    runtime = assemble_runtime()
    asm = Assembler()
    asm.push(len(runtime), "size")
    asm.copy("size")
    asm.push(CREATION_BYTES, "offset")
    asm.push(0, "memory")
    asm.discard("CODECOPY", 3)
    asm.push(0, "memory")
    asm.discard("RETURN", 2)
    assert len(asm.code) == CREATION_BYTES, "Invariant: the runtime code begins where the copy says."
    return bytes(asm.code) + runtime


def describe_abi() -> list[dict[str, Any]]:
    """Return the interface of the hasher, as a compiler would."""
    inputs = [{"name": "h", "type": "uint256"}, {"name": "words", "type": "uint256[]"}]
    outputs = [{"name": "", "type": "uint256"}]
    function = {"type": "function", "name": "absorb", "stateMutability": "view"}
    return [function | {"inputs": inputs, "outputs": outputs}]
