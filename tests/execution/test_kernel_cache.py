"""Compiled kernels are kept by what they were compiled from: an edited callee is never answered by stale
code.

Numba's own cache looks only at the file of the function that is called, which is why the house names its
folders.
"""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import novate.kernel
from novate.kernel import options

CALLEE = '''"""A callee."""
from novate.kernel import kernel


@kernel
def add_constant(x: int) -> int:
    return x + {constant}
'''
CALLER = '''"""A caller, in a file of its own."""
from novate.kernel import kernel
from novate.protocol.callee import add_constant


@kernel
def double(x: int) -> int:
    return 2 * add_constant(x)
'''
SCRIPT = """
from novate.kernel import find_cache_directory
from novate.{layer}.caller import double
print(double(10), find_cache_directory(double.py_func.__module__))
"""


class Package:
    """A small package of the real decorators, a callee in the law and callers in two layers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "source" / "novate"
        for layer in ("protocol", "execution", "verification"):
            (self.root / layer).mkdir(parents=True)
            (self.root / layer / "__init__.py").write_text("")
        (self.root / "__init__.py").write_text("")
        real = Path(novate.kernel.__file__).parent
        shutil.copytree(real, self.root / "kernel", ignore=shutil.ignore_patterns("__pycache__"))
        self.edit("protocol/callee.py", CALLEE.format(constant=1))
        for layer in ("execution", "verification"):
            self.edit(f"{layer}/caller.py", CALLER)

    def edit(self, name: str, text: str) -> None:
        """Write a file, with the same size and time as before where that is possible."""
        path = self.root / name
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))

    def run(self, layer: str, cache: str = "cache", **settings: str) -> tuple[int, str]:
        """Call the kernel in a new process; return its result and the folder it came from."""
        environment = (
            os.environ
            | settings
            | {
                "PYTHONPATH": str(self.root.parent),
                "NOVATE_CACHE_DIR": str(self.folder / cache),
                "NUMBA_DISABLE_JIT": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
            }
        )
        command = [sys.executable, "-c", SCRIPT.format(layer=layer)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        value, folder = done.stdout.split()
        return int(value), folder


def count_compiled(folder: str) -> int:
    return len(list(Path(folder).rglob("*.nbc")))


def test_an_edited_callee_gives_a_new_folder_and_a_new_result(tmp_path: Path) -> None:
    """Same size, same time, another constant in another module: the result is the new one."""
    package = Package(tmp_path)
    value, folder = package.run("execution")
    assert 22 == value
    compiled = count_compiled(folder)
    assert compiled > 0
    assert (value, folder) == package.run("execution")
    assert compiled == count_compiled(folder)
    package.edit("protocol/callee.py", CALLEE.format(constant=5))
    changed, other = package.run("execution")
    assert 30 == changed
    assert folder != other
    package.edit("protocol/callee.py", CALLEE.format(constant=1))
    assert (value, folder) == package.run("execution")


def test_a_layer_does_not_notice_its_neighbour(tmp_path: Path) -> None:
    """Editing verification recompiles nothing of execution; each layer sees its own edits."""
    package = Package(tmp_path)
    before = package.run("execution"), package.run("verification")
    package.edit("verification/caller.py", CALLER.replace("2 *", "3 *"))
    assert before[0] == package.run("execution")
    assert (33, before[1][1]) != package.run("verification")
    assert 33 == package.run("verification")[0]


def test_the_folder_is_the_one_asked_for(tmp_path: Path) -> None:
    """NOVATE_CACHE_DIR names the folder below which every kernel goes."""
    _, folder = Package(tmp_path).run("execution", "elsewhere")
    assert Path(folder).is_relative_to(tmp_path / "elsewhere" / "kernels")


@pytest.mark.parametrize(
    "setting",
    [{"NUMBA_OPT": "0"}, {"NUMBA_CPU_NAME": "generic"}, {"NUMBA_LOOP_VECTORIZE": "0"}],
    ids=lambda setting: next(iter(setting)),
)
def test_another_compiler_gives_a_new_folder(tmp_path: Path, setting: dict[str, str]) -> None:
    """What one level of optimisation or one processor made is not what another is given."""
    package = Package(tmp_path)
    value, folder = package.run("execution")
    again, other = package.run("execution", **setting)
    assert value == again
    assert folder != other


@pytest.mark.parametrize("name", ["numba", "llvmlite", "numpy"])
def test_another_version_gives_a_new_hash(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A new release of what compiles is asked to compile again."""
    before = options.hash_sources("execution")
    monkeypatch.setattr(importlib.import_module(name), "__version__", "0.0.0")
    assert before != options.hash_sources("execution")


def test_every_option_is_in_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option of the decorators that changes changes the hash."""
    before = options.hash_sources("execution")
    for name, value in options.OPTIONS.items():
        monkeypatch.setitem(options.OPTIONS, name, f"not {value}")
        assert before != options.hash_sources("execution")
        monkeypatch.setitem(options.OPTIONS, name, value)
    assert before == options.hash_sources("execution")
