"""The types that a config's parameters may have, from their spelling in a schema; nothing is evaluated but these."""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

__all__ = [
    "FACTORY",
    "OWN",
    "PLAIN",
    "REQUIRED",
    "VALUES",
    "Factory",
    "Own",
    "TypeSpellingError",
    "factory_of",
    "is_built",
    "parse_type",
    "spell_type",
]


class Own:
    """A builder's own default that is no literal: the config leaves it to the builder."""

    def __repr__(self) -> str:
        return "OWN"


OWN = Own()


class Required:
    """No default: the config must say it."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = Required()
FACTORY = "factory"
T = TypeVar("T")
#: What builds a `T` when it is called, in place of a `T` (gin's `@Conv`, in place of `@Conv()`).
Factory = Annotated[T, FACTORY]

#: What types are spelled of, by name.
PLAIN: dict[str, Any] = {
    "Any": Any, "None": None, "Own": Own, "bool": bool, "bytes": bytes, "complex": complex, "float": float, "int": int,
    "str": str,
}  # fmt: skip


#: Types whose values a config spells itself.
VALUES = (bool, int, float, str, bytes, complex)


class TypeSpellingError(ValueError):
    """A type in a schema that configs cannot have."""


def parse_type(spelled: str, named: Callable[[str], Any]) -> Any:
    """The type behind its spelling; `named` gives the class of a role's or builder's name, or None.

    Raises `TypeSpellingError` for what is none of: `int`, `float`, `str`, `bool`, `bytes`, `None`, `Any`, `A | B`,
    `Literal[…]`, `Sequence[T]`, `tuple[…]`, `Mapping[K, T]`, `Factory[T]`, a role, a builder.
    """
    try:
        return _parse(ast.parse(spelled, mode="eval").body, named)
    except SyntaxError as error:
        raise TypeSpellingError(f"expected a type, found {spelled!r}") from error


def factory_of(type_: Any) -> Any:
    """`T` of `Factory[T]`, else None."""
    return get_args(type_)[0] if get_origin(type_) is Annotated and FACTORY in get_args(type_)[1:] else None


def is_built(type_: Any) -> bool:
    """Whether a type is a class whose objects are built: a config cannot spell them."""
    return isinstance(type_, type) and type_ not in (*VALUES, type(None))


def spell_type(type_: Any) -> str:
    """A type as a person reads it in an error."""
    made = factory_of(type_)
    if made is not None:
        return f"a factory of {spell_type(made)}"
    if type_ is None or type_ is type(None):
        return "None"
    if type_ is Any:
        return "anything"
    origin, arguments = get_origin(type_), get_args(type_)
    if origin in (Union, types.UnionType):
        return " or ".join(spell_type(part) for part in arguments if part is not Own)
    if origin is Literal:
        return " or ".join(repr(value) for value in arguments)
    if origin is Sequence:
        return f"a list of {spell_type(arguments[0])}"
    if origin is Mapping:
        return f"a mapping of {spell_type(arguments[0])} to {spell_type(arguments[1])}"
    if origin is tuple:
        if arguments[-1:] == (Ellipsis,):
            return f"a list of {spell_type(arguments[0])}"
        return f"{len(arguments)} values ({', '.join(spell_type(part) for part in arguments)})"
    return str(getattr(type_, "__name__", type_))


def _parse(node: ast.expr, named: Callable[[str], Any]) -> Any:
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str() as inner):
            return parse_type(inner, named)
        case ast.Name(id=name):
            found = PLAIN[name] if name in PLAIN else named(name)
            if found is None and name != "None":
                raise TypeSpellingError(f"expected a type, found {name!r}, which nothing here defines")
            return found
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_parse(left, named), _parse(right, named)]  # noqa: UP007  (made at run time)
        case ast.Subscript(value=ast.Name(id=origin), slice=inner):
            return _generic(origin, inner.elts if isinstance(inner, ast.Tuple) else [inner], named)
    raise TypeSpellingError(f"expected a type that configs can have, found {ast.unparse(node)!r}")


def _generic(origin: str, inner: list[ast.expr], named: Callable[[str], Any]) -> Any:
    if origin == "Literal":
        return Literal[tuple(ast.literal_eval(value) for value in inner)]
    if origin in ("ClassVar", "Annotated"):
        raise TypeSpellingError(f"expected a type that configs can have, found {origin}")
    if origin == "tuple":
        parts = [... if isinstance(part, ast.Constant) and part.value is ... else _parse(part, named) for part in inner]
        return tuple[tuple(parts)]  # type: ignore[misc]
    arguments = [_parse(part, named) for part in inner]
    match origin, arguments:
        case "Factory", [made]:
            return Annotated[made, FACTORY]
        case (("Sequence" | "list"), [item]):
            return Sequence[item]  # type: ignore[valid-type]
        case (("Mapping" | "dict"), [key, value]):
            return Mapping[key, value]  # type: ignore[valid-type]
    raise TypeSpellingError(f"expected a type that configs can have, found {origin}[{len(inner)} parts]")


def wants_factory(type_: Any) -> bool:
    """Whether a value of this type, or an item of it, is a builder to call rather than what it builds."""
    origin, arguments = get_origin(type_), get_args(type_)
    if origin in (Union, types.UnionType):
        return any(wants_factory(part) for part in arguments)
    if origin in (Sequence, tuple):
        return any(wants_factory(part) for part in arguments if part is not ...)
    if origin is Mapping:
        return wants_factory(arguments[1])
    return factory_of(type_) is not None
