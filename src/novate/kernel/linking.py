"""Kernels are compiled function by function, and optimised and made machine code once, as whole programs.

Numba optimises every function together with all that it calls, so what lies n calls below costs n times, and
makes machine code of each. Here a function that another kernel calls stays as Numba's front end left it; the
one that Python calls is linked with everything below it. docs/decisions/0013-one-program-per-entry.md has
the figures.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from numba import types
from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager


class CodegenWithoutEnvironment:
    """A code generator for code that is not loaded yet, so that there is no place for an environment."""

    def __init__(self, codegen: Any) -> None:
        self.codegen = codegen

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing: code that is loaded from the disk cache has no environment either."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.codegen, name)


class CalleeLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of one function before it is linked with what it calls: neither optimised nor made machine
    code by itself.
    """

    @property
    def codegen(self) -> Any:
        """The code generator, for Numba to leave alone what only loaded code has."""
        return CodegenWithoutEnvironment(self._codegen)

    def finalize(self) -> None:
        """Keep the function as it is; whoever calls it links it. See `list_callees`."""
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is no machine code."""
        return 0


def list_callees(libraries: list[Any]) -> list[Any]:
    """Return libraries and all that they call, each once."""
    found: dict[int, Any] = {}
    waiting = list(reversed(libraries))
    while waiting:
        library = waiting.pop()
        if id(library) not in found:
            found[id(library)] = library
            if isinstance(library, CalleeLibrary):
                called: list[Any] = library._linking_libraries
                waiting.extend(reversed(called))
    return list(found.values())


class EntryLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of a function that Python calls, with all that it calls: optimised once, as one program."""

    _linking_libraries: list[Any]

    def finalize(self) -> None:
        """Link every callee, then optimise and load."""
        libraries = list_callees(self._linking_libraries)
        callees = [each for each in libraries if isinstance(each, CalleeLibrary)]
        for callee in callees:
            self._final_module.link_in(callee._final_module, preserve=True)
        for name in {function.name for callee in callees for function in callee.get_defined_functions()}:
            # Nobody else sees it, so what is inlined everywhere need not stay.
            self._final_module.get_function(name).linkage = "internal"
        self._linking_libraries = [each for each in libraries if not isinstance(each, CalleeLibrary)]
        super().finalize()

    def _optimize_final_module(self) -> None:
        # Numba runs a cheap pass first, to move reference counts together; kernels have none.
        manager, builder = self._codegen._module_pass_manager()
        with self._recorded_timings.record("Module passes", builder):
            manager.run(self._final_module, builder)


# What is left of Numba's pipeline for functions of integers, records and arrays: no closures, no overloads
# inlined as source, no literal loops, no parallel loops, nothing kept for inspection. Each pass that may
# change a function costs a new analysis of all its variables.
PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.GenericRewrites,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)


class CalleeCompiler(CompilerBase):  # type: ignore[misc]
    """Compiles a function for other kernels to call."""

    library_class: type[JITCodeLibrary] = CalleeLibrary

    def __init__(self, typing: Any, target: Any, library: Any, *rest: Any) -> None:
        super().__init__(typing, target, library or self.library_class(target.codegen(), "kernel"), *rest)
        self.state.library.enable_object_caching()

    def define_pipelines(self) -> list[PassManager]:
        """Return the one pipeline."""
        manager = PassManager("kernel")
        for each in PASSES:
            manager.add_pass(each, each.__name__)
        manager.finalize()
        return [manager]


class EntryCompiler(CalleeCompiler):
    """Compiles a function for Python to call."""

    library_class = EntryLibrary


class Kernel:
    """A compiled function. Python calls machine code, compiled (or read from the cache) at the first call;
    another kernel that calls it links the function itself.
    """

    def __init__(self, function: Callable[..., Any], entry: Any, callee: Any) -> None:
        self.entry = entry
        self.callee = callee
        self.py_func = function
        update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        """Run the machine code."""
        return self.entry(*args)

    @property
    def _numba_type_(self) -> Any:
        """What other kernels see."""
        return types.Dispatcher(self.callee)
