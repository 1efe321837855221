"""What differs between two configs in what they mean, whatever their formats; defaults count as if written."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence

import attrs

from lab_bridge.config.as_node import as_node
from lab_bridge.config.documents import Document
from lab_bridge.config.front import typed
from lab_bridge.config.nodes import Call, Entries, Items, Leaf, Node, Once, children
from lab_bridge.config.places import NOWHERE, Place

__all__ = ["Change", "differences", "located", "place_at", "short"]


@attrs.frozen
class Change:
    """One difference: `left` and `right` as a person reads them, None where that side has nothing.

    The path is that of the left side, or of the right where the left has nothing. A place is where the value is
    written, or, for a default, where its builder is.
    """

    path: str
    left: str | None
    right: str | None
    left_place: Place = NOWHERE
    right_place: Place = NOWHERE


def differences(left: Document, right: Document) -> list[Change]:
    """Every difference, in the order of the left side. Raises `ConfigErrors` where a side is no valid config."""
    return list(_compare(located(left), located(right), ""))


def located(document: Document) -> Node:
    """The document's whole tree, defaults included, with the place of everything that is written.

    Defaults have the place of their builder. Raises `ConfigErrors`.
    """
    return _located(as_node(typed(document), document.schema, defaults=True), document.entry)


def place_at(document: Document, path: str) -> Place:
    """Where the value at a path is written, or the nearest one around it."""
    node: Node = document.entry
    rest, place = f".{path}", node.place
    while rest:
        parts = [(part, inner) for part, inner in children(node) if rest.startswith(part)]
        if not parts:
            break
        part, node = max(parts, key=lambda pair: len(pair[0]))
        rest = rest[len(part) :]
        place = node.place if node.place != NOWHERE else place
    return place


def short(node: Node) -> str:
    """A value in one line."""
    match node:
        case Leaf(value):
            return json.dumps(value) if isinstance(value, str) else repr(value)
        case Items(items):
            return f"[{', '.join(map(short, items))}]"
        case Entries(entries):
            return f"{{{', '.join(f'{key!r}: {short(value)}' for key, value in entries.items())}}}"
        case Once(key, constructor):
            return f"shared {key!r}: {short(constructor)}"
    given = ", ".join(f"{name}={short(value)}" for name, value in node.arguments.items())
    return f"{node.name}({given})"


def _located(node: Node, written: Node | None) -> Node:
    place = written.place if written is not None else NOWHERE
    match node, written:
        case Items(items), Items(others) if len(items) == len(others):
            made = tuple(_located(item, other) for item, other in zip(items, others, strict=True))
            return attrs.evolve(node, items=made, place=place)
        case Entries(entries), Entries(others):
            found = {key: _located(value, others.get(key)) for key, value in entries.items()}
            return attrs.evolve(node, entries=found, place=place)
        case Call(_, arguments), Call(_, others):
            inner = {
                name: _located(value, others.get(name, Leaf(None, place=place))) for name, value in arguments.items()
            }
            return attrs.evolve(node, arguments=inner, place=place)
        case Once(_, constructor), Once(_, other):
            return attrs.evolve(node, constructor=_located(constructor, other), place=place)
    return attrs.evolve(node, place=place)


def _compare(left: Node, right: Node, path: str) -> Iterator[Change]:
    if left == right and short(left) == short(right):
        return
    match left, right:
        case Call(a), Call(b) if a == b:
            yield from _pairs(dict(children(left)), dict(children(right)), path)
        case Entries(), Entries():
            yield from _pairs(dict(children(left)), dict(children(right)), path)
        case Items(a), Items(b) if not all(isinstance(item, Leaf) for item in (*a, *b)):
            yield from _aligned(a, b, path)
        case Once(a, x), Once(b, y) if a == b:
            yield from _compare(x, y, f"{path}.constructor")
        case _:
            yield Change(path.lstrip("."), short(left), short(right), left.place, right.place)


def _pairs(left: dict[str, Node], right: dict[str, Node], path: str) -> Iterator[Change]:
    for part in dict.fromkeys([*left, *right]):
        here = f"{path}{part}".lstrip(".")
        if part not in right:
            yield Change(here, short(left[part]), None, left[part].place)
        elif part not in left:
            yield Change(here, None, short(right[part]), NOWHERE, right[part].place)
        else:
            yield from _compare(left[part], right[part], f"{path}{part}")


def _aligned(left: Sequence[Node], right: Sequence[Node], path: str) -> Iterator[Change]:
    """Items that were inserted or removed are that; the others are compared, those of one builder with each other."""
    whole = difflib.SequenceMatcher(
        None, [short(item) for item in left], [short(item) for item in right], autojunk=False
    )
    for kind, a, a_end, b, b_end in whole.get_opcodes():
        if kind == "equal":
            continue
        if a_end - a == b_end - b:
            pairs: list[tuple[int | None, int | None]] = list(zip(range(a, a_end), range(b, b_end), strict=True))
        else:
            pairs = list(_matched(left, right, range(a, a_end), range(b, b_end)))
        for i, j in pairs:
            if i is None and j is not None:
                yield Change(f"{path}[{j}]".lstrip("."), None, short(right[j]), NOWHERE, right[j].place)
            elif j is None and i is not None:
                yield Change(f"{path}[{i}]".lstrip("."), short(left[i]), None, left[i].place)
            elif i is not None and j is not None:
                yield from _compare(left[i], right[j], f"{path}[{i}]")


def _matched(
    left: Sequence[Node], right: Sequence[Node], a: range, b: range
) -> Iterator[tuple[int | None, int | None]]:
    def names(items: Sequence[Node], part: range) -> list[str]:
        return [items[i].name if isinstance(items[i], Call) else short(items[i]) for i in part]  # type: ignore[union-attr]

    matcher = difflib.SequenceMatcher(None, names(left, a), names(right, b), autojunk=False)
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        if kind == "equal":
            yield from zip(a[i:i_end], b[j:j_end], strict=True)
        else:
            yield from ((index, None) for index in a[i:i_end])
            yield from ((None, index) for index in b[j:j_end])
