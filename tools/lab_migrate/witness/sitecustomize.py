"""Python runs this at start-up of a run that is verified: notes whether Lightning's loop was reached.

Imports nothing heavy, and runs a sitecustomize further down the path as if this were not there.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_FOLDER = os.path.dirname(os.path.abspath(__file__))
#: What every kind of converted training calls: outlined, rewritten, a swapped Trainer; or handed to Fabric.
_WITNESSES = {
    "lightning.pytorch.trainer.trainer": ("Trainer", "fit"),
    "lightning.fabric.fabric": ("Fabric", "backward"),
}


class _After(importlib.abc.MetaPathFinder):
    """Wraps the functions right after their modules have run."""

    def __init__(self) -> None:
        self.left = dict(_WITNESSES)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's ordinary spec with a loader that wraps afterwards; None for all else."""
        if fullname not in self.left:
            return None
        owner, name = self.left.pop(fullname)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            _wrap(getattr(module, owner), name)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _wrap(owner: Any, name: str) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def noted(*args: Any, **kwargs: Any) -> Any:
        setattr(owner, name, original)
        with open(os.environ["LAB_MIGRATE_WITNESS"], "a", encoding="utf-8") as file:
            file.write(f"{owner.__name__}.{name}\n")
        return original(*args, **kwargs)

    setattr(owner, name, noted)


def _run_the_next_sitecustomize() -> None:
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.getcwd()) != _FOLDER]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None and spec.origin != __file__:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get("LAB_MIGRATE_WITNESS"):
    _run_the_next_sitecustomize()
    sys.meta_path.insert(0, _After())
