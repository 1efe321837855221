"""A tree as YAML that LightningCLI reads: builders as `class_path` and `init_args`, macros as anchors."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import yaml

from lab_bridge.config.nodes import Call, Entries, Items, Leaf, Node, Once
from lab_bridge.config.reading.yaml import SHARED
from lab_bridge.config.schema import Schema
from lab_bridge.config.yaml_dialect import needs_quotes

__all__ = ["yaml_text"]

_MAP, _SEQ, _STR = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:str"
_WIDTH = 110
#: A list or mapping of plain values that is shorter than this stands in one line.
_INLINE = 90


def yaml_text(root: Mapping[str, Node], schema: Schema, header: str = "") -> str:
    """YAML text of a mapping of trees. A value that a macro or scope names in several places is anchored there."""
    writer = _Writer(schema)
    node = yaml.MappingNode(_MAP, [(_scalar(key), writer.node(value)) for key, value in root.items()], flow_style=False)

    class Dumper(yaml.SafeDumper):
        """Gives the anchors their own names."""

        def generate_anchor(self, node: yaml.Node) -> str:
            return writer.names.get(id(node)) or str(super().generate_anchor(node))

    text = yaml.serialize(node, Dumper=Dumper, width=_WIDTH, allow_unicode=True)
    assert isinstance(text, str)
    return "".join(f"# {line}\n" for line in header.splitlines()) + text


class _Writer:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._made: dict[str, tuple[Node, yaml.Node]] = {}
        self._keep: list[yaml.Node] = []
        self.names: dict[int, str] = {}
        self._numbers: dict[str, int] = {}

    def node(self, node: Node) -> yaml.Node:
        if node.anchor is None:
            return self._fresh(node)
        earlier = self._made.get(node.anchor)
        if earlier is not None and earlier[0] == node:
            return earlier[1]
        made = self._fresh(node)
        self._made[node.anchor] = (node, made)
        self._keep.append(made)
        self.names[id(made)] = self._unique(re.sub(r"[^0-9A-Za-z_-]", "_", node.anchor))
        return made

    def _unique(self, name: str) -> str:
        self._numbers[name] = self._numbers.get(name, 0) + 1
        return name if self._numbers[name] == 1 else f"{name}_{self._numbers[name]}"

    def _fresh(self, node: Node) -> yaml.Node:
        match node:
            case Leaf(value):
                return _scalar(value)
            case Items(items):
                made = [self.node(item) for item in items]
                return yaml.SequenceNode(_SEQ, made, flow_style=_short(made))
            case Entries(entries):
                pairs = [(_scalar(key), self.node(value)) for key, value in entries.items()]
                return yaml.MappingNode(_MAP, pairs, flow_style=_short([part for pair in pairs for part in pair]))
            case Once(key, constructor):
                return self._call(
                    f"{SHARED}{self._role(constructor)}", {"key": Leaf(key), "constructor": constructor}, {}
                )
        builder = self._schema.builders.get(node.name) or self._schema.at(node.name)
        if builder is not None and builder.section:
            return self._fresh(Entries(node.arguments))
        known = {parameter.name for parameter in builder.parameters} if builder is not None else set(node.arguments)
        plain = {name: value for name, value in node.arguments.items() if name in known}
        more = {name: value for name, value in node.arguments.items() if name not in known}
        return self._call(builder.target if builder is not None else node.name, plain, more)

    def _call(self, path: str, arguments: Mapping[str, Node], more: Mapping[str, Node]) -> yaml.Node:
        pairs: list[tuple[yaml.Node, yaml.Node]] = [(_scalar("class_path"), _scalar(path))]
        for key, given in (("init_args", arguments), ("dict_kwargs", more)):
            if given:
                inner = [(_scalar(name), self.node(value)) for name, value in given.items()]
                pairs.append((_scalar(key), yaml.MappingNode(_MAP, inner, flow_style=False)))
        return yaml.MappingNode(_MAP, pairs, flow_style=False)

    def _role(self, constructor: Node) -> str:
        builder = self._schema.builders.get(constructor.name) if isinstance(constructor, Call) else None
        return builder.stands_for[0] if builder is not None and builder.stands_for else "Module"


def _scalar(value: Any) -> yaml.ScalarNode:
    if isinstance(value, str):
        return yaml.ScalarNode(_STR, value, style="'" if needs_quotes(value) and value.isprintable() else None)
    represented = yaml.SafeDumper(io.StringIO()).represent_data(value)
    assert isinstance(represented, yaml.ScalarNode), f"{value!r} is no plain value"
    return represented


def _short(parts: list[yaml.Node]) -> bool:
    return all(isinstance(part, yaml.ScalarNode) for part in parts) and (
        sum(len(part.value) + 2 for part in parts if isinstance(part, yaml.ScalarNode)) < _INLINE
    )
