"""A schema for configs that have none: classes for their sections, from values and defaults, and for their builders.

What a builder takes is read off its signature. A section's keys are those of the declared defaults, where a framework
has them (yacs, argparse), or else those that the configs give: what all give is required, the rest is left out or not.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from lab_bridge.config.nodes import UNRESOLVED, Call, Entries, Items, Leaf, Node, children
from lab_bridge.config.places import NOWHERE, Place
from lab_bridge.config.problems import ConfigErrors, Problem, Severity
from lab_bridge.config.schema import Builder, Parameter, Schema
from lab_bridge.config.sources.builders import schema_of
from lab_bridge.config.sources.modules import Sources
from lab_bridge.config.sources.registered import Registered
from lab_bridge.config.sources.tags import Meant
from lab_bridge.config.spelled import either, kind_of, parts_of, text_first, with_own, without_roles
from lab_bridge.config.structure import structure
from lab_bridge.config.types import OWN, REQUIRED, parse_type

__all__ = ["Inferred", "infer"]

ROOT = "Config"
#: Parameters that whoever builds passes itself, by convention.
_PASSED = frozenset(
    {"params", "optimizer", "model", "module", "net", "network", "dataset", "data_source", "sampler", "data_loader",
     "dataloader", "train_dataloader", "parent", "runner", "trainer", "device", "logger", "criterion", "loss_fn",
     "metric_ftns", "config", "generator"}
)  # fmt: skip
#: Parameters that take the builder dict itself.
_WHOLE = frozenset({"opt", "cfg", "config", "conf", "args", "hparams", "hps", "hp", "h", "params", "options", "opts"})


@attrs.frozen
class Inferred:
    """The schema, the trees in its terms, and what is to be said."""

    schema: Schema
    roots: tuple[Call, ...]
    problems: tuple[Problem, ...]
    #: Where sections leave out what only the program knows.
    left_out: frozenset[Place] = frozenset()


def infer(
    roots: Sequence[Entries],
    sources: Sources,
    meant: Mapping[str, Meant],
    declared: Entries | None = None,
    docs: Mapping[str, str] | None = None,
    options: Sequence[Parameter] | None = None,
) -> Inferred:
    """The schema of configs, whose builder dicts are calls already.

    `declared` is the tree of their defaults, `docs` what the source says of them, by path. `options` are the root's
    parameters where they are declared one by one.
    """
    maker = _Maker(sources, meant, docs or {})
    given = [maker.take(root) for root in roots]
    default = maker.take(declared) if declared is not None else None
    assert default is None or isinstance(default, Entries), "defaults are a mapping"
    entries = [maker.named(root) for root in given if isinstance(root, Entries)]
    if options is not None:
        maker.builders[ROOT] = Builder(ROOT, "", ROOT, tuple(options), section=True)
    else:
        maker.section("", entries, default, ROOT)
    schema = Schema(maker.builders, {}, aliases=maker.aliases)
    left_out: set[Place] = set()
    for tree in [*entries, *([default] if default is not None else [])]:
        _leave_out(tree, left_out)
    kept = [_leave_out(root, left_out) for root in entries]
    calls = [Call(ROOT, {str(k): v for k, v in root.entries.items()}, place=root.place) for root in kept]
    return Inferred(schema, tuple(calls), tuple(maker.problems), frozenset(left_out))


def _leave_out(section: Entries, places: set[Place]) -> Entries:
    """A section without what could not be read: it has a place in the schema, and no value.

    In a builder's arguments and in lists it stays, as an error: without it another thing would be built.
    """
    made: dict[Any, Node] = {}
    for key, value in section.entries.items():
        if isinstance(value, Leaf) and value.value is UNRESOLVED:
            places.add(value.place)
        else:
            made[key] = _leave_out(value, places) if isinstance(value, Entries) else value
    return attrs.evolve(section, entries=made)


class _Maker:
    def __init__(self, sources: Sources, meant: Mapping[str, Meant], docs: Mapping[str, str]) -> None:
        self._sources, self._meant, self._docs = sources, meant, docs
        self._raw: dict[str, Builder] = {}
        self._calls: dict[str, list[Call]] = {}
        self._names: dict[str, str] = {}
        self.builders: dict[str, Builder] = {}
        self.aliases: dict[str, str] = {}
        self.problems: list[Problem] = []

    def take(self, root: Node) -> Node:
        """Read what the calls of a tree build; the tree with every argument under its name."""
        targets = dict.fromkeys(node.name for node in _calls(root) if node.name not in self._raw)
        things = [
            Registered(self._meant[path].target if path in self._meant else path, path, line=0) for path in targets
        ]
        for builder in schema_of(self._sources, things).builders.values():
            self._raw[builder.selector] = builder
        made = self._with_names(root)
        for call in _calls(made):
            self._calls.setdefault(call.name, []).append(call)
        return made

    def named(self, root: Entries) -> Entries:
        """A root with the keys that can be a class's."""
        for key, value in root.entries.items():
            if not _is_field(key):
                message = f"expected a key that can be a name, found {key!r}"
                self.problems.append(Problem(value.place, "", "key", message, "rename it, or put it into a section"))
        return attrs.evolve(root, entries={key: value for key, value in root.entries.items() if _is_field(key)})

    def section(self, path: str, groups: Sequence[Entries], declared: Entries | None, wanted: str = "") -> str:
        """The class of a section; returns its name."""
        known = groups if declared is None else [declared]
        keys = dict.fromkeys(str(key) for group in known for key in group.entries)
        parameters = tuple(self._key(path, key, groups, declared) for key in keys)
        place = declared.place if declared is not None else groups[0].place if groups else NOWHERE
        key = path.rpartition(".")[2]
        # in a class, a key of the same name would hide the class from whoever reads its annotation
        base = wanted or (f"{_camel(key)}Section" if _camel(key) == key else _camel(key))
        name, above = base, path.rpartition(".")[0]
        while name in self.builders and not self._is_same(self.builders[name], parameters):
            outer = _camel(above.rpartition(".")[2])
            name = f"{outer}{name}" if outer else f"{name}_"
            above = above.rpartition(".")[0]
        if name not in self.builders:
            doc = f"`{path}`." if path else "The whole config."
            self.builders[name] = Builder(name, "", name, parameters, section=True, doc=doc, place=place)
        return name

    def _is_same(self, builder: Builder, parameters: tuple[Parameter, ...]) -> bool:
        return builder.section and builder.parameters == parameters

    def _key(self, path: str, key: str, groups: Sequence[Entries], declared: Entries | None) -> Parameter:
        here = f"{path}.{key}".lstrip(".")
        given = [group.entries[key] for group in groups if key in group.entries]
        default = declared.entries.get(key) if declared is not None else None
        spelled = self._spelled(here, given, default)
        doc = self._docs.get(here, "")
        place = default.place if default is not None else given[0].place if given else NOWHERE
        if default is None or any(node for node in _calls(default)):
            required = (default is not None or len(given) == len(groups)) and not any(map(_is_none, given))
            type_ = spelled if required else either(spelled, "Own")
            return Parameter(key, type_, REQUIRED if required else OWN, doc=doc, place=place)
        if any(leaf.value is UNRESOLVED for leaf in _leaves(default)):
            return Parameter(key, either(spelled, "Own"), OWN, doc=doc, place=place)
        return Parameter(key, spelled, self._value(default, spelled), doc=doc, place=place)

    def _value(self, node: Node, spelled: str) -> Any:
        schema = Schema(self.builders, {})
        return structure(node, parse_type(spelled, schema.class_named), schema)

    def _spelled(self, path: str, given: Sequence[Node], default: Node | None = None) -> str:
        """The type of what stands at a path. Where a default is declared, its kind is the type."""
        nodes = list(given)
        if default is not None:
            open_default = isinstance(default, Leaf) and (default.value is None or default.value is UNRESOLVED)
            empty = isinstance(default, Items) and not default.items
            # a declared kind is not widened by what a config gives: that is the config's mistake
            nodes = [default, *(node for node in given if open_default or (empty and isinstance(node, Items)))]
            if isinstance(default, Entries):
                nodes += [node for node in given if isinstance(node, Entries)]
        leaves = [node.value for node in nodes if isinstance(node, Leaf) and node.value is not UNRESOLVED]
        kinds = dict.fromkeys(type(value).__name__ for value in leaves)
        if "float" in kinds:
            kinds.pop("int", None)
        parts = [kind for kind in kinds if kind != "NoneType"]
        items = [node for node in nodes if isinstance(node, Items)]
        if items:
            inner = [item for node in items for item in node.items]
            parts.append(f"Sequence[{self._spelled(f'{path}[]', inner)}]")
        groups = [node for node in nodes if isinstance(node, Entries)]
        if groups:
            parts.append(self._group(path, groups, default if isinstance(default, Entries) else None))
        for call in (node for node in nodes if isinstance(node, Call)):
            name = self.builder(call.name)
            parts.append(f"Factory[{name}]" if call.deferred else name)
            if not self._shown(name):
                kinds.setdefault(
                    "Own", None
                )  # LightningCLI takes class_path for a class without fields in a union only
        if not parts or (default is not None and parts == [] and leaves == [None]):
            return "Any"
        last = [name for name, kind in (("None", "NoneType"), ("Own", "Own")) if kind in kinds]
        return " | ".join(dict.fromkeys([*text_first(parts), *last]))

    def _shown(self, name: str) -> bool:
        """Whether a config can give a builder anything; said of one that is still being read, too."""
        builder = self.builders.get(name)
        return builder is None or any(p.name not in builder.supplied for p in builder.parameters)

    def _group(self, path: str, groups: list[Entries], declared: Entries | None) -> str:
        keys = [key for group in groups for key in group.entries]
        if keys and all(_is_field(key) for key in keys) and (declared is None or declared.entries):
            given = groups[1:] if declared is not None else groups
            return self.section(path.replace("[]", ""), given, declared)
        values = [value for group in groups for value in group.entries.values()]
        kinds = {type(key).__name__ for key in keys} or {"str"}
        key_type = kinds.pop() if len(kinds) == 1 else "Any"
        return f"Mapping[{key_type}, {self._spelled(f'{path}[]', values) if values else 'Any'}]"

    def builder(self, path: str) -> str:
        """The config class of a builder; returns its name."""
        if path in self._names:
            return self._names[path]
        raw = self._raw[path]
        name = raw.name
        while name in self.builders or name in self._names.values():
            name += "_"
        self._names[path] = name
        calls = self._calls.get(path, [])
        parameters, supplied = self._parameters(raw, calls)
        self.builders[name] = Builder(
            name, path, path, parameters, supplied=supplied, function=raw.function, doc=raw.doc, place=raw.place
        )
        self.aliases[raw.target] = path
        return name

    def _parameters(self, raw: Builder, calls: list[Call]) -> tuple[tuple[Parameter, ...], tuple[str, ...]]:
        given: dict[str, list[Node]] = {}
        for call in calls:
            for key, value in call.arguments.items():
                given.setdefault(key, []).append(value)
        deferred = any(call.deferred for call in calls)
        known = {parameter.name for parameter in raw.parameters}
        whole = next((p.name for p in raw.parameters[:1] if p.name in _WHOLE and p.name not in given), None)
        takes_whole = whole is not None and bool(set(given) - known) and not raw.open
        made, supplied = [], []
        for parameter in raw.parameters:
            values = given.get(parameter.name, [])
            # a function is called with the data that it works on
            is_passed = deferred or takes_whole or raw.function or parameter.name in _PASSED | _WHOLE
            if parameter.default is REQUIRED and not values and is_passed:
                supplied.append(parameter.name)
            made.append(self._parameter(raw, parameter, values))
        if raw.open or takes_whole:
            for key in given:
                if key not in known and _is_field(key):
                    spelled = self._spelled(f"{raw.name}.{key}", given[key])
                    made.append(Parameter(key, either(spelled, "Own"), OWN, place=given[key][0].place))
        return tuple(made), tuple(supplied)

    def _parameter(self, raw: Builder, parameter: Parameter, values: list[Node]) -> Parameter:
        declared = without_roles(parameter.type)
        place = raw.place
        if not values:
            return attrs.evolve(parameter, type=with_own(declared, parameter.default), place=place)
        spelled = self._spelled(f"{raw.name}.{parameter.name}", values)
        if declared == "Any":
            made = spelled if parameter.default in (REQUIRED, OWN) else either(spelled, kind_of(parameter.default))
        elif any(True for value in values for _ in _calls(value)):
            made = either(declared, spelled)
        else:
            wrong = [value for value in values if not self._fits(value, declared)]
            made = declared
            if wrong and not any(_is_confused(value, declared) for value in wrong):
                made = either(declared, spelled)
                if not parameter.inferred:
                    message = (
                        f"{raw.name}.{parameter.name} is annotated {declared}, and given {spelled}: both are taken"
                    )
                    self.problems.append(Problem(wrong[0].place, "", "wider", message, "", Severity.FINDING))
        if parameter.default is REQUIRED and any(map(_is_none, values)):
            parameter = attrs.evolve(parameter, default=OWN)
        return attrs.evolve(parameter, type=with_own(made, parameter.default), place=place)

    def _fits(self, value: Node, spelled: str) -> bool:
        try:
            self._value(value, spelled)
        except ConfigErrors:
            return False
        return True

    def _with_names(self, node: Node) -> Node:
        """The tree with positional arguments under the names that the builders' signatures give them."""
        match node:
            case Items(items):
                return attrs.evolve(node, items=tuple(self._with_names(item) for item in items))
            case Entries(entries):
                return attrs.evolve(node, entries={key: self._with_names(value) for key, value in entries.items()})
            case Call(name, arguments):
                parameters = self._raw[name].parameters
                made: dict[str, Node] = {}
                for key, value in arguments.items():
                    index = int(key[1:]) if key.startswith("*") else -1
                    if index >= len(parameters):
                        message = f"expected an argument by name, found number {index + 1} of {name}"
                        self.problems.append(Problem(value.place, "", "static", message, "write its name"))
                        continue
                    made[parameters[index].name if index >= 0 else key] = self._with_names(value)
                return attrs.evolve(node, arguments=made)
        return node


def _calls(node: Node) -> Iterator[Call]:
    if isinstance(node, Call):
        yield node
    for _, inner in children(node):
        yield from _calls(inner)


def _leaves(node: Node) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
    for _, inner in children(node):
        yield from _leaves(inner)


def _is_none(node: Node) -> bool:
    """Whether a value is None, which LightningCLI takes for none given where one is required, or is not known."""
    return isinstance(node, Leaf) and (node.value is None or node.value is UNRESOLVED)


def _is_field(key: object) -> bool:
    """Whether a key can be an attribute that keeps its name as an argument."""
    return isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) and not key.startswith("_")


def _camel(text: str) -> str:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", text)
    made = "".join(word.capitalize() for word in words)
    return f"_{made}" if made[:1].isdigit() else made or ("Section" if text else "")


def _is_confused(value: Node, spelled: str) -> bool:
    """Whether text stands for a number or truth value, or the other way round: a mistake, no wider type."""
    if not isinstance(value, Leaf) or value.value is None:
        return False
    parts = set(parts_of(spelled)) & {"int", "float", "bool", "str"}
    return bool(parts) and not (isinstance(value.value, int | float) and not isinstance(value.value, bool)
                                and parts & {"int", "float"})  # fmt: skip
