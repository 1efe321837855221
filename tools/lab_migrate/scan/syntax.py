"""One parsed file, indexed in a single walk, so that each detector only looks up what it asks for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath

import attrs

from lab_migrate.scan.inventory import Evidence

__all__ = ["FUNCTIONS", "LOOPS", "SourceFile", "last_name", "raw_name"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOPS = (ast.For, ast.While, ast.AsyncFor)
_SCOPES = (*FUNCTIONS, ast.ClassDef)
_SHOWN = 100


@attrs.define(slots=True, eq=False)
class SourceFile:
    """A file's tree with the parents of its nodes, its nodes by type, its calls by name and its imports.

    `path` is relative to the project's root, with forward slashes. `imports` maps local names to dotted ones;
    relative imports are made absolute from the project's root.
    """

    path: str
    text: str
    tree: ast.Module
    lines: list[str] = attrs.field(init=False)
    imports: dict[str, str] = attrs.field(factory=dict)
    _parents: dict[ast.AST, ast.AST] = attrs.field(factory=dict)
    _nodes: dict[type, list[ast.AST]] = attrs.field(factory=dict)
    _calls: dict[str, list[ast.Call]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.lines = self.text.split("\n")
        self._index()
        self._collect_imports()

    def every(self, *types: type) -> Iterator[ast.AST]:
        """Nodes of these types, in the order of the walk (outer before inner)."""
        for type_ in types:
            yield from self._nodes.get(type_, ())

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Calls whose function's last name is one of these: `clip_grad_norm_(…)`, `x.y.clip_grad_norm_(…)`."""
        for name in names:
            yield from self._calls.get(name, ())

    def called(self) -> Iterator[str]:
        """The last names of everything that is called."""
        yield from self._calls

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that a node stands in."""
        return self._parents.get(node)

    def parents(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes that a node stands in, from inside out."""
        above = self._parents.get(node)
        while above is not None:
            yield above
            above = self._parents.get(above)

    def scope(self, node: ast.AST) -> str:
        """The qualified name of what a node stands in, as `Trainer.fit`; empty at module level."""
        return ".".join(reversed([above.name for above in self.parents(node) if isinstance(above, _SCOPES)]))

    def function(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function that a node stands in."""
        return next((above for above in self.parents(node) if isinstance(above, FUNCTIONS)), None)

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class that a node stands in."""
        return next((above for above in self.parents(node) if isinstance(above, ast.ClassDef)), None)

    def name(self, node: ast.AST | None) -> str:
        """The dotted name of an expression, its first part resolved through the imports; empty where it has none.

        With `import torch.optim as o`, `o.Adam` is `torch.optim.Adam`; `self.model` stays `self.model`.
        """
        if node is None:
            return ""
        dotted = raw_name(node)
        first, dot, rest = dotted.partition(".")
        return f"{self.imports.get(first, first)}{dot}{rest}"

    def evidence(self, node: ast.AST, note: str = "") -> Evidence:
        """Where a node stands, with the text of its line."""
        line = getattr(node, "lineno", 1)
        text = self.lines[line - 1].strip() if line <= len(self.lines) else ""
        return Evidence(
            self.path, line, text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…", self.scope(node), note
        )

    def _index(self) -> None:
        # The inner loop of every scan: written out, since ast.walk takes twice as long.
        parents = self._parents
        pending: list[ast.AST] = [self.tree]
        while pending:
            node = pending.pop()
            self._nodes.setdefault(type(node), []).append(node)
            if isinstance(node, ast.Call):
                name = last_name(node.func)
                if name:
                    self._calls.setdefault(name, []).append(node)
            children: list[ast.AST] = []
            for field in node._fields:
                value = getattr(node, field, None)
                if isinstance(value, list):
                    children += [item for item in value if isinstance(item, ast.AST)]
                elif isinstance(value, ast.AST) and value._fields:  # not Load, Add, …, which all trees share
                    children.append(value)
            for child in children:
                parents[child] = node
            pending += reversed(children)

    def _collect_imports(self) -> None:
        for node in self.every(ast.Import):
            assert isinstance(node, ast.Import)
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                self.imports[name] = alias.name if alias.asname else name
        for node in self.every(ast.ImportFrom):
            assert isinstance(node, ast.ImportFrom)
            module = imported_module(self.path, node)
            for alias in node.names:
                self.imports[alias.asname or alias.name] = f"{module}.{alias.name}".lstrip(".")


def imported_module(path: str, node: ast.ImportFrom) -> str:
    """The dotted module of `from … import`, made absolute from the project's root where it is relative."""
    if not node.level:
        return node.module or ""
    parts = list(PurePosixPath(path).parent.parts)
    parts = parts[: len(parts) - (node.level - 1)] if node.level > 1 else parts
    return ".".join([*parts, *([node.module] if node.module else [])])


def raw_name(node: ast.AST) -> str:
    """`a.b.c` for a name or a chain of attributes, else an empty string."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def last_name(node: ast.AST) -> str:
    """The last part of what is called: `step` for `self.optimizers[0].step`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
