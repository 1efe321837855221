"""From an annotation in a builder's source to the spelling of a type that configs can have."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from lab_bridge.config.schema import Role
from lab_bridge.config.sources.modules import Definition, Module, Sources, dotted
from lab_bridge.config.sources.signatures import ancestry, kind_of, kinds_of

__all__ = ["Annotations"]

_SEQUENCES = {"list", "List", "Sequence", "MutableSequence", "Iterable", "Collection", "set", "Set", "frozenset"}
_MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "DefaultDict"}
_PLAIN = {"int", "float", "str", "bool", "bytes", "complex", "Any", "None"}
_STANDARD = {
    "typing", "typing_extensions", "collections", "collections.abc", "numbers", "pathlib", "os", "builtins",
    "jaxtyping", "types",
}  # fmt: skip
#: What a config can only give as text or a number, whatever the annotation calls it.
_SPELLED_AS = {
    "pathlib.Path": "str", "pathlib.PurePath": "str", "os.PathLike": "str", "pathlib.PosixPath": "str",
    "numbers.Number": "float", "numbers.Real": "float", "numbers.Integral": "int", "object": "Any",
    "torch.device": "str", "torch.dtype": "str", "torch.types.Device": "str",
}  # fmt: skip


class Annotations:
    """Spells annotations; the roles that they ask for come to stand in `roles`, by name.

    `members` tells which builders there are for an import path, so that `Callable[[A], B]` is a factory of `B` where
    configs can name builders of `B`, and a callable otherwise. `arities` collects, for each role that is asked for by
    factory, how many arguments its caller passes. `called_anyhow` are those of `Callable[..., B]`.
    """

    def __init__(
        self, sources: Sources, roles: dict[str, Role], builders: dict[str, str], members: Callable[[str], bool]
    ) -> None:
        self._sources, self.roles, self._builders, self._members = sources, roles, builders, members
        self.arities: dict[str, int] = {}
        self.called_anyhow: set[str] = set()

    def spell(self, node: ast.expr | None, module: Module) -> str:
        """The type; `Any` for no annotation, or one that says nothing a config can hold to."""
        if node is None:
            return "Any"
        parts = dict.fromkeys(self._parts(node, module, ""))
        if "Any" in parts:
            return "Any"
        listed = [part for part in parts if part != "None"]
        return " | ".join([*listed, *(["None"] if "None" in parts else [])]) or "Any"

    def role_at(self, path: str, module: Module | None = None) -> str | None:
        """The role or builder at an import path, if one is known."""
        if path in self._builders:
            return self._builders[path]
        return next((role.name for role in self.roles.values() if role.source == path), None)

    def _parts(self, node: ast.expr, module: Module, alias: str) -> list[str]:
        match node:
            case ast.Constant(value=None):
                return ["None"]
            case ast.Constant(value=str() as text):
                try:
                    return self._parts(ast.parse(text, mode="eval").body, module, alias)
                except SyntaxError:
                    return ["Any"]
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return [*self._parts(left, module, alias), *self._parts(right, module, alias)]
            case ast.Subscript(value=value, slice=inner):
                arguments = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
                return self._generic(self._meant(value, module), arguments, node, module, alias)
            case ast.Name() | ast.Attribute():
                return self._named(node, module, alias)
        return ["Any"]

    def _named(self, node: ast.expr, module: Module, alias: str) -> list[str]:
        meant = self._sources.resolve(module, dotted(node))
        if isinstance(meant, Definition):
            return self._defined(meant)
        known = _SPELLED_AS.get(meant)
        if known:
            return [known]
        home, _, name = meant.rpartition(".")
        if not home or home in _STANDARD:
            if name in _PLAIN:
                return [name]
            if name in _SEQUENCES | {"tuple", "Tuple"}:
                return ["Sequence[Any]"]
            if name in _MAPPINGS:
                return ["Mapping[Any, Any]"]
            if name == "Callable":
                return [self._callable(-1, "", "")]
            return ["Any"]
        return [self._role(name, meant)]

    def _defined(self, definition: Definition) -> list[str]:
        node = definition.node
        if isinstance(node, ast.ClassDef):
            path = definition.qualified
            known = self.role_at(path)
            if known:
                return [known]
            defined = self._asked_of(definition)
            named = [inner for inner in defined if inner.name != "__init__"]
            # A property may be an attribute of whatever has the methods.
            methods = tuple(inner.name for inner in [f for f in named if not _is_property(f)] or named)
            calls = [inner for inner in node.body if isinstance(inner, ast.FunctionDef) and inner.name == "__call__"]
            if not _is_protocol(node):
                return [self._role(definition.name, path, doc=_first_line(node))]
            takes = kinds_of(calls[0]) if calls else ()
            if methods == ("__call__",):  # a callable with a name
                return [self._role(definition.name, path, doc=_first_line(node), arity=len(takes), takes=takes)]
            return [self._role(definition.name, path, methods, _first_line(node), takes=takes)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            return self._parts(node.value, definition.module, definition.qualified)
        return ["Any"]

    def _asked_of(self, definition: Definition) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """The functions of a class, for a protocol with those of the protocols that it extends."""
        lineage = ancestry(definition, self._sources) if _is_protocol(definition.node) else [definition]
        classes = [one.node for one in lineage if isinstance(one, Definition) and isinstance(one.node, ast.ClassDef)]
        found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        for inner in (statement for one in classes for statement in one.body):
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                found.setdefault(inner.name, inner)
        return list(found.values())

    def _generic(self, origin: str, arguments: list[ast.expr], node: ast.expr, module: Module, alias: str) -> list[str]:
        name = origin.rpartition(".")[2]
        match name:
            case "Optional":
                return [*self._parts(arguments[0], module, alias), "None"]
            case "Union":
                return [part for argument in arguments for part in self._parts(argument, module, alias)]
            case "Annotated" | "Final" | "Required":
                return self._parts(arguments[0], module, alias)
            case "Literal":
                return [f"Literal[{', '.join(ast.unparse(argument) for argument in arguments)}]"]
            case "tuple" | "Tuple":
                return [self._tuple(arguments, module)]
            case "Callable":
                return [self._called(arguments, module, alias)]
        if name == "Iterable" and self.spell(arguments[0], module) == "Any":
            return ["Any"]  # a list, or whatever a builder makes that can be iterated
        if name in _SEQUENCES and len(arguments) == 1:
            return [f"Sequence[{self.spell(arguments[0], module)}]"]
        if name in _MAPPINGS and len(arguments) == 2:
            return [f"Mapping[{self.spell(arguments[0], module)}, {self.spell(arguments[1], module)}]"]
        return ["Any"]

    def _tuple(self, arguments: list[ast.expr], module: Module) -> str:
        inner = [
            "..." if isinstance(argument, ast.Constant) and argument.value is ... else self.spell(argument, module)
            for argument in arguments
        ]
        return f"tuple[{', '.join(inner)}]"

    def _called(self, arguments: list[ast.expr], module: Module, alias: str) -> str:
        taken, result = arguments if len(arguments) == 2 else (None, None)
        arity = len(taken.elts) if isinstance(taken, ast.List) else -1
        takes = tuple(map(kind_of, taken.elts)) if isinstance(taken, ast.List) else ()
        if result is not None:
            made = self._meant(result, module)
            if made and (self._members(made) or self._is_role(result, module)):
                (wanted,) = self._parts(result, module, "")
                self.arities[wanted] = max(arity, self.arities.get(wanted, 0))
                if arity < 0:
                    self.called_anyhow.add(wanted)
                return f"Factory[{wanted}]"
        return self._callable(arity, alias.rpartition(".")[2], alias, takes)

    def _is_role(self, node: ast.expr, module: Module) -> bool:
        """Whether a protocol with methods is meant, for which whatever has them may stand."""
        meant = self._sources.resolve(module, dotted(node))
        definition = meant.node if isinstance(meant, Definition) else None
        return isinstance(definition, ast.ClassDef) and _is_protocol(definition)

    def _callable(self, arity: int, name: str, source: str, takes: tuple[str, ...] = ()) -> str:
        known = self.role_at(source) if source else None
        if known:
            return known
        name = name or ("Callable" if arity < 0 else f"Callable{arity}")
        shown = ", ".join(kind or "Any" for kind in takes) if arity >= 0 else "..."
        return self._role(name, source or f"typing.Callable[{shown}]", arity=arity, takes=takes)

    def _role(
        self,
        name: str,
        path: str,
        methods: tuple[str, ...] = (),
        doc: str = "",
        arity: int | None = None,
        takes: tuple[str, ...] = (),
    ) -> str:
        known = self.role_at(path)
        if known:
            return known
        name = re.sub(r"\W", "_", name)
        while name in self.roles or name in self._builders.values():
            name = f"Any{name}"
        self.roles[name] = Role(name, path, (), methods, arity, takes, doc)
        return name

    def _meant(self, node: ast.expr, module: Module) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                return ""
        name = dotted(node)
        if not name:
            return ""
        meant = self._sources.resolve(module, name)
        return meant.qualified if isinstance(meant, Definition) else meant


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(dotted(decorator) == "property" for decorator in node.decorator_list)


def _is_protocol(node: ast.AST) -> bool:
    if not isinstance(node, ast.ClassDef):
        return False
    bases = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
    return any(dotted(base).endswith("Protocol") for base in bases)


def _first_line(node: ast.ClassDef) -> str:
    return (ast.get_docstring(node) or "").split("\n")[0]
