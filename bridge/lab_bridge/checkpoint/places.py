"""Where things lie: pairs of patterns, a path in some format's tree and the address of the same thing in all formats.

A pattern is written with slashes: `optimizer/slots/<name>/<slot>`. Segments are a key, `[3]` for an entry of a list,
`@key` for an attribute, `<x>` for any key (with text before it: a prefix), `<x...>` for whatever follows. Both
patterns of a place have the same captures, which makes it readable in either direction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from lab_bridge.checkpoint.tree import Leaf, Step, TreePath

__all__ = ["Codec", "Place", "address", "pattern"]

_SEGMENT = re.compile(r"(?P<prefix>[^<]*)<(?P<name>\w+)(?P<rest>\.\.\.)?>$")


@attrs.frozen
class Constant:
    """Exactly this key."""

    step: Step


@attrs.frozen
class Capture:
    """Any key; where there is a prefix, any text that starts with it, captured without it."""

    name: str
    prefix: str = ""


@attrs.frozen
class Rest:
    """All further steps, also none."""

    name: str


Segment = Constant | Capture | Rest
Captured = dict[str, TreePath]


@attrs.frozen
class Codec:
    """How a captured key, or the leaf itself, reads in the file and in the address; told with what else is captured."""

    decode: Callable[[Any, Mapping[str, TreePath]], Any]
    encode: Callable[[Any, Mapping[str, TreePath]], Any]


def _pattern(text: str) -> tuple[Segment, ...]:
    return tuple(_segment(part) for part in text.split("/"))


@attrs.frozen
class Place:
    """One kind of thing: its path in the file, its address, and how names and values are translated between them."""

    path: tuple[Segment, ...] = attrs.field(converter=_pattern)
    address: tuple[Segment, ...] = attrs.field(converter=_pattern)
    keys: Mapping[str, Codec] = attrs.field(factory=dict)
    leaf: Codec | None = None

    def read(self, path: TreePath, leaf: Leaf) -> tuple[TreePath, Leaf] | None:
        """The address and value of a leaf in the file; None where the leaf is something else."""
        captured = match(self.path, path)
        if captured is None:
            return None
        named = {**captured, **{key: _decoded(codec, key, captured) for key, codec in self.keys.items()}}
        return fill(self.address, named), leaf if self.leaf is None else self.leaf.decode(leaf, captured)

    def write(self, where: TreePath, leaf: Leaf) -> tuple[TreePath, Leaf] | None:
        """The path and value in the file of what has the address `where`; None where this is no place for it."""
        captured = match(self.address, where)
        if captured is None:
            return None
        filed = {
            **captured,
            **{
                key: (Step(codec.encode(captured[key][0].key, captured), captured[key][0].kind),)
                for key, codec in self.keys.items()
            },
        }
        return fill(self.path, filed), leaf if self.leaf is None else self.leaf.encode(leaf, captured)


def _decoded(codec: Codec, key: str, captured: Captured) -> TreePath:
    step = captured[key][0]
    return (Step(codec.decode(step.key, captured), step.kind),)


def pattern(text: str) -> tuple[Segment, ...]:
    """A pattern from its notation."""
    return _pattern(text)


def address(text: str) -> TreePath:
    """A pattern without captures, as a path."""
    return fill(pattern(text), {})


def _segment(text: str) -> Segment:
    found = _SEGMENT.match(text)
    if found:
        return Rest(found["name"]) if found["rest"] else Capture(found["name"], found["prefix"])
    if text.startswith("["):
        return Constant(Step(int(text[1:-1]), "list"))
    if text.startswith("@"):
        return Constant(Step(text[1:], "attribute"))
    return Constant(Step(text))


def match(segments: tuple[Segment, ...], path: TreePath) -> Captured | None:
    """What the captures stand for, where the whole path matches."""
    captured: Captured = {}
    for at, segment in enumerate(segments):
        if isinstance(segment, Rest):
            captured[segment.name] = path[at:]
            return captured
        if at >= len(path):
            return None
        step = path[at]
        if isinstance(segment, Constant):
            if segment.step != step:
                return None
        elif segment.prefix:
            if not isinstance(step.key, str) or not step.key.startswith(segment.prefix):
                return None
            captured[segment.name] = (Step(step.key.removeprefix(segment.prefix), step.kind),)
        elif step.kind == "attribute":
            return None
        else:
            captured[segment.name] = (step,)
    return captured if len(path) == len(segments) else None


def fill(segments: tuple[Segment, ...], captured: Mapping[str, TreePath]) -> TreePath:
    """The path with the captures put in."""
    filled: list[Step] = []
    for segment in segments:
        if isinstance(segment, Constant):
            filled.append(segment.step)
        elif isinstance(segment, Rest):
            filled.extend(captured[segment.name])
        else:
            (step,) = captured[segment.name]
            filled.append(Step(f"{segment.prefix}{step.key}", step.kind) if segment.prefix else step)
    return tuple(filled)
