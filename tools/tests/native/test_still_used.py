"""Level L3: a class that leaves its file while the project still uses it is refused, where that stands."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

HOOK = """\
import gin
from legacy_lab.train.hooks import Hook


@gin.configurable
class Mine(Hook):
    def after_step(self, trainer, metrics):
        print(1)
"""
#: The project's files, and where the class is still used.
STILL_USED: dict[str, tuple[dict[str, str], str, int]] = {
    "its own file": (
        {"own.py": f"{HOOK}\n\ndef is_mine(hook):\n    return isinstance(hook, Mine)\n"}, "own.py", 12,
    ),
    "another file": ({"own.py": HOOK, "other.py": "from own import Mine, gin\n\nKIND = Mine\n"}, "other.py", 1),
    "the module": ({"own.py": HOOK, "other.py": "import own as o\n\nKIND = o.Mine\n"}, "other.py", 3),
    "what a file knows of itself": (
        {"own.py": HOOK, "other.py": "from own import Mine\n\nKINDS = dict(globals())\n"}, "other.py", 1,
    ),
    "names that are put together": (
        {"own.py": HOOK, "other.py": 'from own import Mine\n\n__all__ = ["Mine"] + ["Other"]\n'}, "other.py", 3,
    ),
    "all of the module": ({"own.py": HOOK, "other.py": "from own import *\n\nKIND = Mine\n"}, "other.py", 3),
    "a file beside it": (
        {"part/__init__.py": "", "part/own.py": HOOK, "part/other.py": "from .own import Mine\n\nKIND = Mine\n"},
        "part/other.py", 1,
    ),
    "the module beside it": (
        {
            "part/__init__.py": "", "part/own.py": HOOK,
            "part/other.py": "def kind():\n    from . import own\n\n    return own.Mine\n",
        },
        "part/other.py", 4,
    ),
    "a file further up": (
        {"part/__init__.py": "", "part/own.py": HOOK, "other.py": "import part.own\n\nKIND = part.own.Mine\n"},
        "other.py", 3,
    ),
    "a package that hands it on": (
        {"part/__init__.py": "from .own import Mine\n\nKINDS = (Mine,)\n", "part/own.py": HOOK}, "part/__init__.py", 1,
    ),
    "a package that defines it": (
        {"part/__init__.py": HOOK, "other.py": "from part import Mine\n\nKIND = Mine\n"}, "other.py", 1,
    ),
    "a package below src": (
        {
            "src/part/__init__.py": "", "src/part/own.py": HOOK,
            "src/part/other.py": "from part.own import Mine\n\nKIND = Mine\n",
        },
        "src/part/other.py", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STILL_USED)
def test_a_class_that_the_project_still_uses_is_refused(native: Any, name: str) -> None:
    """At the one place; nothing is written."""
    files, path, line = STILL_USED[name]
    root = native.project("Trainer.hooks = [@Mine()]")
    for other, text in files.items():
        (root / other).parent.mkdir(parents=True, exist_ok=True)
        (root / other).write_text(text)
    conversion = convert_project(root, "L3")
    (found,) = conversion.findings
    assert (found.code, found.path, found.line) == ("LM403", path, line), found
    assert not conversion.changes


def test_another_class_of_that_name_stays(native: Any) -> None:
    """As does what is asked of another module."""
    root = native.project("Trainer.hooks = [@Mine()]")
    (root / "own.py").write_text(HOOK)
    (root / "theirs.py").write_text("class Mine:\n    pass\n\n\nKIND = Mine\n")
    (root / "other.py").write_text("import theirs\nfrom theirs import Mine\n\nKINDS = Mine, theirs.Mine\n")
    assert not convert_project(root, "L3").needs_hand
