"""Level L3: what a package only hands on goes with the class that leaves its file."""

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
#: A project's files, and some of them as they are then; None where one stays as it is, "" where it goes.
HANDED_ON: dict[str, tuple[dict[str, str], dict[str, str | None]]] = {
    "a package": (
        {"part/__init__.py": "from .own import Mine\n", "part/own.py": HOOK},
        {"part/__init__.py": "\n", "part/own.py": ""},
    ),
    "a package that lists it": (
        {
            "part/__init__.py": '"""A part."""\n\nfrom part.own import Mine, Other\n\n__all__ = ["Mine", "Other"]\n',
            "part/own.py": f"{HOOK}\n\nclass Other:\n    pass\n",
        },
        {
            "part/__init__.py": '"""A part."""\n\nfrom part.own import Other\n\n__all__ = ["Other"]\n',
            "part/own.py": "class Other:\n    pass\n",
        },
    ),
    "a package of a package, by another name": (
        {
            "part/__init__.py": "from .hooks import Ours as Yours\n",
            "part/hooks/__init__.py": "from .own import Mine as Ours\n", "part/hooks/own.py": HOOK,
        },
        {"part/__init__.py": "\n", "part/hooks/__init__.py": "\n", "part/hooks/own.py": ""},
    ),
    "a module that keeps more is still imported": (
        {
            "part/__init__.py": "from .own import Mine\nfrom part.own import Mine as Ours\n",
            "part/own.py": f"{HOOK}\n\nSIZE = 3\n", "other.py": "import part\n\nSIZE = part.own.SIZE\n",
        },
        {"part/__init__.py": "from . import own\nimport part.own\n", "part/own.py": "SIZE = 3\n", "other.py": None},
    ),
    "its own file": ({"own.py": f'{HOOK}\n\nSIZE = 3\n__all__ = ("Mine", "SIZE")\n'}, {
        "own.py": 'SIZE = 3\n__all__ = ("SIZE",)\n',
    }),
    "a file that is imported for gin": (
        {"own.py": HOOK, "known.py": "import math\nfrom own import Mine  # noqa: F401\n\nPI = math.pi\n"},
        {"own.py": "", "known.py": "import math\n\nPI = math.pi\n"},
    ),
    "a module that is imported whole": (
        {"own.py": HOOK, "known.py": "import own\n"}, {"own.py": "\n", "known.py": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HANDED_ON)
def test_a_name_that_is_only_handed_on_goes(native: Any, name: str) -> None:
    """Out of imports and of `__all__`; the rest of the file stays as it is."""
    files, expected = HANDED_ON[name]
    root = native.project("Trainer.hooks = [@Mine()]")
    for other, text in files.items():
        (root / other).parent.mkdir(parents=True, exist_ok=True)
        (root / other).write_text(text)
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings
    changed = {change.path: change.after for change in conversion.changes}
    assert {path: changed.get(path) for path in expected} == expected
