"""A checkpoint's contents as a table for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import torch

from lab_bridge.checkpoint.contents import SECTIONS, Contents, is_buffer, section
from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.tree import Leaf, TreePath, show

__all__ = ["Row", "rows", "totals"]


@attrs.frozen
class Row:
    """One entry: what it is (weight, buffer, or its section), its name, and its value or shape and dtype."""

    kind: str
    name: str
    told: str
    elements: int = 0
    nbytes: int = 0
    tied_to: str = ""


def rows(contents: Contents) -> list[Row]:
    """Every entry; long runs of numbers in one row."""
    first: dict[tuple[object, ...], str] = {}
    made = []
    for where, leaf in _summarised(contents):
        name = show(where[1:]) if len(where) > 1 else section(where)
        kind = section(where)
        if not isinstance(leaf, StoredTensor):
            made.append(Row(kind, name, _told(leaf)))
            continue
        if kind == "weights":
            kind = "buffer" if is_buffer(name, leaf) else "weight"
        tied = first.setdefault(leaf.place, name) if leaf.count else name
        shape = "x".join(map(str, leaf.shape)) or "scalar"
        dtype = str(leaf.dtype).removeprefix("torch.")
        told = f"{shape} {dtype}"
        if leaf.count == 1:
            told += f" = {leaf.load().reshape(()).item()}"
        made.append(Row(kind, name, told, leaf.count, leaf.nbytes, tied if tied != name else ""))
    order = {name: at for at, name in enumerate(("weight", "buffer", *SECTIONS))}
    return sorted(made, key=lambda row: order[row.kind])


def totals(made: list[Row]) -> dict[str, dict[str, int]]:
    """Per kind: entries, elements, bytes; tied tensors count once."""
    counted: dict[str, dict[str, int]] = {}
    for row in made:
        total = counted.setdefault(row.kind, {"entries": 0, "elements": 0, "bytes": 0})
        total["entries"] += 1
        if not row.tied_to:
            total["elements"] += row.elements
            total["bytes"] += row.nbytes
    return counted


def _summarised(contents: Contents) -> Iterator[tuple[TreePath, Leaf]]:
    runs: dict[TreePath, list[Leaf]] = {}
    for where, leaf in contents.entries.items():
        if where[-1].kind in ("list", "tuple") and isinstance(leaf, int | float):
            runs.setdefault(where[:-1], []).append(leaf)
    done: set[TreePath] = set()
    for where, leaf in contents.entries.items():
        run = runs.get(where[:-1], []) if where[-1].kind in ("list", "tuple") else []
        if len(run) > 8 and isinstance(leaf, int | float):
            if where[:-1] not in done:
                done.add(where[:-1])
                yield where[:-1], _Run(len(run))
        else:
            yield where, leaf


@attrs.frozen
class _Run:
    count: int


def _told(leaf: Any) -> str:
    if isinstance(leaf, _Run):
        return f"{leaf.count} numbers"
    if isinstance(leaf, torch.Tensor):
        return f"{tuple(leaf.shape)}"
    if isinstance(leaf, str | bytes) and len(leaf) > 60:
        unit = "characters" if isinstance(leaf, str) else "bytes"
        start = leaf[:40] if isinstance(leaf, str) else leaf[:20]
        return f"{start!r}… ({len(leaf)} {unit})"
    return repr(leaf)
