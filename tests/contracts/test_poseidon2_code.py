"""The assembled hasher: published answers, three twins, no sum beyond 256 bits, and what it refuses."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from pyrevm import EVM, CfgEnv, Env

from novate.protocol.frame import keccak256
from novate.protocol.generated.poseidon2_constants import P
from novate.protocol.poseidon2 import compress4, hash_elements, permute
from novate.settlement.compiler import OPTIMISATION_LEVELS, compile_source, read_source
from novate.settlement.poseidon2_code import (
    DUP1,
    OPCODES,
    PUSH0,
    SWAP1,
    assemble_creation,
    assemble_runtime,
)
from tests.contracts.hash_twin import write_source

REFERENCE = Path(__file__).parents[3] / "shared/data/evm/poseidon2_bn254.json"
CODE_BYTES_MAX = 24_576
CALLER = "0x" + "22" * 20
SELECTOR = keccak256(b"absorb(uint256,uint256[])")[:4]
EDGES = (0, 1, 2, P - 1, P - 2, 2**64 - 1, 2**128, 2**253)
NAMES = {value: name for name, value in OPCODES.items()}


class Machine:
    """One contract on revm."""

    def __init__(self, creation_code: bytes) -> None:
        self.evm: Any = EVM(spec_id="CANCUN", gas_limit=30_000_000, env=Env(cfg=CfgEnv(chain_id=1)))
        self.address = self.evm.deploy(CALLER, creation_code, gas=25_000_000, gas_price=0)

    def call(self, data: bytes) -> int | None:
        """The word that comes back, or None if the call reverts."""
        try:
            output = self.evm.message_call(CALLER, self.address, calldata=data, gas=25_000_000, gas_price=0)
        except RuntimeError:
            return None
        return int.from_bytes(output, "big")

    def absorb(self, h: int, words: list[int]) -> int | None:
        return self.call(encode(h, words))


def encode(h: int, words: list[int]) -> bytes:
    return SELECTOR + b"".join(word.to_bytes(32, "big") for word in (h, 64, len(words), *words))


def chain(h: int, words: list[int]) -> int:
    for place in range(0, len(words), 3):
        h = compress4(h, *words[place : place + 3])
    return h


def draw(rng: random.Random) -> int:
    return rng.choice(EDGES) if rng.random() < 0.2 else rng.randrange(P)


@pytest.fixture(scope="module")
def hasher() -> Machine:
    return Machine(assemble_creation())


def test_published_answers(hasher: Machine) -> None:
    """The first word of the published permutation comes out, with the feed-forward of the first input."""
    if not REFERENCE.is_file():
        pytest.skip("the published vectors in ../shared/data are absent")
    cases = [case for case in json.loads(REFERENCE.read_text())["permutation_kats"] if case["t"] == 4]
    assert cases
    for case in cases:
        h, *words = (int(str(word), 0) for word in case["input"])
        assert (int(case["output"][0], 16) + h) % P == hasher.absorb(h, words)


def test_ten_thousand_compressions_equal_the_law(hasher: Machine) -> None:
    """[SETTLE-40]: chains of random and extreme elements give what the integers of the law give."""
    rng = random.Random(40)
    for _ in range(200):
        h, words = draw(rng), [draw(rng) for _ in range(150)]
        assert chain(h, words) == hasher.absorb(h, words)


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_a_compiled_twin_agrees(hasher: Machine, level: str) -> None:
    """The same permutation in plain Vyper, at each level of optimisation, gives the same answers."""
    compiled = compile_source("HashTwin", write_source(), level)
    twin = Machine(compiled.creation_code)
    selector = keccak256(b"compress(uint256,uint256,uint256,uint256)")[:4]
    rng = random.Random(41)
    for _ in range(100):
        words = [draw(rng) for _ in range(4)]
        found = twin.call(selector + b"".join(word.to_bytes(32, "big") for word in words))
        assert found == hasher.absorb(words[0], words[1:])


def test_a_leaf_is_hashed_as_the_tree_does(hasher: Machine) -> None:
    """[STATE-TREE-3]: domain, groups of three filled with zeros, the count last."""
    for count in (1, 2, 3, 14, 62, 206):
        elements = [place - 20 for place in range(count)]
        words = [element % P for element in elements] + [0] * (-count % 3)
        h = hasher.absorb(2, words)
        assert h is not None
        assert hash_elements(2, elements) == hasher.absorb(h, [count, 0, 0])


def test_what_is_no_call_is_refused(hasher: Machine) -> None:
    """A word at or above P, an odd number of words, none, too few, another selector or place: all revert."""
    good = [1, 2, 3]
    assert compress4(5, 1, 2, 3) == hasher.absorb(5, good)
    for word in (P, P + 1, 2**256 - 1):
        assert hasher.absorb(word, good) is None
        for place in range(3):
            assert hasher.absorb(5, [*good[:place], word, *good[place + 1 :]]) is None
        assert hasher.absorb(5, [*good, 1, 2, word]) is None
    for words in ([], [1], [1, 2], [1, 2, 3, 4]):
        assert hasher.absorb(5, words) is None
    data = encode(5, good)
    assert hasher.call(data + b"\x01" * 70) == hasher.call(data), "Vyper sends what stands in its buffer."
    wrong = (
        data[:-1],
        b"",
        data[:4],
        b"\x00" + data[1:],
        data[:67] + b"\x41" + data[68:],
        data[:68] + (3 + 2**251).to_bytes(32, "big") + data[100:],
        data[:68] + (1 << 16).to_bytes(32, "big") + data[100:],
    )
    for each in wrong:
        assert hasher.call(each) is None, each.hex()


def split_code(code: bytes) -> list[tuple[int, int]]:
    """(opcode, pushed constant) of each instruction."""
    rows, place = [], 0
    while place < len(code):
        opcode = code[place]
        width = opcode - PUSH0 if PUSH0 <= opcode < DUP1 else 0
        rows.append((opcode, int.from_bytes(code[place + 1 : place + 1 + width], "big")))
        place += 1 + width
    return rows


def bound_sums(rows: list[tuple[int, int]]) -> int:
    """Follow the loop's body on upper bounds, and return the largest that any sum reached."""
    stack, largest = [2**20, 2**20, P - 1, P, *[P - 1] * 4], 0
    for opcode, constant in rows:
        if PUSH0 <= opcode < DUP1:
            stack.append(constant)
        elif DUP1 <= opcode < SWAP1:
            stack.append(stack[-1 - (opcode - DUP1)])
        elif SWAP1 <= opcode < SWAP1 + 16:
            depth = opcode - SWAP1 + 2
            stack[-1], stack[-depth] = stack[-depth], stack[-1]
        else:
            name = NAMES[opcode]
            if name == "CALLDATALOAD":
                stack[-1] = P - 1  # Checked below P directly after.
            elif name in ("ADD", "LT", "ISZERO", "MULMOD", "ADDMOD"):
                operands = {"ISZERO": 1, "ADD": 2, "LT": 2}.get(name, 3)
                taken = [stack.pop() for _ in range(operands)]
                assert operands < 3 or taken[2] == P, "Every modulus is P."
                total = sum(taken) if name == "ADD" else P - 1 if operands == 3 else 1
                largest = max(largest, total) if name == "ADD" else largest
                stack.append(total)
            else:
                assert name in ("POP", "JUMPI"), name
                del stack[-1 if name == "POP" else -2 :]
    return largest


def test_no_sum_outgrows_a_word() -> None:
    """Sums are reduced late; the bounds of all operands, followed through the code, stay below 2**256."""
    rows = split_code(assemble_runtime())
    begin = next(place for place, row in enumerate(rows) if NAMES.get(row[0]) == "JUMPDEST")
    jumps = [place for place, row in enumerate(rows) if NAMES.get(row[0]) == "JUMPI"]
    assert 4 * P < bound_sums(rows[begin + 1 : jumps[-1] - 3]) < 2**256


def test_the_code_is_small_pinned_and_cannot_act(hasher: Machine) -> None:
    """It fits a contract, the exit names its hash, and no instruction of it could write, call or log."""
    code = assemble_runtime()
    assert len(code) < CODE_BYTES_MAX
    assert assemble_creation().endswith(code)
    pinned = re.search(r"HASHER_CODE_HASH: constant\(bytes32\) = (0x[0-9a-f]{64})", read_source("Books"))
    assert pinned
    assert "0x" + keccak256(code).hex() == pinned[1]
    stack = {opcode for opcode, _ in split_code(code) if PUSH0 <= opcode < SWAP1 + 16}
    names = {NAMES[opcode] for opcode, _ in split_code(code) if opcode not in stack}
    assert names <= set(OPCODES) - {"CODECOPY"}
    assert permute((0, 1, 2, 3))[0] == hasher.absorb(0, [1, 2, 3])


def test_a_changed_byte_changes_the_answer() -> None:
    """Planted: three hundred versions of the code with one changed byte; none passes for the true one."""
    code, rng = bytearray(assemble_runtime()), random.Random(42)
    cases = [(draw(rng), [draw(rng) for _ in range(6)]) for _ in range(3)]
    expected = [chain(*case) for case in cases]
    survivors = []
    for place in rng.sample(range(len(code)), 300):
        changed = bytearray(code)
        changed[place] ^= 1 << rng.randrange(8)
        header = assemble_creation()[: -len(code)]
        try:
            machine = Machine(header + bytes(changed))
            found = [machine.absorb(*case) for case in cases]
        except (RuntimeError, OverflowError):
            continue
        if found == expected and all(machine.absorb(word, [1, 2, 3]) is None for word in (P, P + 5)):
            survivors.append((place, NAMES.get(code[place], code[place])))
    assert len(survivors) <= 3, survivors
