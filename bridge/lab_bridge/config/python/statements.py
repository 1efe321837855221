"""What the statements of a Python config bind."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from lab_bridge.config.python.calls import HARMLESS, Calls
from lab_bridge.config.python.conversion import forgotten, items_of, short, true
from lab_bridge.config.python.expressions import Scope
from lab_bridge.config.python.files import module_of
from lab_bridge.config.python.operators import NotPlainError
from lab_bridge.config.python.values import Function, Group, List, Made, Named, Plain, Unknown, Value
from lab_bridge.config.sources.modules import dotted

if TYPE_CHECKING:
    from lab_bridge.config.python.program import Program


class Returned(Exception):  # noqa: N818
    """A `return`, with its value."""

    def __init__(self, value: Value) -> None:
        self.value = value


class Statements(Calls):
    """Statements of one file, in one scope."""

    def __init__(self, program: Program, path: Path, text: str, scope: Scope) -> None:
        super().__init__(program, path, scope)
        self._lines = text.splitlines()

    def body(self, statements: Iterable[ast.stmt]) -> None:
        """Work through statements."""
        for statement in statements:
            self.program.step()
            try:
                self._statement(statement)
            except NotPlainError:
                self._forget([statement], short(statement))

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                made = self.value(value)
                for target in targets:
                    self.assign(target, made, node)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self.assign(target, self.value(value), node)
            case ast.AugAssign(target=target, op=op, value=value):
                self._augment(target, op, value, node)
            case ast.Expr(value=value):
                self.value(value)
                if isinstance(value, ast.Call):
                    self._distrust(value)
            case ast.Return(value=value):
                raise Returned(self.value(value) if value is not None else Plain(None, self.place(node)))
            case ast.FunctionDef(name=name):
                self.scope[name] = Function(node, self.scope, name, self.place(node))
            case ast.ClassDef(name=name):
                self.scope[name] = Named(f"{module_of(self.path)}{name}", self.place(node))
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.With(body=body):
                self.body(body)
            case ast.If(test=test, body=body, orelse=orelse):
                self._branch(test, body, orelse)
            case ast.For(target=target, iter=over, body=body):
                self._loop(target, over, body)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
                self.body([*body, *orelse])
                self._forget([inner for handler in handlers for inner in handler.body], "… in try")
                self.body(final)
            case ast.Delete(targets=targets):
                for target in targets:
                    self._delete(target)
            case ast.Pass() | ast.Assert() | ast.Raise() | ast.Global() | ast.Nonlocal() | ast.AnnAssign():
                pass
            case _:
                self._forget([node], short(node))

    def _branch(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        known = self.value(test)
        if isinstance(known, Unknown | Named | Function | Made):
            # which way it goes is not known: neither is what either way assigns
            self._forget([*body, *orelse], f"… if {short(test)}")
            return
        self.body(body if true(known) else orelse)

    def _forget(self, statements: Iterable[ast.stmt], source: str) -> None:
        """Whatever statements assign is not known."""
        for assigned in (inner for statement in statements for inner in ast.walk(statement)):
            if isinstance(assigned, ast.Name) and isinstance(assigned.ctx, ast.Store):
                self.scope[assigned.id] = Unknown(source, self.place(assigned))
            elif isinstance(assigned, ast.Attribute | ast.Subscript) and isinstance(assigned.ctx, ast.Store):
                self._set(assigned, Unknown(source, self.place(assigned)), None)

    def _distrust(self, node: ast.Call) -> None:
        """What an unknown function was given may have been changed by it."""
        name = dotted(node.func)
        if not isinstance(self.scope.get(name.split(".")[0]), Named) or name.rpartition(".")[2] in HARMLESS:
            return
        for argument in node.args:
            given = self.value(argument)
            if isinstance(given, Group) and given.kind != "module":
                forgotten(given, f"{name}(…)", self.place(node))

    def _loop(self, target: ast.expr, over: ast.expr, body: list[ast.stmt]) -> None:
        try:
            items = items_of(self.value(over))
        except NotPlainError:
            self._forget(body, f"… for … in {short(over)}")
            return
        for item in items:
            self.program.step()
            self.assign(target, item, None)
            self.body(body)

    def assign(self, target: ast.expr, value: Value, statement: ast.stmt | None) -> None:
        """Bind a name, an attribute, an entry, or several."""
        match target:
            case ast.Name(id=name):
                self.scope[name] = value
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                values = value.items if isinstance(value, List) and len(value.items) == len(targets) else None
                for index, inner in enumerate(targets):
                    unknown = Unknown(short(target), self.place(target))
                    self.assign(inner, values[index] if values is not None else unknown, statement)
            case ast.Attribute() | ast.Subscript():
                self._set(target, value, statement)

    def _set(self, target: ast.Attribute | ast.Subscript, value: Value, statement: ast.stmt | None) -> None:
        owner = self.value(target.value)
        try:
            key = target.attr if isinstance(target, ast.Attribute) else self.key(target.slice)
        except NotPlainError:  # which entry is not known: none of them is any more
            if isinstance(owner, Group):
                forgotten(owner, short(target), self.place(target))
            return
        value = attrs.evolve(value, place=self.place(target)) if isinstance(value, Plain | Unknown) else value
        if isinstance(owner, Group):
            owner.entries[key] = value
            if statement is not None:
                owner.docs[key] = self._comment(statement)
        elif isinstance(owner, Made) and isinstance(key, str):
            owner.arguments[key] = value
        elif isinstance(owner, List) and isinstance(key, int) and -len(owner.items) <= key < len(owner.items):
            owner.items[key] = value

    def _augment(self, target: ast.expr, op: ast.operator, value: ast.expr, node: ast.stmt) -> None:
        load = ast.copy_location(ast.parse(ast.unparse(target), mode="eval").body, target)
        for inner in ast.walk(load):
            ast.copy_location(inner, target)
        self.assign(target, self.value(ast.copy_location(ast.BinOp(load, op, value), target)), node)

    def _delete(self, target: ast.expr) -> None:
        match target:
            case ast.Name(id=name):
                self.scope.pop(name, None)
            case ast.Attribute(value=owner) | ast.Subscript(value=owner):
                held = self.value(owner)
                key = target.attr if isinstance(target, ast.Attribute) else self.key(target.slice)
                if isinstance(held, Group):
                    held.entries.pop(key, None)
                elif isinstance(held, Made):
                    held.arguments.pop(str(key), None)
                elif isinstance(held, List) and isinstance(key, int):
                    del held.items[key : key + 1]

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        place = self.place(node)
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                self.scope[name] = Named(alias.name if alias.asname else name, place)
            return
        module = node.module or ""
        file = self.program.imported(module, node.level, self.path)
        for alias in node.names:
            inner = None
            if file is None or file.name == "__init__.py":
                inner = self.program.imported(f"{module}.{alias.name}".strip("."), node.level, self.path)
            scope = self._names_of(file)
            if alias.name == "*":
                self.scope.update({name: value for name, value in scope.items() if not name.startswith("_")})
            elif alias.name in scope and not isinstance(scope[alias.name], Named):
                self.scope[alias.asname or alias.name] = scope[alias.name]
            elif inner is not None and alias.name not in scope:
                inside = self._names_of(inner)
                self.scope[alias.asname or alias.name] = Group(dict(inside), "module", place)
            else:
                base = self._absolute(module, node.level)
                path = scope[alias.name].path if isinstance(scope.get(alias.name), Named) else ""  # type: ignore[union-attr]
                named = path if "." in path else f"{base}.{alias.name}".strip(".")
                self.scope[alias.asname or alias.name] = Named(named, place)

    def _names_of(self, file: Path | None) -> Scope:
        if file is None:
            return {}
        try:
            return self.program.scope(file)
        except (OSError, SyntaxError, ValueError):
            return {}

    def _absolute(self, module: str, level: int) -> str:
        if not level:
            return module
        package = module_of(self.path).rstrip(".").split(".")
        package = package[: len(package) - level]
        return ".".join([*package, *([module] if module else [])])

    def _comment(self, node: ast.stmt) -> str:
        """The comment behind a statement, or those in the lines above it."""
        last = self._lines[(node.end_lineno or node.lineno) - 1] if self._lines else ""
        behind = last.encode()[node.end_col_offset or 0 :].decode(errors="replace").strip()
        if behind.startswith("#"):
            return behind.strip("# ")
        found: list[str] = []
        for line in reversed(self._lines[: node.lineno - 1]):
            if not line.strip().startswith("#") or not line.strip("# -="):
                break
            found.insert(0, line.strip().strip("#").strip())
        return " ".join(found)
