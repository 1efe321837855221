"""Overrides by path: `model.blocks[2].heads=4`, the value in YAML; the result passes the same checks as any config."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from lab_bridge.config.nodes import Call, Entries, Items, Node, Once, children
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem, did_you_mean
from lab_bridge.config.reading.yaml import as_calls, read_yaml_text

__all__ = ["apply_override", "parse_path"]

_PART = re.compile(r"\.?([A-Za-z_]\w*)|\[(-?\d+)\]|\[('[^']*'|\"[^\"]*\")\]")


def apply_override(root: Call, text: str) -> Call:
    """`root` with one value replaced. Raises `ConfigErrors` for a path that leads nowhere."""
    place = Place(f"--set {text}")
    left, equals, right = text.partition("=")
    if not equals:
        raise ConfigErrors([Problem(place, "", "syntax", "expected PATH=VALUE, found no '='")])
    value = _placed(as_calls(read_yaml_text(right, str(place))), place)
    made = _replaced(root, parse_path(left.strip(), place), value, "", place)
    assert isinstance(made, Call)
    return made


def parse_path(path: str, place: Place) -> list[str | int]:
    """The names and indices of `model.blocks[2].heads`. Raises `ConfigErrors`."""
    parts: list[str | int] = []
    position = 0
    while position < len(path):
        match = _PART.match(path, position)
        if match is None or (not parts and match[1] is None):
            message = f"expected a path like model.blocks[2].heads, found {path!r}"
            raise ConfigErrors([Problem(place, "", "syntax", message)])
        parts.append(match[1] or (int(match[2]) if match[2] else match[3][1:-1]))
        position = match.end()
    if not parts:
        raise ConfigErrors([Problem(place, "", "syntax", "expected a path before '=', found nothing")])
    return parts


def _replaced(node: Node, parts: Sequence[str | int], value: Node, path: str, place: Place) -> Node:
    if not parts:
        # what stands in several places under one name is changed in this one only
        return value
    part, rest = parts[0], parts[1:]
    match node:
        case Call(_, arguments) if isinstance(part, str):
            if part not in arguments and rest:
                raise _nothing(path, part, list(arguments), place)
            inner = value if part not in arguments else _replaced(arguments[part], rest, value, f"{path}.{part}", place)
            return attrs.evolve(node, arguments={**arguments, part: inner})
        case Entries(entries):
            if part not in entries and rest:
                raise _nothing(path, part, list(map(str, entries)), place)
            inner = value if part not in entries else _replaced(entries[part], rest, value, f"{path}[{part!r}]", place)
            return attrs.evolve(node, entries={**entries, part: inner})
        case Items(items) if isinstance(part, int):
            if not -len(items) <= part < len(items):
                message = f"expected an index below {len(items)}, found {part}"
                raise ConfigErrors([Problem(place, path.lstrip("."), "unknown", message)])
            index = part % len(items)
            inner = _replaced(items[index], rest, value, f"{path}[{index}]", place)
            return attrs.evolve(node, items=(*items[:index], inner, *items[index + 1 :]))
        case Once(_, constructor) if part != "key":
            inside = rest if part == "constructor" else parts
            return attrs.evolve(node, constructor=_replaced(constructor, inside, value, path, place))
    found = [name.strip(".") for name, _ in children(node)]
    raise _nothing(path, part, found, place)


def _nothing(path: str, part: str | int, known: list[str], place: Place) -> ConfigErrors:
    where = path.lstrip(".") or "the config"
    shown = f"[{part}]" if isinstance(part, int) else part
    hint = did_you_mean(str(part), known) or "it holds no parts"
    return ConfigErrors([Problem(place, "", "unknown", f"expected a part of {where} that is set, found {shown}", hint)])


def _placed(node: Node, place: Place) -> Node:
    """A value of an override, all of it at the place of the override."""
    match node:
        case Items(items):
            return attrs.evolve(node, items=tuple(_placed(item, place) for item in items), place=place)
        case Entries(entries):
            return attrs.evolve(node, entries={key: _placed(one, place) for key, one in entries.items()}, place=place)
        case Call(_, arguments):
            inner = {key: _placed(one, place) for key, one in arguments.items()}
            return attrs.evolve(node, arguments=inner, place=place)
    return attrs.evolve(node, place=place)
