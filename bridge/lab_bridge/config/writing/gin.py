"""A tree as a gin config that means the same.

A builder that stands in one place, or in several under one name, is bound without a scope. Where there are several,
each has a scope of its own, named as in the file that the tree came from, or after where it stands. No binding holds
where it should not: an unscoped reference, which inherits a scope, is only written for builders that no scope binds.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Mapping

import attrs

from lab_bridge.config.nodes import Call, Entries, Items, Leaf, Node, Once, children
from lab_bridge.config.problems import ConfigErrors, Problem
from lab_bridge.config.schema import Builder, Schema
from lab_bridge.config.types import wants_factory

__all__ = ["gin_text"]

_WIDTH = 110


def gin_text(entries: Mapping[str, Call], schema: Schema, header: str = "") -> str:
    """gin bindings that make `entries`. Raises `ConfigErrors` for a value that gin has no literal for."""
    writer = _Writer(schema)
    named = {name: writer.named(call, name) for name, call in entries.items()}
    writer.plan(named)
    for call in named.values():
        writer.bind(call)
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    return comment + "\n\n".join("\n".join(group) for group in writer.groups() if group) + "\n"


@attrs.define(eq=False)
class _Group:
    """Calls of one builder that are one thing to whoever edits the config; `hints` suggest a scope's name."""

    call: Call
    hints: list[str]
    scope: str = ""
    written: bool = False


class _Writer:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._groups: dict[str, dict[tuple[str, int], _Group]] = {}
        self._anchored: dict[str, Call] = {}
        self._macros: dict[str, Node] = {}
        self._written: dict[str, list[str]] = {}
        self._problems: list[Problem] = []

    def named(self, node: Call, path: str) -> Call:
        """The call under its builder's name in the schema, and all inside it."""
        made = self._renamed(node, path)
        assert isinstance(made, Call)
        return made

    def plan(self, entries: Mapping[str, Call]) -> None:
        """Give the calls of every builder their scopes, and find the macros."""
        for name, call in entries.items():
            self._take(call, [name])
            for inner, hints in _uses(call, ""):
                self._take(inner, hints)
            self._find_macros(call, {})
        for groups in self._groups.values():
            if len(groups) > 1:
                _name_scopes(list(groups.values()))

    def bind(self, call: Call) -> str:
        """Write the bindings of a call once; returns the reference to it, without `@` and `()`."""
        group = self._groups[call.name][_key(call)]
        builder = self._schema.builders[call.name]
        reference = f"{group.scope}/{self._short(builder)}" if group.scope else self._short(builder)
        if group.written:
            return reference
        group.written = True
        lines = self._written.setdefault(reference, [])
        for name, value in call.arguments.items():
            parameter = builder.parameter(name)
            deferred = parameter is not None and wants_factory(self._schema.type_of(parameter))
            left = f"{reference}.{name} = "
            lines.append(left + _wrapped(self._value(value, deferred), len(left)))
        return reference

    def _take(self, call: Call, hints: list[str]) -> None:
        groups = self._groups.setdefault(call.name, {})
        groups.setdefault(_key(call), _Group(call, [])).hints += hints

    def groups(self) -> Iterator[list[str]]:
        """Macros, then the bindings of each reference, in the order of first use. Raises `ConfigErrors`."""
        if self._problems:
            raise ConfigErrors(self._problems)
        yield [line for name in self._macros for line in self._written.pop(f"%{name}", [])]
        yield from self._written.values()

    def _value(self, node: Node, deferred: bool, inside_macro: str | None = None) -> str:
        if node.anchor in self._macros and node.anchor != inside_macro and self._macros[node.anchor] == node:
            name = node.anchor
            if f"%{name}" not in self._written:
                left = f"{name} = "
                self._written[f"%{name}"] = [left + _wrapped(self._value(node, deferred, name), len(left))]
            return f"%{name}"
        match node:
            case Leaf(value):
                return self._literal(node, value)
            case Items(items):
                made = [self._value(item, deferred) for item in items]
                if node.is_tuple:
                    return f"({', '.join(made)}{',' if len(made) == 1 else ''})"
                return f"[{', '.join(made)}]"
            case Entries(entries):
                pairs = [f"{key!r}: {self._value(value, deferred)}" for key, value in entries.items()]
                return f"{{{', '.join(pairs)}}}"
            case Once(key, constructor):
                reference = f"{key}/gin.singleton" if key else "gin.singleton"
                if reference not in self._written:
                    self._written[reference] = []
                    self._written[reference] = [f"{reference}.constructor = {self._value(constructor, True)}"]
                return f"@{reference}()"
        later = deferred if node.deferred is None else node.deferred
        return f"@{self.bind(node)}{'' if later else '()'}"

    def _literal(self, node: Node, value: object) -> str:
        if isinstance(value, float) and not math.isfinite(value):
            if math.isnan(value):
                self._problems.append(Problem(node.place, "", "type", "expected a value that gin can say, found nan"))
            return "1e999" if value > 0 else "-1e999"
        return repr(value)

    def _short(self, builder: Builder) -> str:
        """The shortest selector that means this builder and no other."""
        parts = builder.selector.split(".")
        for count in range(1, len(parts) + 1):
            short = ".".join(parts[-count:])
            if len(self._schema.selected(short)) == 1:
                return short
        return builder.selector

    def _renamed(self, node: Node, path: str) -> Node:
        match node:
            case Items(items):
                return attrs.evolve(node, items=tuple(self._renamed(item, path) for item in items))
            case Entries(entries):
                return attrs.evolve(node, entries={key: self._renamed(item, path) for key, item in entries.items()})
            case Once(_, constructor):
                return attrs.evolve(node, constructor=self._renamed(constructor, path))
            case Call(name, arguments):
                builder = self._schema.builders.get(name) or self._schema.at(name)
                if builder is None:
                    problem = Problem(node.place, path, "unknown", f"expected a registered builder, found {name!r}")
                    raise ConfigErrors([problem])
                inner = {key: self._renamed(value, f"{path}.{key}") for key, value in arguments.items()}
                made = attrs.evolve(node, name=builder.name, arguments=inner)
                return self._one_of(made) if made.anchor else made
        return node

    def _one_of(self, call: Call) -> Call:
        """The call, under another anchor where the same one stood for something else before."""
        anchor, number = call.anchor or "", 2
        while self._anchored.setdefault(anchor, call) != call:
            anchor, number = f"{call.anchor}_{number}", number + 1
        return attrs.evolve(call, anchor=anchor)

    def _find_macros(self, node: Node, seen: dict[str, Node]) -> None:
        if node.anchor is not None and not isinstance(node, Call | Once) and re.fullmatch(r"[A-Za-z_]\w*", node.anchor):
            if seen.get(node.anchor) == node:
                self._macros.setdefault(node.anchor, node)
            seen.setdefault(node.anchor, node)
        for _, inner in children(node):
            self._find_macros(inner, seen)


def _key(call: Call) -> tuple[str, int]:
    """What tells calls of one builder apart: those without arguments are one, as are those under one anchor."""
    if not call.arguments:
        return "", 0
    return (call.anchor, 0) if call.anchor else ("", id(call))


def _uses(node: Node, hint: str) -> Iterator[tuple[Call, list[str]]]:
    """Every call inside a node, with names for it: its scope in gin, its anchor, its parameter and index."""
    for part, inner in children(node):
        name = _hint(part, hint)
        if isinstance(inner, Call):
            anchor = (inner.anchor or "").removesuffix(f"_{inner.name}")
            known = ["_".join(inner.scope), anchor if anchor != inner.name else "", name]
            yield inner, [hint for hint in known if re.fullmatch(r"[A-Za-z_]\w*", hint)]
        yield from _uses(inner, name)


def _hint(part: str, above: str) -> str:
    inner = re.sub(r"\W+", "_", part).strip("_")
    return f"{above}_{inner}" if above and (part.startswith("[") or above.count("_") < 4) else inner


def _name_scopes(groups: list[_Group]) -> None:
    """A scope for each group, different ones for different groups."""
    taken: set[str] = set()
    for group in groups:
        base = group.hints[0] if group.hints else "scope"
        name = next((hint for hint in group.hints if hint not in taken), base)
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        group.scope = name


def _wrapped(value: str, taken: int) -> str:
    if taken + len(value) <= _WIDTH or value[:1] not in "[({" or " " not in value:
        return value
    opening, inner, closing = value[0], value[1:-1], value[-1]
    if "'" in inner or '"' in inner:  # a line break inside text would change it
        return value
    lines = textwrap.wrap(inner, _WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    return "\n".join([opening, *(f"    {line}" for line in lines)]) + closing
