"""Which files are a project's tests: their loops train nothing that anyone migrates."""

from __future__ import annotations

from pathlib import PurePosixPath

__all__ = ["is_test"]

_FOLDERS = frozenset({"test", "tests", "unittest", "unittests", "unit_tests"})


def is_test(path: str) -> bool:
    """Whether a file is a test by its place or name. `test.py` alone is none: most call their evaluation so."""
    parts = PurePosixPath(path)
    named = parts.name == "conftest.py" or parts.stem.startswith("test_") or parts.stem.endswith("_test")
    return named or bool(_FOLDERS & {part.lower() for part in parts.parts[:-1]})
