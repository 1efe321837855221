"""Parameters, bases and methods of a class or function, read off its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import attrs

from lab_bridge.config.sources.modules import Definition, Module, Sources, dotted
from lab_bridge.config.types import OWN, REQUIRED

__all__ = [
    "RawParameter",
    "Signature",
    "accepts_positional",
    "ancestry",
    "is_called_with",
    "kind_of",
    "kinds_of",
    "methods",
    "plain_default",
    "signature",
]

_PLAIN = {"int", "float", "str", "bool"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_FIELD_DECORATORS = {
    "dataclass", "dataclasses.dataclass", "attrs.define", "attrs.frozen", "attrs.mutable", "attr.s", "attr.attrs",
    "attr.dataclass", "attrs.dataclass",
}  # fmt: skip


@attrs.frozen(eq=False)
class RawParameter:
    """A parameter as it is written, with the module in which its annotation and default mean something."""

    name: str
    annotation: ast.expr | None
    default: ast.expr | None
    module: Module
    positional: bool = True


@attrs.frozen(eq=False)
class Signature:
    """What a builder can be called with; `open` where it takes any keyword argument."""

    parameters: tuple[RawParameter, ...]
    open: bool = False


def signature(definition: Definition, sources: Sources) -> Signature:
    """The signature of a class or function; an unknown base's constructor leaves it open."""
    if isinstance(definition.node, _FUNCTIONS):
        return _of_function(definition.node, definition.module, bound=False)
    if isinstance(definition.node, ast.ClassDef):
        return _of_class(definition, sources, depth=0)
    return Signature((), open=True)


def ancestry(definition: Definition, sources: Sources) -> list[Definition | str]:
    """A class, then its bases depth first; bases of other libraries by dotted name."""
    found: list[Definition | str] = [definition]
    if isinstance(definition.node, ast.ClassDef):
        for base in _bases(definition, sources):
            for ancestor in ancestry(base, sources) if isinstance(base, Definition) else [base]:
                if _path(ancestor) not in [_path(known) for known in found]:
                    found.append(ancestor)
    return found


def methods(definition: Definition, sources: Sources) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The methods of a class and its bases, the nearest first."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    for ancestor in ancestry(definition, sources):
        if isinstance(ancestor, Definition) and isinstance(ancestor.node, ast.ClassDef):
            for node in ancestor.node.body:
                if isinstance(node, _FUNCTIONS):
                    found.setdefault(node.name, node)
    return found


def accepts_positional(node: ast.FunctionDef | ast.AsyncFunctionDef, count: int, bound: bool) -> bool:
    """Whether a function can be called with `count` positional arguments (`bound`: after `self`)."""
    names = [*node.args.posonlyargs, *node.args.args][1 if bound else 0 :]
    needed = len(names) - len(node.args.defaults)
    keyword_only = sum(default is None for default in node.args.kw_defaults)
    return needed <= count and (count <= len(names) or node.args.vararg is not None) and not keyword_only


def kind_of(annotation: ast.expr | None) -> str:
    """`int`, `float`, `str` or `bool` for such an annotation, empty for none and `Any`, `other` for the rest."""
    if annotation is None:
        return ""
    name = dotted(annotation).rpartition(".")[2]
    return name if name in _PLAIN else "" if name in ("Any", "object") else "other"


def kinds_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, ...]:
    """What a method takes by position, after `self`."""
    return tuple(kind_of(argument.annotation) for argument in [*node.args.posonlyargs, *node.args.args][1:])


def is_called_with(node: ast.FunctionDef | ast.AsyncFunctionDef, takes: tuple[str, ...]) -> bool:
    """Whether nothing speaks against calling a method with what a role passes: an int is no object."""
    return all(
        not given or not wanted or given == wanted or {given, wanted} == {"int", "float"}
        for given, wanted in zip(takes, kinds_of(node), strict=False)
    )


def plain_default(raw: RawParameter, sources: Sources) -> object:
    """A default's plain value; `REQUIRED` for none and for gin's, `OWN` for one that is no literal."""
    if raw.default is None:
        return REQUIRED
    try:
        return ast.literal_eval(raw.default)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    name = dotted(raw.default)
    if not name:
        return OWN
    meant = sources.resolve(raw.module, name)
    if meant in ("gin.REQUIRED", "gin.config.REQUIRED"):
        return REQUIRED
    if isinstance(meant, Definition) and isinstance(meant.node, ast.Assign | ast.AnnAssign) and meant.node.value:
        try:
            return ast.literal_eval(meant.node.value)
        except (ValueError, TypeError, SyntaxError):
            return OWN
    return OWN


def _of_class(definition: Definition, sources: Sources, depth: int) -> Signature:
    assert isinstance(definition.node, ast.ClassDef)
    for name in ("__init__", "__new__"):
        for node in definition.node.body:
            if isinstance(node, _FUNCTIONS) and node.name == name:
                own = _of_function(node, definition.module, bound=True)
                if own.open and depth < 20 and _passes_on(node):
                    inherited = _inherited(definition, sources, depth)
                    known = {parameter.name for parameter in own.parameters}
                    rest = tuple(parameter for parameter in inherited.parameters if parameter.name not in known)
                    return Signature((*own.parameters, *rest), inherited.open)
                return own
    if any(_decorator(node) in _FIELD_DECORATORS for node in definition.node.decorator_list) or any(
        base in ("typing.NamedTuple", "NamedTuple") for base in _bases(definition, sources)
    ):
        inherited = _inherited(definition, sources, depth)
        own_fields = tuple(_fields(definition))
        known = {field.name for field in own_fields}
        return Signature((*(field for field in inherited.parameters if field.name not in known), *own_fields))
    return _inherited(definition, sources, depth)


def _inherited(definition: Definition, sources: Sources, depth: int) -> Signature:
    for base in _bases(definition, sources):
        if isinstance(base, Definition) and isinstance(base.node, ast.ClassDef) and depth < 20:
            found = _of_class(base, sources, depth + 1)
            if found.parameters or found.open:
                return found
        elif base not in ("object", "typing.Protocol", "typing.Generic", "abc.ABC", "torch.nn.Module"):
            return Signature((), open=True)
    return Signature(())


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, module: Module, bound: bool) -> Signature:
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults += arguments.defaults
    made = [
        RawParameter(argument.arg, argument.annotation, default, module)
        for argument, default in zip(positional, defaults, strict=True)
    ][1 if bound else 0 :]
    made += [
        RawParameter(argument.arg, argument.annotation, default, module, positional=False)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return Signature(tuple(made), open=arguments.kwarg is not None)


def _passes_on(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether `**kwargs` goes on to `super().__init__`."""
    name = node.args.kwarg.arg if node.args.kwarg is not None else ""
    return any(
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("__init__", "__new__")
        and any(
            keyword.arg is None and isinstance(keyword.value, ast.Name) and keyword.value.id == name
            for keyword in call.keywords
        )
        for call in ast.walk(node)
    )


def _fields(definition: Definition) -> Iterator[RawParameter]:
    assert isinstance(definition.node, ast.ClassDef)
    for node in definition.node.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if ast.unparse(node.annotation).split("[")[0].rpartition(".")[2] == "ClassVar":
                continue
            yield RawParameter(node.target.id, node.annotation, _field_default(node.value), definition.module)


def _field_default(value: ast.expr | None) -> ast.expr | None:
    """The default inside `field(default=…)`; a factory's product is no literal unless it is an empty container."""
    if not isinstance(value, ast.Call) or dotted(value.func).rpartition(".")[2] not in ("field", "ib", "attrib"):
        return value
    for keyword in value.keywords:
        if keyword.arg == "default":
            return keyword.value
        if keyword.arg in ("factory", "default_factory"):
            made = {"list": ast.List([], ast.Load()), "dict": ast.Dict([], []), "tuple": ast.Tuple([], ast.Load())}
            return made.get(dotted(keyword.value), keyword.value)
    return None


def _bases(definition: Definition, sources: Sources) -> Iterator[Definition | str]:
    assert isinstance(definition.node, ast.ClassDef)
    for base in definition.node.bases:
        name = dotted(base.value if isinstance(base, ast.Subscript) else base)
        found = sources.resolve(definition.module, name) if name else ast.unparse(base)
        if isinstance(found, Definition) and found.node is definition.node:  # class Adam(Adam), which is imported
            found = sources.imported(definition.module, name)
        yield found


def _decorator(node: ast.expr) -> str:
    return dotted(node.func if isinstance(node, ast.Call) else node)


def _path(ancestor: Definition | str) -> str:
    return ancestor.qualified if isinstance(ancestor, Definition) else ancestor
