"""Level L3: what a project tells gin in statements of their own, one by one or in a loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab_migrate.convert import convert_project

OWN = '''"""Ours."""

import math

import gin
from legacy_lab.train.hooks import Hook


class Falling:
    """A schedule."""

    def __init__(self, lr, by=0.9):
        self.lr, self.by = lr, by

    def __call__(self, step):
        return {"lr": self.lr * math.pow(self.by, step)}


class Looking(Hook):
    """A hook."""

    def after_step(self, trainer, metrics):
        trainer.log({"falling": float(metrics["loss"])})


class Idle(Hook):
    """Another, which this config does not have."""


'''
FORMS = {
    "a loop": "for one in (Falling, Looking, Idle):\n    gin.configurable(one)\n",
    "a loop over a named list": "ALL = [Falling, Looking, Idle]\nfor one in ALL:\n    gin.configurable(one)\n",
    "a loop that binds them": "for one in [Looking, Falling]:\n    globals()[one.__name__] = gin.configurable(one)\n",
    "pairs": "for name, one in (('Falling', Falling), ('Looking', Looking)):\n    gin.configurable(name)(one)\n",
    "a dictionary": "for name, one in {'Falling': Falling, 'Looking': Looking}.items():\n"
    "    gin.external_configurable(one, name)\n",
    "one by one": "gin.configurable(Looking)\nFalling = gin.configurable(Falling)\n",
}
CONFIG = ("Trainer.hooks = [@Looking()]", "Adam.schedule = @Falling()", "Falling.lr = 0.1")
#: Those in which a hook that leaves the file is more than registered, or the file looks around: it is named.
MORE = {"a loop over a named list", "a loop that binds them", "pairs", "a dictionary"}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_registered_by_statements_is_found_and_leaves_them(native: Any, form: str) -> None:
    """The schedule stays in its file; the hook moves, and is registered no more."""
    root = native.project(*CONFIG)
    (root / "own.py").write_text(OWN + FORMS[form])
    conversion = convert_project(root, "L3")
    if form in MORE:
        assert {(one.code, one.path) for one in conversion.findings} == {("LM403", "own.py")}, conversion.findings
        return
    assert not conversion.needs_hand, conversion.findings
    (own,) = [one.after for one in conversion.changes if one.path == "own.py"]
    (callbacks,) = [one.after for one in conversion.changes if one.path == "blobs/callbacks.py"]
    assert "class Looking(L.Callback):" in callbacks
    assert "class Falling:" in own
    for gone in ("Looking", "Idle", "legacy_lab"):
        assert gone not in own, own
    compile(own, "own.py", "exec")


def test_what_a_name_is_registered_under_is_no_class(native: Any, tmp_path: Path) -> None:
    """`@gin.configurable(NAME)`: the text is nothing that a config could make."""
    root = native.project("Trainer.objective = @Ours()")
    (root / "own.py").write_text(
        "import gin\n\nNAME = 'Ours'\n\n\n@gin.configurable(NAME)\nclass Objective:\n"
        "    def __call__(self, model, batch):\n        return model(batch)\n"
    )
    conversion = convert_project(root, "L3")
    assert [one.message for one in conversion.findings if one.code == "LM405"], conversion.findings
