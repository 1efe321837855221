"""Merging trees, as frameworks do with a config and the one that it is based on."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

import attrs

from lab_bridge.config.nodes import Call, Entries, Items, Leaf, Node, literal
from lab_bridge.config.places import Place
from lab_bridge.config.python.values import Group, Value

__all__ = ["docs_of", "is_true", "merged", "text_of", "texts_of", "with_literals", "with_places"]


def merged(base: Entries, over: Entries, delete_key: str = "") -> Entries:
    """`base` with what `over` says; mappings are merged, but those that say `delete_key: true` replace."""
    entries = dict(base.entries)
    for key, value in over.entries.items():
        below = entries.get(key)
        if isinstance(value, Entries) and delete_key and is_true(value.entries.get(delete_key)):
            kept = {k: inner for k, inner in value.entries.items() if k != delete_key}
            entries[key] = attrs.evolve(value, entries=kept)
        elif isinstance(value, Entries) and isinstance(below, Entries):
            entries[key] = merged(below, value, delete_key)
        else:
            entries[key] = value
    return attrs.evolve(over, entries=entries)


def with_literals(node: Node) -> Node:
    """The tree with texts that are Python literals as those values: what yacs makes of a mapping's values."""
    match node:
        case Entries(entries):
            return attrs.evolve(node, entries={key: with_literals(value) for key, value in entries.items()})
        case Leaf(str() as text):
            try:
                return literal(ast.literal_eval(text), node.place)
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                return node
    return node


def with_places(node: Node, rename: Callable[[Place], Place]) -> Node:
    """The tree with every place renamed."""
    place = rename(node.place)
    match node:
        case Items(items):
            return attrs.evolve(node, items=tuple(with_places(item, rename) for item in items), place=place)
        case Entries(entries):
            inner = {key: with_places(value, rename) for key, value in entries.items()}
            return attrs.evolve(node, entries=inner, place=place)
        case Call(_, arguments):
            given = {key: with_places(value, rename) for key, value in arguments.items()}
            return attrs.evolve(node, arguments=given, place=place)
    return attrs.evolve(node, place=place)


def docs_of(value: Value, path: str = "") -> Mapping[str, str]:
    """What comments say of the settings in a group, by path."""
    found: dict[str, str] = {}
    if isinstance(value, Group):
        for key, inner in value.entries.items():
            here = f"{path}.{key}".lstrip(".")
            if value.docs.get(key):
                found[here] = value.docs[key]
            found |= docs_of(inner, here)
    return found


def text_of(node: Node | None) -> str | None:
    """The text of a leaf that is one."""
    return node.value if isinstance(node, Leaf) and isinstance(node.value, str) else None


def texts_of(node: Node | None) -> list[str]:
    """A text, or each of a list of texts."""
    if isinstance(node, Items):
        return [text for item in node.items for text in texts_of(item)]
    text = text_of(node)
    return [text] if text is not None else []


def is_true(node: Node | None) -> bool:
    """Whether a leaf is `True`."""
    return isinstance(node, Leaf) and node.value is True
