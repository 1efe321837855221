"""Level L3: what a project's code makes itself, of Lab's data and of its own."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

OWN = '''"""Ours."""

import gin
import torch
from legacy_lab.data.digits import Digits
from legacy_lab.data.loader import Loader
from torch import Tensor


@gin.configurable
class {name}:
    """Digits, six numbers of each."""

    def __init__(self, split: str = "train") -> None:
        self.digits = Digits(split=split)

    def __len__(self) -> int:
        return 40

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """What a loader asks for."""
        found = self.digits.batch(indices)
        return {{"image": found["image"].flatten(1)[:, 10:16], "label": found["label"] % 3}}


@gin.configurable
class {name}Loader(Loader):
    """Each batch is moved a little."""

    def next_batch(self) -> dict[str, Tensor]:
        """From the global generator."""
        batch = super().next_batch()
        return {{**batch, "image": batch["image"] + 0.1 * torch.randn_like(batch["image"])}}
'''
CONFIG = (
    "train/Loader.dataset = @{name}()", "Trainer.loader = @{name}Loader", "{name}Loader.dataset = @{name}()",
    "{name}Loader.batch_size = 4", "Adam.accumulate = 2",
)  # fmt: skip


def test_data_that_are_built_on_labs_have_the_bits(native: Any) -> None:
    """A data set that asks one of Lab's, and a loader that derives from Lab's: both import them as plain code."""
    native.more["own_data.py"] = OWN.format(name="Sixes")
    with native.registered("own_data"):
        native.identical(*(line.format(name="Sixes") for line in CONFIG))
        used = native.module("own_data")
        assert used.__file__ == str(native.folder / "native" / "own_data.py")
        assert used.Digits is native.module("blobs.datasets").Digits
        assert used.SixesLoader.__mro__[1] is native.module("blobs.datasets").Loader


CALLS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "one of Lab's": ("Digits('train')", ("Digits.split = 'test'", "Spare.given = @Digits()"), ""),
    "one of Lab's, without a setting": ("Digits()", ("Digits.split = 'test'", "Spare.given = @Digits()"), "split"),
    "one of the project's": ("Specks(9)", ("Specks.seed = 4",), "seed"),
    "one of the project's in a scope": ("Specks(9)", ("one/Specks.seed = 4", "Trainer.hooks = [@one/Spare()]"), "seed"),
    "in a scope of something else": ("Specks(9)", ("test/Specks.size = 10",), ""),
    "what another argument gives": ("Specks(seed=1, size=9)", ("Specks.seed = 4",), ""),
}  # fmt: skip


#: What stands in line 8 of a file, what the config binds, and what is said, if anything.
PLACES: dict[str, tuple[str, str, str]] = {
    "a class that gin does not know": ("class More(Specks): pass", "Specks.seed = 4", "without seed, which gin"),
    "one that gives its base all": (
        "class More(Specks):\n    def __init__(self): super().__init__(9, seed=3)", "Specks.seed = 4", "",
    ),
    "a value": ("KINDS = {'specks': Specks}", "Specks.seed = 4", "without seed, which gin"),
    "a value of which nothing is bound": ("KINDS = {'specks': Specks}", "test/Specks.seed = 4", ""),
    "a scope of its own": (
        "def made():\n    with gin.config_scope('test'): return Specks(seed=1)", "test/Specks.size = 9", "without size",
    ),
    "kind": ("def told(x): return isinstance(x, Specks) or type(x) is Specks", "Specks.seed = 4", ""),
    "gin itself": ("STEPS = lambda: gin.query_parameter('Trainer.steps')", "", "calls gin.query_parameter"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_what_code_has_of_a_builder_is_seen_wherever_it_stands(native: Any, name: str) -> None:
    """At its line; what makes nothing is no reason."""
    text, bound, said = PLACES[name]
    root = native.project("Trainer.hooks = [@Spare()]", bound)
    (root / "own.py").write_text(
        "import gin\nfrom native_project import Specks\nfrom legacy_lab.train.hooks import Hook\n\n\n\n\n"
        f"{text}\n\n\n@gin.configurable\nclass Spare(Hook):\n    pass\n"
    )
    conversion = convert_project(root, "L3")
    found = [one for one in conversion.findings if one.path == "own.py"]
    assert bool(found) == bool(said) == (not conversion.changes), conversion.findings
    assert all(one.line in (8, 9) and said in one.message for one in found), found


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_gin_would_give_more_is_refused(native: Any, name: str) -> None:
    """At its line: the native training had the default, in silence."""
    call, given, lacking = CALLS[name]
    root = native.project("Trainer.hooks = [@Spare()]", *given)
    (root / "own.py").write_text(
        "import gin\nfrom native_project import Specks\nfrom legacy_lab.data.digits import Digits\n"
        "from legacy_lab.train.hooks import Hook\n\n\ndef made():\n"
        f"    return {call}\n\n\n@gin.configurable\nclass Spare(Hook):\n"
        "    def __init__(self, given=None):\n        self.given = given\n\n"
        "    def before_train(self, trainer):\n        made()\n"
    )
    conversion = convert_project(root, "L3")
    found = [one for one in conversion.findings if one.path == "own.py"]
    assert bool(found) == bool(lacking), conversion.findings
    for one in found:
        assert one.line == 8
        assert f"without {lacking}, which gin gives it" in one.message
    assert bool(conversion.changes) != bool(lacking)


#: Each line that is marked makes points of a class that it does not name, and lacks what the config binds.
INDIRECT = """\
import functools, gin, importlib, native_project, torch
from legacy_lab.train.hooks import Hook
KINDS = {}
def kept(kind):
    KINDS[kind.__name__] = kind
    return kind
class Mixed:
    @classmethod
    def fewer(cls): return cls(9)  # cls
    @classmethod
    def all_said(cls): return cls(9, seed=3)
    @classmethod
    def several(cls): return list(map(cls, [3, 4]))  # cls
    def again(self): return type(self)(9)  # type(self)
    def anew(self): return self.__class__(len(self))  # self.__class__
    def __repr__(self): return type(self).__name__ + f"{self.__class__}"
    def alike(self, other): return type(self) is type(other) or isinstance(other, type(self))
    @staticmethod
    def free(cls): return cls(9)
@kept  # Dots to @kept
@functools.total_ordering
@gin.configurable
class Dots(Mixed, native_project.Specks):
    def __init__(self, size=30, seed=0): super().__init__(size, seed=seed)
    def __lt__(self, other): return False
    def __new__(cls, *args, **kwargs): return super().__new__(cls)
@gin.configurable
class Others(native_project.Specks):
    def __init__(self, size=30, seed=0): super().__init__(size, seed=seed)
    @classmethod
    def fewer(cls): return cls(9)
def inside():
    import own as ours
    from own import Dots as Renamed
    return ours.Dots(9), Renamed(9)  # ours.Dots
def alike(other):
    print(type(other), type(other).__name__, other.__class__ is Others)
    return type(other)(9), other.__class__(9, 4)  # type(other)(…)
def by_name(kind):
    getattr(importlib.import_module("own"), kind)(9)  # Dots by getattr
    getattr(native_project, kind), getattr(torch, kind)
    return globals()[kind](9)  # Dots by globals
@gin.configurable
class Spare(Hook):
    pass
"""


def test_an_object_of_a_class_that_code_does_not_name_is_refused_too(native: Any) -> None:
    """`cls(…)`, `type(self)(…)`, a registry of the project's, a name that code makes: each lost gin's settings."""
    root = native.project("Trainer.hooks = [@Spare()]", "Dots.seed = 4", "train/Loader.dataset = @Dots()")
    (root / "own.py").write_text(INDIRECT)
    marked = {number: line.partition("  # ")[2] for number, line in enumerate(INDIRECT.splitlines(), 1)}
    found = [one for one in convert_project(root, "L3").findings if one.path == "own.py"]
    assert {one.line for one in found} == {number for number, mark in marked.items() if mark}
    assert all(marked[one.line] in one.message or "Renamed" in one.message for one in found), found
    assert all("without seed, which gin gives it by the config's Dots.seed" in one.message for one in found), found
