"""Modules that draw from a generator when they are imported, and were imported by Lightning before the program does.

rich draws 24 bits from Python's generator, once per process. A program that imports it later, itself or through
scikit-learn, is to draw them then: the modules are taken out of `sys.modules`, and an import of theirs runs them once
more, for what they draw, and gives those that are there already.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Collection
from types import ModuleType
from typing import Any

__all__ = ["draw_later"]

#: Packages that draw when they are imported.
DRAWING = ("rich",)

#: Who imports parts of them later, while it runs, for itself: not the program.
_NOT_THE_PROGRAM = ("lightning", *DRAWING)

#: Who imports for others.
_IMPORTS = ("importlib", "_frozen_importlib", __name__)


def draw_later(there: Collection[str]) -> None:
    """Let those that were imported since these modules were `there` draw when the program imports them."""
    names = [name for name in sys.modules if name not in there and name.partition(".")[0] in DRAWING]
    if names:
        sys.meta_path.insert(0, _Later({name: sys.modules.pop(name) for name in names}))


class _Later(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules that were taken out, and puts them back one by one."""

    def __init__(self, modules: dict[str, ModuleType]) -> None:
        self.modules = modules
        self.specs: dict[str, Any] = {name: module.__spec__ for name, module in modules.items()}
        self._runs = False

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """A spec that this object loads; None for other modules, and while one runs once more."""
        if self._runs or fullname not in self.modules:
            return None
        spec = importlib.util.spec_from_loader(fullname, self, origin=self.specs[fullname].origin)
        assert spec is not None
        spec.submodule_search_locations = self.specs[fullname].submodule_search_locations
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """The one that is there already."""
        return self.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Draw what importing it draws, if the program does; it and what it imports are back from here on."""
        name = module.__name__
        module.__spec__ = self.specs[name]
        if _importer() not in _NOT_THE_PROGRAM:
            self._runs = True
            try:
                again = importlib.util.module_from_spec(self.specs[name])
                sys.modules[name] = again
                self.specs[name].loader.exec_module(again)
            finally:
                self._runs = False
                self._put_back([one for one in self.modules if one in sys.modules])
        self._put_back([name])

    def _put_back(self, names: list[str]) -> None:
        for name in names:
            if (module := self.modules.pop(name, None)) is None:
                continue
            sys.modules[name] = module
            parent, _, child = name.rpartition(".")
            if parent in sys.modules:
                setattr(sys.modules[parent], child, module)
        if not self.modules and self in sys.meta_path:
            sys.meta_path.remove(self)


def _importer() -> str:
    """The top-level package of whoever imports."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_IMPORTS):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
