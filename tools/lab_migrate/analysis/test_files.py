"""Which files are a project's tests: their loops train nothing that anyone migrates."""

from __future__ import annotations

from lab_migrate.analysis.sources import Module

__all__ = ["is_test"]

_FOLDERS = frozenset({"test", "tests", "unittest", "unittests", "unit_tests"})


def is_test(path: str, module: Module | None = None) -> bool:
    """Whether a file tests the project rather than being it; by its name alone, unless its text is at hand.

    `test.py` alone is none: most call their evaluation so. `add_test.py` that defines no test and imports no test
    library is a script like any other.
    """
    *folders, name = path.split("/")
    if _FOLDERS & {folder.lower() for folder in folders} or name == "conftest.py":
        return True
    named = name.startswith("test_") or name.endswith("_test.py")
    return named and (module is None or _tests_something(module))


def _tests_something(module: Module) -> bool:
    imported = {full.split(".")[0] for full in module.symbols.imports.values()}
    names = [function.name for function in module.symbols.functions] + [cls.name for cls in module.symbols.classes]
    return bool(imported & {"pytest", "unittest"}) or any(name.startswith(("test_", "Test")) for name in names)
