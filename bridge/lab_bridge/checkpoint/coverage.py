"""What became of every entry of a source, and where every leaf of a target comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import attrs

from lab_bridge.checkpoint.carried import KEY
from lab_bridge.checkpoint.tree import TreePath, show

__all__ = ["Coverage", "Fate"]


@attrs.frozen
class Fate:
    """One source leaf: `mapped` to a place of the target's format, `carried` beside it, `tied`, `implied` by the
    format, or `dropped`; the last two with a reason."""

    source: str
    what: str
    target: str = ""
    reason: str = ""


@attrs.frozen
class Coverage:
    """Every source leaf and its fate; every target leaf that no source leaf explains, with its reason."""

    fates: tuple[Fate, ...]
    added: Mapping[str, str] = attrs.field(factory=dict)

    def counts(self) -> dict[str, int]:
        """How many leaves of each fate."""
        return dict(Counter(fate.what for fate in self.fates))

    def dropped(self) -> tuple[Fate, ...]:
        """Those that did not come along."""
        return tuple(fate for fate in self.fates if fate.what == "dropped")


def placed(path: TreePath) -> str:
    """Whether a target path is a place of its format or lies beside."""
    return "carried" if path[0].key == KEY else "mapped"


def fate(source: TreePath, target: TreePath) -> Fate:
    """Of a leaf that came along."""
    return Fate(show(source), placed(target), show(target))
