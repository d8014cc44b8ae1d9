"""Poseidon2: published answers, derived constants, and machine words against integers."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novate.protocol.generated.poseidon2_constants import (
    EXTERNAL_CONSTANTS,
    INTERNAL_CONSTANTS,
    INTERNAL_DIAGONAL_MINUS_ONE,
    P,
)
from novate.protocol.poseidon2 import compress4, hash_elements, permute, to_field
from novate.protocol.poseidon2_kernel import compress_batch, hash_elements_batch, join_limbs, split_limbs

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.parent / "shared/data/evm/poseidon2_bn254.json"
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

elements = st.one_of(
    st.sampled_from([0, 1, 2, P - 1, P - 2, 2**64 - 1, 2**128, 2**192]), st.integers(0, P - 1)
)
integers = st.one_of(st.sampled_from([0, -1, 1, INT64_MIN, INT64_MAX]), st.integers(INT64_MIN, INT64_MAX))


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    if not REFERENCE.is_file():
        pytest.skip("the published vectors in ../shared/data are absent")
    loaded: dict[str, Any] = json.loads(REFERENCE.read_text())
    return loaded


def parse(value: str | int) -> int:
    return int(value, 16) if isinstance(value, str) else value


def test_constants_equal_the_published_ones(reference: dict[str, Any]) -> None:
    """What the Grain procedure derived is what everybody uses [STATE-TREE-1]."""
    published = reference["params"]["4"]
    assert parse(reference["modulus"]) == P
    assert [[parse(x) for x in row] for row in published["external_rc"]] == [
        list(row) for row in EXTERNAL_CONSTANTS
    ]
    assert [parse(x) for x in published["internal_rc"]] == list(INTERNAL_CONSTANTS)
    assert [parse(x) for x in published["internal_diag_minus_1"]] == list(INTERNAL_DIAGONAL_MINUS_ONE)


def test_constants_are_what_the_generator_prints() -> None:
    """The module in the tree is the generator's output, byte for byte."""
    generator = runpy.run_path(str(ROOT / "scripts/generate_poseidon2.py"))
    assert generator["render_module"]() == generator["TARGET"].read_text()


def test_published_permutation(reference: dict[str, Any]) -> None:
    """The permutation maps published inputs to published outputs."""
    cases = [case for case in reference["permutation_kats"] if case["t"] == 4]
    assert cases
    for case in cases:
        a, b, c, d = (parse(x) for x in case["input"])
        assert tuple(parse(x) for x in case["output"]) == permute((a, b, c, d))


def test_published_sponge(reference: dict[str, Any]) -> None:
    """A sponge of rate 3 over this permutation gives Noir's published hashes, so a circuit will agree."""
    for case in reference["noir_sponge_t4_rate3"]:
        inputs = [parse(x) for x in case["input"]]
        state = (0, 0, 0, len(inputs) << 64)
        for start in range(0, len(inputs), 3):
            group = [*inputs[start : start + 3], 0, 0][:3]
            a, b, c = (x + y for x, y in zip(state, group, strict=False))
            state = permute((a % P, b % P, c % P, state[3]))
        assert parse(case["hash"]) == state[0]


def compress_rows(rows: list[list[int]]) -> list[int]:
    inputs = np.array([[split_limbs(x) for x in row] for row in rows], dtype=np.uint64)
    out = np.empty((len(rows), 4), dtype=np.uint64)
    compress_batch(inputs, out)
    return [join_limbs(limbs) for limbs in out]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(elements, elements, elements, elements), min_size=1, max_size=4))
def test_compression_twins(rows: list[tuple[int, int, int, int]]) -> None:
    """Machine words and integers compress to the same element [STATE-TREE-2]."""
    assert [compress4(*row) for row in rows] == compress_rows([list(row) for row in rows])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(0, 8).flatmap(lambda k: st.lists(integers, min_size=k, max_size=k))
)
def test_hash_twins(domain: int, values: list[int]) -> None:
    """Machine words and integers hash a list to the same element, of any length and sign [STATE-TREE-3]."""
    out = np.empty((1, 4), dtype=np.uint64)
    hash_elements_batch(domain, np.array([values], dtype=np.int64).reshape(1, len(values)), out)
    assert hash_elements(domain, values) == join_limbs(out[0])


def test_hash_binds_domain_length_and_sign() -> None:
    """Lists that differ only by domain, by trailing zeros or by sign have different hashes."""
    lists = [(1, [5]), (2, [5]), (1, [5, 0]), (1, [5, 0, 0]), (1, [-5]), (1, []), (1, [0]), (1, [0, 5])]
    assert len(lists) == len({hash_elements(domain, values) for domain, values in lists})
    assert P - 5 == to_field(-5)
