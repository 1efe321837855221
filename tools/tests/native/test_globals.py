"""Level L3: variables of a file that a class leaves, and that change while it trains."""

from __future__ import annotations

from typing import Any

import pytest

HOOK = """
import gin
from legacy_lab.train.hooks import Hook

COUNT = 0


@gin.configurable
class Counting(Hook):
    total = 0

    def after_step(self, trainer, metrics):
        Counting.total += COUNT
"""
RESET = """

def reset():
    global COUNT
    COUNT = 0
"""
OPTIMIZER = """
import gin
from legacy_lab.optim.optimizer import Optimizer

COUNT = 0


@gin.configurable
class Slowing(Optimizer):
    def __init__(self, model, lr=0.1):
        super().__init__(model, lr)

    def update(self):
        global COUNT
        COUNT += 1
        for group in self.groups:
            for _, parameter in zip(group["names"], group["params"]):
                parameter.sub_(parameter.grad, alpha=group["lr"] / COUNT)
"""
HOOKED = "Trainer.hooks = [@Counting()]"
#: Files, and where a variable is given another value.
CHANGED: dict[str, tuple[str, dict[str, str], str, int]] = {
    "by the hook": (
        HOOKED,
        {"own.py": HOOK.replace("Counting.total += COUNT", "global COUNT\n        COUNT += 1")},
        "own.py",
        13,
    ),
    "by a function beside it": (HOOKED, {"own.py": HOOK + RESET}, "own.py", 17),
    "by another file": (
        HOOKED,
        {"own.py": HOOK, "other.py": "import own\n\n\ndef reset():\n    own.COUNT = 0\n"},
        "other.py",
        5,
    ),
    "by another file, by another name": (
        HOOKED,
        {"own.py": HOOK, "other.py": "import own as o\n\no.COUNT += 1\n"},
        "other.py",
        3,
    ),
    "by an optimizer": ("Trainer.optimizer = @Slowing", {"own.py": OPTIMIZER}, "own.py", 14),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_variable_that_changes_is_refused_where_it_does(native: Any, name: str) -> None:
    """A class that moved would look at its first value, or change one of its own, in silence."""
    binding, files, path, line = CHANGED[name]
    native.more.update(files)
    conversion = native.converted(binding)
    (found,) = conversion.findings
    assert (found.code, found.path, found.line) == ("LM405", path, line), found
    assert not conversion.changes


def test_a_variable_that_stays_is_imported(native: Any) -> None:
    """And a class may name itself."""
    native.more["own.py"] = HOOK
    conversion = native.converted(HOOKED)
    assert not conversion.needs_hand, conversion.findings
    (text,) = [change.after for change in conversion.changes if change.path.endswith("callbacks.py")]
    assert "from own import COUNT" in text
