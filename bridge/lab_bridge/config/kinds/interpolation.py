"""OmegaConf's `${model.width}` and `${..width}`: replaced where they name a value of the same config."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from lab_bridge.config.nodes import Call, Entries, Items, Leaf, Node
from lab_bridge.config.problems import Problem, Severity

__all__ = ["interpolated"]

_INTERPOLATION = re.compile(r"^\$\{([^${}:]+)\}$")


def interpolated(root: Entries, problems: list[Problem]) -> Entries:
    """The tree with values in place of what names them; what only the program knows stays, with a finding."""
    made = _interpolated(root, root, (), problems, ())
    assert isinstance(made, Entries), "a mapping stays one"
    return made


def _interpolated(
    node: Node, root: Entries, path: tuple[str | int, ...], problems: list[Problem], above: tuple[str, ...]
) -> Node:
    match node:
        case Entries(entries):
            inner = {key: _interpolated(one, root, (*path, str(key)), problems, above) for key, one in entries.items()}
            return attrs.evolve(node, entries=inner)
        case Items(items):
            made = (_interpolated(one, root, (*path, index), problems, above) for index, one in enumerate(items))
            return attrs.evolve(node, items=tuple(made))
        case Call(_, arguments):
            given = {key: _interpolated(one, root, (*path, key), problems, above) for key, one in arguments.items()}
            return attrs.evolve(node, arguments=given)
        case Leaf(str() as text) if "${" in text:
            match = _INTERPOLATION.match(text)
            found = _at(root, path, match[1]) if match is not None else None
            shown = ".".join(map(str, path))
            if found is None or text in above:
                message = f"{text!r} is kept as text: what it stands for is known when the program runs"
                problems.append(Problem(node.place, shown, "interpolation", message, "", Severity.FINDING))
                return node
            # found from where it stands, so that what it refers to in turn is, too
            where, value = found
            made_of = _interpolated(value, root, where, problems, (*above, text))
            return attrs.evolve(made_of, place=node.place)
    return node


def _at(root: Entries, path: Sequence[str | int], name: str) -> tuple[tuple[str | int, ...], Node] | None:
    dots = len(name) - len(name.lstrip("."))
    parts: list[str | int] = list(path[: len(path) - dots]) if dots else []
    parts += [int(part) if part.isdigit() else part for part in re.split(r"[.\[\]]+", name[dots:]) if part]
    node: Node = root
    for part in parts:
        if isinstance(node, Entries):
            found = node.entries.get(part, node.entries.get(str(part)))
        elif isinstance(node, Call):
            found = node.arguments.get(str(part))
        else:
            found = (
                node.items[part]
                if isinstance(node, Items) and isinstance(part, int) and part < len(node.items)
                else None
            )
        if found is None:
            return None
        node = found
    return tuple(parts), node
