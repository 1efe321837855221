"""Level L3: classes that need Lab and that nothing uses are left out, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab_migrate.convert import Conversion, convert_project

LIBRARY = '''
"""Hooks of all the lab's projects."""

import gin
import torch

from legacy_lab.optim.adam import Adam
from legacy_lab.train.hooks import Hook


class Base(Hook):
    def __init__(self, every=1):
        self.every = every


@gin.configurable
class Mine(Base):
    def after_step(self, trainer, metrics):
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.mul_(0.99)


@gin.configurable
class Theirs(Base):
    def after_save(self, trainer, path):
        trainer.optimizer.hyper["lr"] *= 0.5


@gin.configurable("slow")
def slow_adam(model, lr=1e-5):
    return Adam(model, lr=lr)


def unused_and_plain(value):
    return 2 * value
'''
MORE = '''
import gin

from library import Base, Mine


@gin.configurable
class Others(Base):
    """Of another file."""

    def after_step(self, trainer, metrics):
        print(trainer)


SIZE = 3
'''


def converted(native: Any, **files: str) -> Conversion:
    """With those files, and a hook."""
    root: Path = native.project("Trainer.hooks = [@Mine()]")
    for name, text in ({"library": LIBRARY, "more": MORE} | files).items():
        (root / f"{name}.py").write_text(text)
    return convert_project(root, "L3")


def test_what_nothing_uses_is_left_out_and_named(native: Any) -> None:
    """Its file keeps what needs no Lab."""
    conversion = converted(native)
    assert not conversion.needs_hand, [one.message for one in conversion.findings]
    said = [one for one in conversion.findings if "leaves out" in one.message]
    named = {(one.path, one.message.split()[2].rstrip(",")) for one in said}
    assert named == {("library.py", "Theirs"), ("library.py", "slow_adam"), ("more.py", "Others")}
    after = {one.path: one.after for one in conversion.changes}
    assert "legacy_lab" not in after["library.py"]
    assert "def unused_and_plain" in after["library.py"]
    assert "SIZE = 3" in after["more.py"]
    assert "Others" not in after["more.py"]


def test_a_training_without_it_has_the_bits(native: Any) -> None:
    """What was left out did nothing."""
    native.more["library.py"] = LIBRARY
    with native.registered("library"):
        native.identical("Trainer.hooks = [@Mine()]")


USED: dict[str, dict[str, str]] = {
    "by the project": {"other": "from library import Theirs\n\nKINDS = [Theirs]\n"},
    "by its own file": {"library": f"{LIBRARY}\n\nKINDS = [Theirs]\n"},
    "by a name that is put together": {"other": "import library\n\nKIND = getattr(library, 'Theirs')\n"},
    "by what looks around": {"library": f"{LIBRARY}\n\nKINDS = [one for one in vars().values()]\n"},
    "by what keeps a list": {
        "kept": "KEPT = []\n\n\ndef kept(cls):\n    KEPT.append(cls)\n    return cls\n",
        "library": LIBRARY.replace("@gin.configurable\nclass Theirs", "@kept\nclass Theirs").replace(
            "import gin\n", "import gin\nfrom kept import kept\n"
        ),
    },
    "by its base": {
        "kept": "class Kept:\n    def __init_subclass__(cls):\n        print(cls)\n",
        "library": LIBRARY.replace("class Theirs(Base)", "class Theirs(Base, Kept)").replace(
            "import gin\n", "import gin\nfrom kept import Kept\n"
        ),
    },
    "when it is defined": {"library": LIBRARY.replace("lr=1e-5", "lr=float(torch.rand(()))")},
    "by a class that stays": {"other": "import library\n\n\nclass Stays:\n    kind = library.Theirs\n"},
}


@pytest.mark.parametrize("name", USED)
def test_what_may_be_used_is_refused(native: Any, name: str) -> None:
    """Lab would stay behind; nothing is written."""
    conversion = converted(native, **USED[name])
    assert any(one.code == "LM403" for one in conversion.findings), conversion.findings
    assert not conversion.changes
