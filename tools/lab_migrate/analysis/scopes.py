"""Names of a piece of code: which it assigns, reads, deletes, and which its nested functions capture."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable

import attrs

_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@attrs.define
class Names:
    """Names of some statements, as their own scope sees them; a nested function's locals are not among them."""

    assigned: set[str] = attrs.field(factory=set)
    read: set[str] = attrs.field(factory=set)
    deleted: set[str] = attrs.field(factory=set)
    #: Read or rebound by nested functions, lambdas, classes or comprehensions.
    captured: set[str] = attrs.field(factory=set)
    globals_: set[str] = attrs.field(factory=set)
    nonlocals: set[str] = attrs.field(factory=set)

    @property
    def all(self) -> set[str]:
        """Every name mentioned."""
        return self.assigned | self.read | self.deleted | self.captured | self.globals_ | self.nonlocals


def names_in(nodes: Iterable[ast.AST], skip: Collection[int] = ()) -> Names:
    """Collect the names of statements or expressions; nodes whose `id` is in `skip` are left out."""
    found = Names()
    visitor = _Visitor(found, skip)
    for node in nodes:
        visitor.visit(node)
    return found


class _Visitor(ast.NodeVisitor):
    def __init__(self, names: Names, skip: Collection[int] = ()) -> None:
        self.names = names
        self.skip = skip

    def visit(self, node: ast.AST) -> None:
        if id(node) not in self.skip:
            super().visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.names.assigned.add(node.id)
        elif isinstance(node.ctx, ast.Del):
            self.names.deleted.add(node.id)
        else:
            self.names.read.add(node.id)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.names.read.add(node.target.id)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.names.globals_ |= set(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.names.nonlocals |= set(node.names)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.names.assigned.add(alias.asname or alias.name.split(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.names.assigned.add(alias.asname or alias.name)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.names.assigned.add(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name:
            self.names.assigned.add(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self.names.assigned.add(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self.names.assigned.add(node.rest)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._outside(node.args)
        inner = names_in([node.body], self.skip)
        self._capture(inner, _parameters(node.args) | inner.assigned)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names.assigned.add(node.name)
        for outside in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            self.visit(outside)
        inner = names_in(node.body, self.skip)
        # A class body may read a name of ours and then bind it for itself, so nothing is subtracted.
        self.names.captured |= inner.read | inner.captured
        self.names.globals_ |= inner.globals_

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.names.assigned.add(node.name)
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._outside(node.args)
        inner = names_in(node.body, self.skip)
        self._capture(inner, _parameters(node.args) | (inner.assigned - inner.globals_ - inner.nonlocals))

    def _outside(self, arguments: ast.arguments) -> None:
        for default in [*arguments.defaults, *filter(None, arguments.kw_defaults)]:
            self.visit(default)

    def _capture(self, inner: Names, own: set[str]) -> None:
        self.names.captured |= (inner.read | inner.captured | inner.nonlocals | inner.deleted) - own
        self.names.captured |= inner.globals_

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node)

    def _comprehension(self, node: _COMPREHENSIONS) -> None:
        self.visit(node.generators[0].iter)
        targets = names_in([generator.target for generator in node.generators]).assigned
        parts: list[ast.expr] = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for index, generator in enumerate(node.generators):
            parts += [*generator.ifs, *([generator.iter] if index else [])]
        inner = names_in(parts)
        # `:=` in a comprehension binds in the scope around it.
        self.names.assigned |= inner.assigned
        self.names.read |= inner.read - targets
        if isinstance(node, ast.GeneratorExp):
            # It runs later, so it sees later values of what it names.
            self.names.captured |= (inner.read | inner.captured) - targets
        else:
            self.names.captured |= inner.captured - targets


def _parameters(arguments: ast.arguments) -> set[str]:
    found = {arg.arg for arg in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
    found |= {arg.arg for arg in (arguments.vararg, arguments.kwarg) if arg is not None}
    return found
