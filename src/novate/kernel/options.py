"""How kernels are compiled and where they are kept: every Numba option written out, and the disk cache.

An inner function inherits each option it leaves out from whichever caller compiles it first, so none is left
out here. The disk cache is keyed by a hash of the sources of the kernel's layer, of these options and of what
compiles them, because Numba's own cache does not notice an edited callee, a constant in another module or
another level of optimisation.
"""

import hashlib
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import numpy as np

PACKAGE_ROOT = Path(__file__).parent.parent
OPTIONS: dict[str, Any] = {
    "cache": True,
    "error_model": "python",
    "fastmath": False,
    "nogil": True,
    "boundscheck": False,
    "_nrt": False,
}


def list_compiler() -> list[str]:
    """Return what compiles: its versions, and every setting that changes what it makes."""
    names = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "CPU_NAME", "CPU_FEATURES", "BOUNDSCHECK")
    settings = [repr(getattr(numba.config, name, None)) for name in names]
    versions = [numba.__version__, llvmlite.__version__, np.__version__, sys.version]
    return [*versions, platform.machine(), llvmlite.binding.get_host_cpu_name(), *settings]


def hash_sources(layer: str) -> str:
    """Return a hex digest of every source that a kernel of a layer may depend on, and of the options above.

    A layer imports the law and itself only (the import rule), so editing one layer does not recompile
    another.
    """
    digest = hashlib.blake2b(repr((sorted(OPTIONS.items()), list_compiler())).encode(), digest_size=12)
    folders = {PACKAGE_ROOT / name for name in ("kernel", "protocol", layer)}
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        digest.update(str(path.relative_to(PACKAGE_ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def find_cache_root() -> Path:
    """Return the folder of compiled kernels: NOVATE_CACHE_DIR, or the user's cache folder."""
    chosen = os.environ.get("NOVATE_CACHE_DIR")
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "novate"


@cache
def find_cache_directory(module: str) -> Path:
    """Return where the compiled kernels of a module belong."""
    parts = module.split(".")
    if parts[0] == "novate":
        layer = parts[1] if len(parts) > 2 else "protocol"
        return find_cache_root() / "kernels" / f"{layer}-{hash_sources(layer)}"
    # A kernel outside the package, such as a benchmark's, may call any layer. What is kept of it names its
    # module, so a file that is imported under two names is kept twice.
    return find_cache_root() / "kernels" / f"outside-{hash_sources('')}" / module


JIT_ENABLED = not numba.config.DISABLE_JIT
