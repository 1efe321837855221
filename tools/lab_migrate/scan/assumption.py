"""What a detector of assumptions is, and where detectors are found.

A detector is a module in `assumptions/`. The first line of its docstring is the assumption, as a statement about the
code; the rest says why it matters. It has

    FAITHFUL   what becomes of it when the loop is outlined
    IDIOMATIC  what becomes of it in a LightningModule (optional)
    HAND       what a person must do (optional)

and one of

    find(file) -> Iterator[Evidence]          lines of a file that show it, wherever they stand
    find_in_loop(loop) -> Iterator[Evidence]  lines of a training loop and of what it reaches

The assumption is named after the file. Adding one adds a file and touches no other.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache

import attrs

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import SourceFile

__all__ = ["Detector", "all_detectors"]


@attrs.frozen(eq=False)
class Detector:
    """One detector, loaded from its file."""

    name: str
    title: str
    why: str
    faithful: str
    idiomatic: str
    hand: str
    find: Callable[[SourceFile], Iterator[Evidence]] | None = None
    find_in_loop: Callable[[LoopView], Iterator[Evidence]] | None = None


@cache
def all_detectors() -> tuple[Detector, ...]:
    """Every detector in `assumptions/`, in order of name."""
    from lab_migrate.scan import assumptions

    found = []
    for info in pkgutil.iter_modules(assumptions.__path__):
        module = importlib.import_module(f"{assumptions.__name__}.{info.name}")
        title, _, why = (module.__doc__ or "").strip().partition("\n")
        found.append(
            Detector(
                info.name.replace("_", " "),
                title,
                why.strip(),
                module.FAITHFUL,
                getattr(module, "IDIOMATIC", ""),
                getattr(module, "HAND", ""),
                getattr(module, "find", None),
                getattr(module, "find_in_loop", None),
            )
        )
    return tuple(sorted(found, key=lambda detector: detector.name))
