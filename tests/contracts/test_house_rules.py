"""The contracts keep the house rules that the compiler's advisories made necessary."""

import re
from collections.abc import Iterable

import pytest

from novate.settlement.compiler import (
    CONTRACT_FOLDER,
    OPTIMISATION_LEVELS,
    ContractError,
    compile_contract,
    compile_source,
)

PRAGMAS = ("#pragma version 0.4.3", "#pragma evm-version cancun", "#pragma nonreentrancy on")
SOURCES = sorted(CONTRACT_FOLDER.glob("*.vy"))
# Each pattern is read outside comments and strings.
FORBIDDEN = {
    "a ternary": re.compile(r"\bif\b.*\belse\b"),
    "a nested DynArray": re.compile(r"DynArray\[\s*DynArray"),
    "a raw instruction": re.compile(r"\braw_\w+"),
    "a creation": re.compile(r"create_\w+"),
    "self destruction": re.compile(r"\bselfdestruct\b"),
    "a decimal": re.compile(r"\bdecimal\b|\bsqrt\b|\d\.\d"),
    "a bitwise or": re.compile(r"\|"),
    "a delegated call": re.compile(r"delegate"),
    "an unnamed division": re.compile(r"//|/(?!/)|%"),
    "ether": re.compile(r"@payable|\bmsg\.value\b|\bsend\("),
    "an unsafe operation": re.compile(r"\bunsafe_\w+"),
}
# Places where a forbidden form is the only one, and why it is safe there.
EXCEPTIONS = {
    # A precompile and a factory take bare bytes. The contract that calls them has no right and no state.
    ("Owners", "a raw instruction"): 2,
}

# What a rule lets through, by function and not by line: each of these is small and does nothing else.
ALLOWED = {
    "a raw instruction": {
        "_try_permit": "a permit that fails must not refuse the deposit",
        "_count_rung": "a rung that fails must not stop the freeze",
    },
    "a creation": {"_open": "a deposit box is a minimal proxy, not a blueprint"},
    "an unnamed division": {"_div_floor": "it is the name", "_div_ceil": "it is the name"},
}


def strip_functions(code: str, names: Iterable[str]) -> str:
    """Return the code without these functions."""
    for name in names:
        code = re.sub(rf"^def {name}\(.*?(?=^\S|\Z)", "", code, flags=re.DOTALL | re.MULTILINE)
    return code


def strip_words(source: str) -> str:
    """Return the code alone."""
    source = re.sub(r'""".*?"""', "", source, flags=re.DOTALL)
    return re.sub(r'"[^"\n]*"|#[^\n]*', "", source)


def test_there_are_contracts() -> None:
    """The rules below are not vacuous."""
    names = {"Bond", "Books", "DepositBox", "DepositBoxes", "Escape", "Inbox", "Keys", "Owners", "Settlement"}
    assert names | {"TestUSD", "Validators", "Vault"} <= {path.stem for path in SOURCES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_bytes_are_printable(path) -> None:  # type: ignore[no-untyped-def]
    """A contract holds line feeds and printable ASCII only: readers see what the compiler sees."""
    assert set() == {byte for byte in path.read_bytes() if byte != 0x0A and not 0x20 <= byte <= 0x7E}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_pragmas_are_exact(path) -> None:  # type: ignore[no-untyped-def]
    """Compiler, EVM version and the lock are named in the first three lines, and nothing else is."""
    lines = path.read_text().splitlines()
    assert list(PRAGMAS) == lines[:3]
    assert list(PRAGMAS) == [line for line in lines if line.startswith(("#pragma", "# pragma", "# @"))]
    assert "@reentrant" not in path.read_text()


@pytest.mark.parametrize("rule", FORBIDDEN)
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_forbidden_forms(path, rule: str) -> None:  # type: ignore[no-untyped-def]
    """No contract uses a form that an advisory or the house forbids."""
    code = strip_functions(strip_words(path.read_text()), ALLOWED.get(rule, ()))
    found = [line for line in code.splitlines() if FORBIDDEN[rule].search(line)]
    assert EXCEPTIONS.get((path.stem, rule), 0) == len(found), found


def test_raw_calls_fail_softly() -> None:
    """The only raw calls are those that must not revert with the called contract; Owners has no rights."""
    for path in (path for path in SOURCES if path.stem != "Owners"):
        code = strip_words(path.read_text())
        assert code.count("raw_call(") == code.count("revert_on_failure=False")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_door_is_described(path) -> None:  # type: ignore[no-untyped-def]
    """Each external function has a notice, and each contract says how it stops."""
    text = path.read_text()
    assert "How does this stop:" in text
    for body in re.split(r"^@external\n", text, flags=re.MULTILINE)[1:]:
        assert re.search(r'"""\n    @notice ', body.split("\n\n\n")[0]), body.splitlines()[0]


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_literals_survive_compilation(path, level: str) -> None:  # type: ignore[no-untyped-def]
    """Each large literal of a source is in its bytecode, as the literal-shifting advisories ask to check."""
    code = compile_contract(path.stem, level)
    for literal in re.findall(r"= (\d{4,})\b", strip_words(path.read_text())):
        value = int(literal)
        # The optimiser may write `x > c` as `x >= c + 1`, constants multiplied, a power of two as a shift.
        near = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (value, value + 1)]
        is_there = any(raw in code.creation_code for raw in near)
        assert is_there or value & (value - 1) == 0 or literal in ("3600", "1000000000"), literal


def test_the_compiler_refuses_what_it_cannot_trust() -> None:
    """Foreign bytes, unknown levels, unknown contracts and wrong sources are errors with a reason."""
    with pytest.raises(ContractError, match="neither a line feed"):
        compile_source("Odd", "# \u2028\n")
    with pytest.raises(ContractError, match="optimisation level"):
        compile_contract("Vault", "venom")
    with pytest.raises(ContractError, match="no contract named"):
        compile_contract("../Vault")
    with pytest.raises(ContractError, match="does not compile"):
        compile_source("Broken", "@external\ndef f() -> uint256:\n    return self.missing\n")
