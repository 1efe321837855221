"""What is said where a config does not fit its schema: expected, found, next step, and at which path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cattrs.errors import BaseValidationError
from cattrs.v import format_exception

from lab_bridge.config.nodes import UNRESOLVED, Call, Entries, Items, Leaf, Node, Once
from lab_bridge.config.places import Place
from lab_bridge.config.problems import Problem
from lab_bridge.config.schema import Schema
from lab_bridge.config.types import is_built, spell_type

__all__ = ["Wrong", "at", "hint_of_call", "hint_of_fitting", "problems_of", "scoped", "with_article", "wrong"]

#: The kind of an error about a value that the reader refused already.
_ECHO = "echo"


class Wrong(ValueError):  # noqa: N818
    """One mismatch, with its place."""

    def __init__(self, place: Place, kind: str, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.place, self.kind, self.message, self.next_step = place, kind, message, next_step


def wrong(node: Node, type_: Any, next_step: str = "") -> Wrong:
    """A value that is not of the type; said of no value that the reader has refused already."""
    if isinstance(node, Leaf) and node.value is UNRESOLVED:
        return Wrong(node.place, _ECHO, "")
    expected = spell_type(type_)
    if is_built(type_):
        expected = with_article(expected)
    return Wrong(node.place, "type", f"expected {expected}, found {_shown(node)}", next_step)


def hint_of_call(node: Node, type_: Any) -> str:
    """The next step where a builder stands for a plain value."""
    return f"give it as {spell_type(type_)}" if isinstance(node, Call) else ""


def hint_of_fitting(type_: Any, schema: Schema) -> str:
    """The next step where a builder of a class is wanted: those that there are."""
    name = schema.name_of(type_)
    fitting = sorted(builder.name for builder in schema.standing_for(name)) if name else []
    return f"name one of {', '.join(fitting[:12])}{', …' if len(fitting) > 12 else ''}" if fitting else ""


def _shown(node: Node) -> str:
    match node:
        case Leaf(value):
            return f"{value!r} ({type(value).__name__})" if value is not None else "None"
        case Items(items):
            return f"a list of {len(items)}"
        case Entries(entries):
            return f"a mapping of {len(entries)}"
        case Once(key):
            return f"the shared object {key!r}"
    return f"@{scoped(node)}{'' if node.deferred else '()'}"


def scoped(node: Call) -> str:
    """A builder as gin writes it, behind its scope."""
    return "/".join([*node.scope, node.name])


def with_article(name: str) -> str:
    """An English noun phrase of a class."""
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def at(error: Exception, part: str) -> Exception:
    """Note on an error the part of the path at which it happened."""
    error.__notes__ = [*getattr(error, "__notes__", ()), _Part(part)]
    return error


class _Part(str):
    """A note that is a part of a path."""


def problems_of(error: BaseException, path: str, place: Place) -> Iterator[Problem]:
    """All that went wrong inside an error of cattrs, each with its path."""
    parts = [note for note in getattr(error, "__notes__", ()) if isinstance(note, _Part)]
    path += "".join(parts[-1:])
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            yield from problems_of(inner, path, place)
    elif isinstance(error, Wrong):
        if error.kind == _ECHO:
            return
        yield Problem(error.place, path.lstrip("."), error.kind, error.message, error.next_step)
    else:
        yield Problem(place, path.lstrip("."), "type", format_exception(error, None))
