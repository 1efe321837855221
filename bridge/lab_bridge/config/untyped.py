"""Builders that a config hands over as they are, to be called later, where no type says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab_bridge.config.nodes import Call, Entries, Items, Node, Once, children
from lab_bridge.config.problems import Problem
from lab_bridge.config.structure import Deferred

__all__ = ["untyped_builders"]


def untyped_builders(node: Node, value: Any, path: str = "") -> Iterator[Problem]:
    """A problem for each, of a tree and of the typed config made of it: YAML has one form for both."""
    if isinstance(value, Deferred):
        name = node.name if isinstance(node, Call) else "it"
        yield Problem(
            node.place, path.lstrip("."), "lightning",
            f"expected {name} where a type says what it builds, found none: YAML would have it built at once",
            "annotate the parameter as a Callable[[], …] of what it builds",
        )  # fmt: skip
        value = value.config
    for part, inner in children(node):
        yield from untyped_builders(inner, _inside(node, value, part), f"{path}{part}")


def _inside(node: Node, value: Any, part: str) -> Any:
    match node:
        case Items(items):
            return value[[f"[{index}]" for index in range(len(items))].index(part)]
        case Entries(entries):
            return next(value[key] for key in entries if f"[{key!r}]" == part)
        case Once():
            return value.constructor
    return getattr(value, part.removeprefix("."), getattr(value, "more", {}).get(part.removeprefix(".")))
