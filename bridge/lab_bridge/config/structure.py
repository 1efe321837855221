"""From the tree of a config to typed attrs objects, by cattrs: strict, and every error at once.

Strict: no number from text, no whole number from a fraction, no truth value from a word; an unknown builder, an unknown
parameter and a missing one are errors; `@Conv` is not `@Conv()`. An int stays one where a float is asked for.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import BaseValidationError, ClassValidationError, IterableValidationError

from lab_bridge.config.mistakes import (
    Wrong,
    at,
    hint_of_call,
    hint_of_fitting,
    problems_of,
    scoped,
    with_article,
    wrong,
)
from lab_bridge.config.nodes import UNRESOLVED, Call, Entries, Items, Leaf, Node, Once
from lab_bridge.config.problems import ConfigErrors, did_you_mean
from lab_bridge.config.schema import Builder, Role, Schema
from lab_bridge.config.types import OWN, REQUIRED, VALUES, Own, factory_of, is_built, spell_type

__all__ = ["Listed", "Shared", "structure", "structure_entry"]


class Listed(tuple[Any, ...]):
    """What a config spells as a list: frozen here, a list to whom it is given."""

    __slots__ = ()


@attrs.frozen(kw_only=True)
class Shared:
    """An object that all who name `key` share: built once, by `constructor`."""

    key: str
    constructor: Any


@attrs.frozen(kw_only=True)
class Deferred:
    """A builder itself, where the parameter's type leaves open whether it or its product is meant."""

    config: Any


def structure_entry(call: Call, schema: Schema, path: str = "") -> Any:
    """The typed config of an entry point. Raises `ConfigErrors`."""
    builder = _resolved(call, schema)
    return structure(call, schema.class_named(builder.name), schema, path)


def structure(node: Node, type_: Any, schema: Schema, path: str = "") -> Any:
    """The typed value of a tree. Raises `ConfigErrors` with every error in it, each with its path and place."""
    try:
        return _converter(schema).structure(node, type_)
    except (BaseValidationError, Wrong) as error:
        raise ConfigErrors(problems_of(error, path, node.place)) from None


def _converter(schema: Schema) -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True)

    def is_config(type_: Any) -> bool:
        return isinstance(type_, type) and schema.name_of(type_) is not None

    def hooked(hook: Callable[[Any, Any, cattrs.Converter, Schema], Any]) -> Callable[[Any, Any], Any]:
        return lambda node, type_: hook(node, type_, converter, schema)

    def has(*origins: Any) -> Callable[[Any], bool]:
        return lambda type_: get_origin(type_) in origins

    # cattrs asks the hooks that were registered last first
    for plain in VALUES:
        converter.register_structure_hook(plain, hooked(_plain))
    converter.register_structure_hook_func(lambda t: t is None or t is type(None), hooked(_none))
    converter.register_structure_hook_func(lambda t: t is Any, hooked(_anything))
    converter.register_structure_hook_func(has(Literal), hooked(_literal))
    converter.register_structure_hook_func(has(Union, types.UnionType), hooked(_union))
    converter.register_structure_hook_func(has(Sequence), hooked(_sequence))
    converter.register_structure_hook_func(has(tuple), hooked(_tuple))
    converter.register_structure_hook_func(has(Mapping), hooked(_mapping))
    converter.register_structure_hook_func(has(Annotated), hooked(_factory))
    converter.register_structure_hook_func(is_config, hooked(_config))
    return converter


def _plain(node: Node, type_: type, _: cattrs.Converter, __: Schema) -> Any:
    value = node.value if isinstance(node, Leaf) else None
    fits = type(value) is type_ or (type_ is float and type(value) is int)
    if not isinstance(node, Leaf) or not fits:
        raise wrong(node, type_)
    return value


def _none(node: Node, type_: Any, _: cattrs.Converter, __: Schema) -> None:
    if not isinstance(node, Leaf) or node.value is not None:
        raise wrong(node, type_)


def _literal(node: Node, type_: Any, _: cattrs.Converter, __: Schema) -> Any:
    allowed = get_args(type_)
    for value in allowed:
        if isinstance(node, Leaf) and type(node.value) is type(value) and node.value == value:
            return value
    hint = did_you_mean(str(getattr(node, "value", "")), map(str, allowed))
    raise wrong(node, type_, hint if hint.startswith("did you") else "")


def _union(node: Node, type_: Any, converter: cattrs.Converter, schema: Schema) -> Any:
    """The part that a value's kind points to, so that its errors are about that part and no other."""
    parts = [part for part in get_args(type_) if part is not Own]
    fitting = [part for part in parts if _may_be(node, part, schema)]
    named = [part for part in fitting if isinstance(node, Call) and _is_named(node, part, schema)]
    fitting = named or fitting
    if not fitting:
        raise wrong(node, type_, hint_of_call(node, type_))
    if len(fitting) == 1:
        return converter.structure(node, fitting[0])
    failed: Exception | None = None
    for part in sorted(fitting, key=lambda part: isinstance(node, Leaf) and type(node.value) is not part):
        try:
            return converter.structure(node, part)
        except (BaseValidationError, Wrong) as error:
            deeper = isinstance(error, BaseValidationError)
            if failed is None or (deeper and not isinstance(failed, BaseValidationError)):
                failed = error
    assert failed is not None
    raise failed if isinstance(failed, BaseValidationError) else wrong(node, type_)


def _is_named(node: Call, type_: Any, schema: Schema) -> bool:
    """Whether the builder that a call names may stand for a type."""
    name = schema.name_of(type_)
    builder = schema.builders.get(node.name) or schema.at(node.name)
    return name is not None and builder is not None and schema.accepts(name, builder)


def _may_be(node: Node, type_: Any, schema: Schema) -> bool:
    """Whether the kind of a value (leaf, list, mapping, builder) is that of a type."""
    made = factory_of(type_)
    if type_ is Any:
        return True
    name = schema.name_of(type_)
    if name is not None and name in schema.builders and schema.builders[name].section:
        return isinstance(node, Entries) or (isinstance(node, Call) and node.name == name)
    if isinstance(node, Call | Once):
        called = made is not None or is_built(type_)
        return (called and get_origin(type_) is None) or made is not None
    if isinstance(node, Items):
        return get_origin(type_) in (Sequence, tuple)
    if isinstance(node, Entries):
        return get_origin(type_) is Mapping
    if get_origin(type_) is Literal:
        return True
    if node.value is None:
        return type_ is None or type_ is type(None)
    return type_ is type(node.value) or (type_ is float and type(node.value) is int)


def _sequence(node: Node, type_: Any, converter: cattrs.Converter, _: Schema) -> tuple[Any, ...]:
    if not isinstance(node, Items):
        raise wrong(node, type_)
    (item,) = get_args(type_)
    return _each(node, type_, [item] * len(node.items), converter)


def _tuple(node: Node, type_: Any, converter: cattrs.Converter, _: Schema) -> tuple[Any, ...]:
    inner = get_args(type_)
    if inner[-1:] == (Ellipsis,):
        inner = inner[:1] * len(node.items) if isinstance(node, Items) else inner
    if not isinstance(node, Items) or len(node.items) != len(inner):
        raise wrong(node, type_)
    return _each(node, type_, list(inner), converter)


def _each(node: Items, type_: Any, inner: list[Any], converter: cattrs.Converter) -> tuple[Any, ...]:
    made, failed = [], []
    for index, (item, item_type) in enumerate(zip(node.items, inner, strict=True)):
        try:
            made.append(converter.structure(item, item_type))
        except (BaseValidationError, Wrong) as error:
            failed.append(at(error, f"[{index}]"))
    if failed:
        raise IterableValidationError("", failed, type_)
    return tuple(made) if node.is_tuple else Listed(made)


def _mapping(node: Node, type_: Any, converter: cattrs.Converter, _: Schema) -> dict[Any, Any]:
    if not isinstance(node, Entries):
        raise wrong(node, type_)
    key_type, value_type = get_args(type_)
    made, failed = {}, []
    for key, value in node.entries.items():
        try:
            made[converter.structure(Leaf(key, place=value.place), key_type)] = converter.structure(value, value_type)
        except (BaseValidationError, Wrong) as error:
            failed.append(at(error, f"[{key!r}]"))
    if failed:
        raise IterableValidationError("", failed, type_)
    return made


def _anything(node: Node, _: Any, converter: cattrs.Converter, schema: Schema) -> Any:
    """A plain value as it is; a builder as its config."""
    match node:
        case Leaf(value):
            if value is UNRESOLVED:
                raise wrong(node, Any)
            return value
        case Items():
            made = _each(node, Any, [Any] * len(node.items), converter)
            return made if node.is_tuple else list(made)
        case Entries():
            return _mapping(node, Mapping[Any, Any], converter, schema)
        case Once():
            return Shared(key=node.key, constructor=_constructor(node, Any, converter))
    # who calls a builder, where nobody says its type, may pass whatever the config leaves out
    config = _arguments(node, _resolved(node, schema), converter, schema, passed_on=bool(node.deferred))
    return Deferred(config=config) if node.deferred else config


def _factory(node: Node, type_: Any, converter: cattrs.Converter, schema: Schema) -> Any:
    made = factory_of(type_)
    if isinstance(node, Leaf | Items | Entries):
        raise wrong(node, type_, hint_of_fitting(made, schema))
    if not isinstance(node, Call):
        return converter.structure(node, made)
    early: list[Exception] = []
    if node.deferred is False:
        message = f"expected {spell_type(type_)}, found one that is built already, @{scoped(node)}()"
        early.append(Wrong(node.place, "type", message, f"leave out the parentheses: @{scoped(node)}"))
    node = attrs.evolve(node, deferred=None)
    builder = _resolved(node, schema)
    wanted = schema.name_of(made)
    if wanted is not None and builder.called_anyhow and schema.accepts(wanted, builder):
        return _with_earlier(early, lambda: _arguments(node, builder, converter, schema, passed_on=True), made)
    return _with_earlier(early, lambda: converter.structure(node, made), made)


def _config(node: Node, type_: type, converter: cattrs.Converter, schema: Schema) -> Any:
    wanted = schema.name_of(type_)
    assert wanted is not None
    if isinstance(node, Once):
        return Shared(key=node.key, constructor=_constructor(node, type_, converter))
    if isinstance(node, Entries) and wanted in schema.builders and schema.builders[wanted].section:
        node = Call(wanted, {str(key): value for key, value in node.entries.items()}, place=node.place)
    if not isinstance(node, Call):
        raise wrong(node, type_, hint_of_fitting(type_, schema))
    role = schema.roles.get(wanted)
    if role is not None and role.arity is not None and role.arity < 0 and node.deferred:
        return _anything(node, Any, converter, schema)  # whatever it is called with, a builder can be called
    builder = _resolved(node, schema)
    if role is not None and node.deferred and _is_itself(node, builder, role, schema):
        return _anything(node, Any, converter, schema)
    early: list[Exception] = []
    if not schema.accepts(wanted, builder):
        fitting = [known.name for known in schema.standing_for(wanted)]
        hint = did_you_mean(builder.name, fitting)
        early.append(Wrong(node.place, "type", f"expected {with_article(wanted)}, found {builder.name}", hint))
    elif node.deferred:
        message = f"expected {with_article(wanted)}, found its builder, @{scoped(node)}"
        early.append(Wrong(node.place, "type", message, f"call it: @{scoped(node)}()"))
    return _with_earlier(early, lambda: _arguments(node, builder, converter, schema), type_)


def _is_itself(node: Call, builder: Builder, role: Role, schema: Schema) -> bool:
    """Whether a function, not what it returns, is the callable: what nobody binds is just what it is called with."""
    returns_one = schema.accepts(role.name, builder) and not builder.untyped_result
    if not builder.function or not role.arity or returns_one:
        return False
    first, rest = builder.parameters[: role.arity], builder.parameters[role.arity :]
    lacking = [one for one in rest if one.default is REQUIRED and one.name not in node.arguments]
    return len(first) == role.arity and not lacking and not any(one.name in node.arguments for one in first)


def _with_earlier(early: list[Exception], rest: Callable[[], Any], type_: type) -> Any:
    """What `rest` makes, or its errors behind those that were found before."""
    try:
        made = rest()
    except (BaseValidationError, Wrong) as error:
        if not early:
            raise
        raise ClassValidationError("", [*early, error], type_) from None
    if early:
        raise ClassValidationError("", early, type_)
    return made


def _arguments(
    node: Call, builder: Builder, converter: cattrs.Converter, schema: Schema, passed_on: bool = False
) -> Any:
    class_ = schema.class_named(builder.name)
    assert class_ is not None
    takes = {parameter.name: parameter for parameter in builder.parameters if parameter.name not in builder.supplied}
    values: dict[str, Any] = {}
    more: dict[str, Any] = {}
    failed: list[Exception] = []
    for name, argument in node.arguments.items():
        parameter = takes.get(name)
        try:
            if parameter is not None and parameter.inferred and isinstance(argument, Call):
                values[name] = converter.structure(argument, Any)  # a default of 1 says nothing against an object
            elif parameter is not None:
                values[name] = _argument(argument, schema.type_of(parameter), converter)
            elif builder.open:
                more[name] = converter.structure(argument, Any)
            else:
                hint = did_you_mean(name, takes) or f"{builder.name} has none"
                kind = "key" if builder.section else "parameter"
                raise Wrong(argument.place, "unknown", f"expected a {kind} of {builder.name}, found {name!r}", hint)
        except (BaseValidationError, Wrong) as error:
            failed.append(at(error, f".{name}"))
    for name, parameter in takes.items():
        if parameter.default is REQUIRED and name not in node.arguments and passed_on:
            values[name] = OWN
        elif parameter.default is REQUIRED and name not in node.arguments:
            spelled = spell_type(schema.type_of(parameter))
            missing = Wrong(node.place, "missing", f"expected {spelled}, found nothing", f"{builder.name} needs it")
            failed.append(at(missing, f".{name}"))
    if failed:
        raise ClassValidationError("", failed, class_)
    return class_(**values, **({"more": more} if builder.open else {}))


def _argument(node: Node, type_: Any, converter: cattrs.Converter) -> Any:
    return converter.structure(node, type_)


def _constructor(node: Once, type_: Any, converter: cattrs.Converter) -> Any:
    inner = node.constructor
    try:
        if isinstance(inner, Call) and inner.deferred is False:
            raise Wrong(
                inner.place, "type", "expected a builder to call once, found what it builds", "leave out the ()"
            )
        return converter.structure(attrs.evolve(inner, deferred=None) if isinstance(inner, Call) else inner, type_)
    except (BaseValidationError, Wrong) as error:
        raise ClassValidationError("", [at(error, ".constructor")], Shared) from None


def _resolved(node: Call, schema: Schema) -> Builder:
    builder = schema.builders.get(node.name) or schema.at(node.name)
    if builder is None:
        names = [name for known in schema.builders.values() for name in (known.name, known.target)]
        hint = did_you_mean(node.name, names if "." in node.name else names[::2])
        raise Wrong(node.place, "unknown", f"expected a registered builder, found {node.name!r}", hint)
    return builder
