"""What a config may say: the builders that it can name, their parameters, and which may stand where.

A `Schema` is plain data, read from builders' sources (`sources.builders`) or from a schema file
(`sources.schema_file`); its typed side, one attrs class a builder, is made on demand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import attrs
from gin.selector_map import SelectorMap

from lab_bridge.config.places import NOWHERE, Place
from lab_bridge.config.types import REQUIRED, parse_type

__all__ = ["ALWAYS", "INHERITED", "Builder", "Parameter", "Role", "Schema"]


@attrs.frozen
class Parameter:
    """One parameter of a builder; `type` is spelled as in a schema file (see `types.parse_type`).

    `default` is a plain value, a section's config, `REQUIRED`, or `OWN`, with its source in `shown`. `inferred` marks a
    type that was read off the default, since nobody annotated it. `doc` and `place` are for people.
    """

    name: str
    type: str = "Any"
    default: Any = REQUIRED
    inferred: bool = False
    shown: str = ""
    doc: str = attrs.field(default="", eq=False, repr=False)
    place: Place = attrs.field(default=NOWHERE, eq=False, repr=False)


@attrs.frozen
class Role:
    """What a parameter asks for, where that is no plain value: a class, a protocol or a callable.

    `source` is the import path of the class, protocol or alias; `bases` the roles that it is a kind of. A protocol
    lists its `methods`; a callable has an `arity`. What is called with plain values says in `takes` which: `int`, …,
    `other` for an object, empty where nobody says.
    """

    name: str
    source: str
    bases: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    arity: int | None = None
    takes: tuple[str, ...] = ()
    doc: str = ""


#: When a builder's code runs that of its base: whenever it is built, with what it passes itself.
ALWAYS = ("", "always")
#: The same, and what it was given is passed on.
INHERITED = ("", "inherited")


@attrs.frozen
class Builder:
    """A class or function that configs name.

    `target` is its import path, `selector` its full name in gin. `stands_for` lists the roles and builders in whose
    place it may be put. `supplied` are parameters that its caller passes, so that no config can; where it may be
    `called_anyhow`, through a `Callable[..., B]`, its caller may pass more of those that the config leaves out.
    `open` builders take further keyword arguments. `function` marks what is no class, `untyped_result` a function
    whose return nobody annotated: it may stand anywhere. A `section` is a group of settings that a config spells as
    a plain mapping; it builds nothing. `builds` is the import path of what a config class of a schema module stands
    for. `calls` are builders that its own code calls, with the parameters it passes; `guards` says of some of them
    when: a parameter of the builder and whether it is then `given`, `absent` or `plain`, no object that was built
    before; of its base `ALWAYS` or `INHERITED`. `methods` are those of a class and of its bases, as far as their
    sources are known.
    """

    name: str
    target: str
    selector: str
    parameters: tuple[Parameter, ...] = ()
    stands_for: tuple[str, ...] = ()
    supplied: tuple[str, ...] = ()
    open: bool = False
    untyped_result: bool = False
    function: bool = False
    section: bool = False
    called_anyhow: bool = False
    builds: str = ""
    calls: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, eq=False)
    guards: Mapping[str, tuple[str, str]] = attrs.field(factory=dict, eq=False, repr=False)
    methods: frozenset[str] = attrs.field(default=frozenset(), eq=False, repr=False)
    doc: str = ""
    place: Place = attrs.field(default=NOWHERE, eq=False)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


@attrs.frozen(slots=False, eq=False)
class Schema:
    """Builders and roles by name, and the attrs classes of their configs.

    `classes` holds those that exist already (a schema module's own); others are made when they are asked for.
    """

    builders: Mapping[str, Builder]
    roles: Mapping[str, Role]
    constants: Mapping[str, Any] = attrs.field(factory=dict)
    classes: dict[str, type] = attrs.field(factory=dict)
    #: Import paths that lead to a builder beside its own: `legacy_lab.blocks.Conv` for `legacy_lab.blocks.conv.Conv`.
    aliases: Mapping[str, str] = attrs.field(factory=dict)

    @cached_property
    def _by_selector(self) -> Any:
        found = SelectorMap()
        for builder in self.builders.values():
            found[builder.selector] = builder
        return found

    @cached_property
    def _by_target(self) -> dict[str, Builder]:
        return {builder.target: builder for builder in self.builders.values()}

    @cached_property
    def _by_class(self) -> dict[type, Builder]:
        return {}

    def selected(self, selector: str) -> list[Builder]:
        """The builders that gin would find by a selector, which may leave out leading modules."""
        return list(self._by_selector.get_all_matches(selector))

    def at(self, path: str) -> Builder | None:
        """The builder at an import path, which may be a re-export in a package above it, or a name that is unique."""
        path = self.aliases.get(path, path)
        if path in self._by_target:
            return self._by_target[path]
        package, _, name = path.rpartition(".")
        fitting = [
            builder
            for target, builder in self._by_target.items()
            if target.rpartition(".")[2] == name and (not package or target.startswith(f"{package}."))
        ]
        return fitting[0] if len(fitting) == 1 else None

    def accepts(self, wanted: str, builder: Builder) -> bool:
        """Whether a builder may stand where the role or builder `wanted` is asked for.

        A function may return something more special than it says: `spectral`, a `Module`, gives back the `Model` that
        it was given.
        """
        if wanted == builder.name or builder.untyped_result or wanted in self._closure(builder.stands_for):
            return True
        special = wanted in self.builders and not self.builders[wanted].function
        return builder.function and special and bool({*builder.stands_for} & self._closure([wanted]))

    def standing_for(self, wanted: str) -> list[Builder]:
        """All builders that may stand for a role or builder."""
        return [builder for builder in self.builders.values() if self.accepts(wanted, builder)]

    def type_of(self, parameter: Parameter) -> Any:
        """The type of a parameter, made of the classes of this schema."""
        return parse_type(parameter.type, self.class_named)

    def class_named(self, name: str) -> type | None:
        """The attrs class of a builder's config, or the class of a role; None for an unknown name."""
        if name not in self.classes:
            if name in self.roles:
                bases = tuple(filter(None, (self.class_named(base) for base in self.roles[name].bases)))
                self.classes[name] = _role_class(self.roles[name], bases or (object,))
            elif name in self.builders:
                self.classes[name] = self._made(self.builders[name])
            else:
                return None
        made = self.classes[name]
        if name in self.builders:
            self._by_class[made] = self.builders[name]
        return made

    def builder_of(self, config: object) -> Builder | None:
        """The builder whose config an object is."""
        found = self._by_class.get(type(config))
        if found is None:
            for name in self.builders:
                self.class_named(name)
            found = self._by_class.get(type(config))
        return found

    def name_of(self, class_: object) -> str | None:
        """The role's or builder's name behind a class of this schema."""
        name = getattr(class_, "__name__", "")
        return name if self.classes.get(name) is class_ else None

    def joined(self, *others: Schema) -> Schema:
        """This schema and others; where two have a builder of one name, the later counts."""
        schemas = [self, *others]
        replaced = {name for other in others for name in (*other.builders, *other.roles)}
        return Schema(
            {name: builder for schema in schemas for name, builder in schema.builders.items()},
            {name: role for schema in schemas for name, role in schema.roles.items()},
            {name: value for schema in schemas for name, value in schema.constants.items()},
            {name: class_ for name, class_ in self.classes.items() if name not in replaced}
            | {name: class_ for other in others for name, class_ in other.classes.items()},
            {path: target for schema in schemas for path, target in schema.aliases.items()},
        )

    def _closure(self, names: Iterable[str]) -> set[str]:
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            if name in self.roles:
                waiting += self.roles[name].bases
            elif name in self.builders:
                waiting += self.builders[name].stands_for
        return found

    def _made(self, builder: Builder) -> type:
        bases = _independent([self.class_named(name) for name in builder.stands_for if name in self.roles])
        key = (builder.target, repr((builder.name, builder.parameters, builder.supplied, builder.open)), bases)
        if key not in _MADE:
            _MADE[key] = _builder_class(builder, bases or (object,))
        return _MADE[key]


#: Classes made so far, so that two schemas that agree on a builder give equal configs.
_MADE: dict[Any, type] = {}


def _role_class(role: Role, bases: tuple[type, ...]) -> type:
    key = (role.source, role.name, bases)
    if key not in _MADE:
        _MADE[key] = type(role.name, bases, {"__doc__": role.doc})
    return _MADE[key]


def _builder_class(builder: Builder, bases: tuple[type, ...]) -> type:
    fields: dict[str, Any] = {
        parameter.name: _field(parameter) for parameter in builder.parameters if parameter.name not in builder.supplied
    }  # fmt: skip
    if builder.open:
        fields["more"] = attrs.field(factory=dict, kw_only=True)
    made: type = attrs.make_class(builder.name, fields, bases=bases, frozen=True, slots=False)
    made.__doc__ = builder.doc
    return made


def _field(parameter: Parameter) -> Any:
    if parameter.default is REQUIRED:
        return attrs.field(kw_only=True)
    if isinstance(parameter.default, list | dict):
        value = parameter.default
        return attrs.field(factory=lambda: type(value)(value), kw_only=True)
    return attrs.field(default=parameter.default, kw_only=True)


def _independent(classes: Iterable[type | None]) -> tuple[type, ...]:
    """Without those that another one derives from already, so that Python can order the bases."""
    listed = [class_ for class_ in classes if class_ is not None]
    return tuple(
        class_ for class_ in listed if not any(other is not class_ and issubclass(other, class_) for other in listed)
    )
