"""Compile the Vyper contracts in process and keep the result by content, in memory and in the cache folder.

The key covers source, compiler version and optimisation level. It refuses any optimiser that the compiler's
bug bounty leaves out.
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from novate.kernel import find_cache_root
from novate.settlement.poseidon2_code import assemble_creation, assemble_runtime, describe_abi

CONTRACT_FOLDER = Path(__file__).parent / "contracts"
OPTIMISATION_LEVELS = ("gas", "codesize", "none")
DEFAULT_LEVEL = "gas"
HASHER = "Poseidon2"


class CompiledContract(msgspec.Struct, frozen=True):
    """One compiled contract. `creation_code` is without constructor arguments."""

    name: str
    abi: list[dict[str, Any]]
    creation_code: bytes
    runtime_code: bytes


class ContractError(ValueError):
    """A contract that does not exist or does not compile; the message carries the compiler's own words."""


def _compile(name: str, source: str, level: str) -> CompiledContract:
    # Vyper takes about a second to import, and a cached contract does not need it.
    from vyper.compiler import compile_code
    from vyper.compiler.settings import OptimizationLevel, Settings
    from vyper.exceptions import VyperException

    settings = Settings(optimize=OptimizationLevel.from_string(level), evm_version="cancun")
    try:
        output = compile_code(
            source, output_formats=["abi", "bytecode", "bytecode_runtime"], settings=settings
        )
    except VyperException as error:
        raise ContractError(f"{name} does not compile: {error}") from error
    return CompiledContract(
        name,
        output["abi"],
        bytes.fromhex(output["bytecode"][2:]),
        bytes.fromhex(output["bytecode_runtime"][2:]),
    )


def _write_atomically(path: Path, data: bytes) -> None:
    """Replace a cache file so that a reader beside us sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)


@lru_cache(maxsize=64)
def compile_source(name: str, source: str, level: str = DEFAULT_LEVEL) -> CompiledContract:
    """Return a compiled contract from its source text; raise ContractError if it does not compile."""
    if level not in OPTIMISATION_LEVELS:
        raise ContractError(f"optimisation level {level!r} is not one of {', '.join(OPTIMISATION_LEVELS)}")
    if not all(byte == 0x0A or 0x20 <= byte <= 0x7E for byte in source.encode()):
        raise ContractError(f"{name} holds a byte that is neither a line feed nor printable ASCII")
    digest = hashlib.blake2b(f"vyper 0.4.3\n{level}\n{source}".encode(), digest_size=20).hexdigest()
    path = find_cache_root() / "contracts" / f"{name}-{digest}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=CompiledContract)
    except (FileNotFoundError, msgspec.DecodeError):
        # Nothing cached, or a cache that was damaged: both are mended by compiling.
        compiled = _compile(name, source, level)
    _write_atomically(path, msgspec.json.encode(compiled))
    return compiled


def read_source(name: str) -> str:
    """Return the source of one of our contracts: Vault, Settlement or TestUSD."""
    path = CONTRACT_FOLDER / f"{name}.vy"
    if not name.isidentifier() or not path.is_file():
        raise ContractError(f"there is no contract named {name!r}")
    return path.read_text(encoding="ascii")


def compile_contract(name: str, level: str = DEFAULT_LEVEL) -> CompiledContract:
    """Return one of our contracts, compiled, or assembled if it is the hasher."""
    if name == HASHER:
        return CompiledContract(name, describe_abi(), assemble_creation(), assemble_runtime())
    return compile_source(name, read_source(name), level)
