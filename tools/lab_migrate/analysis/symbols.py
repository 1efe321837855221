"""What a file defines and imports: functions with their scopes, classes with their methods, imported names."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from lab_migrate.analysis.sources import Module

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Module
#: Calls that import what a string names.
IMPORTERS = ("importlib.import_module", "import_module", "__import__")


@attrs.define(slots=False, eq=False)
class Function:
    """A function, a method, a lambda, or a file's own top level (`<module>`)."""

    module: Module
    node: FunctionNode
    name: str
    parent: Function | None
    cls: Class | None

    @property
    def path(self) -> str:
        """The file, relative to the project's root."""
        return self.module.path

    @property
    def line(self) -> int:
        """Where it starts; 1 for a file's top level."""
        return getattr(self.node, "lineno", 1)

    @property
    def qualified(self) -> str:
        """`Class.method`, `outer.inner`, `<module>`: the name a reader would use."""
        if self.parent is None or self.parent.parent is None:
            head = ""
        else:
            head = f"{self.parent.qualified}."
        own = f"{self.cls.name}.{self.name}" if self.cls is not None else self.name
        return f"{head}{own}"

    @property
    def parameters(self) -> list[str]:
        """Positional and keyword parameters in order, `self` included."""
        if isinstance(self.node, ast.Module):
            return []
        a = self.node.args
        return [arg.arg for arg in [*a.posonlyargs, *a.args, *a.kwonlyargs]]

    @property
    def is_static(self) -> bool:
        """Whether it is a staticmethod."""
        return any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in getattr(self.node, "decorator_list", []))

    @cached_property
    def body(self) -> list[ast.stmt]:
        """Its statements; a lambda's expression as one statement."""
        if isinstance(self.node, ast.Lambda):
            return [ast.copy_location(ast.Expr(self.node.body), self.node.body)]
        return self.node.body

    @cached_property
    def own(self) -> list[ast.AST]:
        """Every node of its own code: nested functions and classes are left out, their decorators and defaults not."""
        return list(own_nodes(self.body))

    @cached_property
    def assigned(self) -> dict[str, list[ast.expr]]:
        """Local name -> the expressions assigned to it by plain assignments (also `with … as name`)."""
        found: dict[str, list[ast.expr]] = {}
        for node in self.own:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    _pair(target, node.value, found)
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name) and node.value:
                found.setdefault(node.target.id, []).append(node.value)
            elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
                found.setdefault(node.optional_vars.id, []).append(node.context_expr)
        return found


@attrs.define(slots=False, eq=False)
class Class:
    """A class with its methods."""

    module: Module
    node: ast.ClassDef
    name: str
    methods: dict[str, Function] = attrs.field(factory=dict)

    @property
    def bases(self) -> list[str]:
        """Dotted names of its bases, as written; of `Base[T]` without what stands in brackets."""
        return [name for base in self.node.bases if (name := base_name(base))]

    @cached_property
    def attributes(self) -> dict[str, list[tuple[Function, ast.expr]]]:
        """`self.x` -> (method, assigned expression), and class-level names."""
        found: dict[str, list[tuple[Function, ast.expr]]] = {}
        for method in self.methods.values():
            first = method.parameters[0] if method.parameters and not method.is_static else None
            for node in method.own:
                if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
                    continue
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    for name, value in _attribute_pairs(target, node.value, first):
                        found.setdefault(name, []).append((method, value))
        return found


@attrs.define
class Symbols:
    """All that one file defines and imports."""

    top: Function
    functions: list[Function] = attrs.field(factory=list)
    classes: list[Class] = attrs.field(factory=list)
    imports: dict[str, str] = attrs.field(factory=dict)
    #: All that its import statements name, in full: modules (`a.b` of `import a.b`), `a.*`, and where two share a name;
    #: and what it imports by a name that stands in the code (`import_module("a.b")`).
    imported: set[str] = attrs.field(factory=set)
    #: Packages of which it imports files whose names are made as it runs (`import_module(f"models.{name}")`).
    packages: set[str] = attrs.field(factory=set)
    by_node: dict[int, Function] = attrs.field(factory=dict)

    def function_of(self, node: ast.AST) -> Function | None:
        """The function that a `def`, lambda or module node is."""
        return self.by_node.get(id(node))


def collect(module: Module) -> Symbols:
    """Walk a file once."""
    top = Function(module, module.tree, "<module>", None, None)
    symbols = Symbols(top)
    _add(symbols, top)
    _walk(module.tree, top, None, symbols)
    for node in ast.walk(module.tree):
        _imported(node, module, symbols)
    return symbols


def dotted(node: ast.AST | None) -> str:
    """`a.b.c` for a name or a chain of attributes, else an empty string."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


def base_name(node: ast.expr) -> str:
    """The dotted name of a class's base, also of a generic one: `Trainer[Model]`."""
    return dotted(node.value if isinstance(node, ast.Subscript) else node)


def own_nodes(body: list[ast.stmt]) -> list[ast.AST]:
    """All nodes of these statements, in source order, without the insides of nested functions, lambdas and classes."""
    found: list[ast.AST] = []
    stack: list[ast.AST] = list(reversed(body))
    while stack:
        node = stack.pop()
        found.append(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner: list[ast.AST] = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.Lambda):
            inner = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.ClassDef):
            inner = [*node.decorator_list, *node.bases]
        else:
            inner = list(ast.iter_child_nodes(node))
        stack.extend(reversed(inner))
    return found


def _add(symbols: Symbols, function: Function) -> None:
    symbols.functions.append(function)
    symbols.by_node[id(function.node)] = function


def _walk(node: ast.AST, function: Function, cls: Class | None, symbols: Symbols) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            name = "<lambda>" if isinstance(child, ast.Lambda) else child.name
            made = Function(function.module, child, name, function, cls)
            _add(symbols, made)
            if cls is not None:
                cls.methods.setdefault(name, made)
            _walk(child, made, None, symbols)
        elif isinstance(child, ast.ClassDef):
            found = Class(function.module, child, child.name)
            symbols.classes.append(found)
            _walk(child, function, found, symbols)
        else:
            _walk(child, function, cls, symbols)


def imported_from(node: ast.ImportFrom, module: Module) -> str:
    """The dotted module of `from … import`, made absolute where it is relative."""
    base = node.module or ""
    if node.level:
        parts = module.name.split(".")
        keep = len(parts) - node.level + (1 if module.is_package else 0)
        base = ".".join([*parts[: max(keep, 0)], *([base] if base else [])])
    return base


def _imported(node: ast.AST, module: Module, symbols: Symbols) -> None:
    imports = symbols.imports
    if isinstance(node, ast.Import):
        for alias in node.names:
            imports[alias.asname or alias.name.split(".")[0]] = alias.name if alias.asname else alias.name.split(".")[0]
            symbols.imported.add(alias.name)
    elif isinstance(node, ast.ImportFrom):
        base = imported_from(node, module)
        for alias in node.names:
            full = f"{base}.{alias.name}" if base else alias.name
            imports[alias.asname or alias.name] = full
            symbols.imported.add(full)
    elif isinstance(node, ast.Call) and dotted(node.func) in IMPORTERS and node.args:
        beginning, whole = _text(node.args[0])
        if beginning and not beginning.startswith("."):
            if whole:
                symbols.imported.add(beginning)
            elif "." in beginning:
                symbols.packages.add(beginning.rpartition(".")[0])


def _text(node: ast.expr) -> tuple[str, bool]:
    """What a string begins with, as far as the code says, and whether that is all of it: `f"models.{name}"`."""
    if isinstance(node, ast.Constant):
        return (node.value, True) if isinstance(node.value, str) else ("", False)
    if isinstance(node, ast.JoinedStr):
        return (_text(node.values[0])[0], False) if node.values else ("", False)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left)[0], False
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _text(node.left)[0].partition("%")[0], False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _text(node.func.value)[0].partition("{")[0], False
    return "", False


def _pair(target: ast.expr, value: ast.expr, found: dict[str, list[ast.expr]]) -> None:
    if isinstance(target, ast.Name):
        found.setdefault(target.id, []).append(value)
    elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        for one, its in zip(target.elts, value.elts, strict=False):
            _pair(one, its, found)


def _attribute_pairs(target: ast.expr, value: ast.expr, first: str | None) -> list[tuple[str, ast.expr]]:
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == first:
        return [(target.attr, value)]
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        return [
            pair
            for one, its in zip(target.elts, value.elts, strict=False)
            for pair in _attribute_pairs(one, its, first)
        ]
    return []
