"""Which names of a loop's body must live outside it once the body is a function.

A name stays a local of the function only where that cannot be told apart: it is assigned before it is read on every
way through the body, no nested function captures it, and nothing outside the body mentions it, or may look for it by
what it is called (`locals()`, `eval`).
"""

from __future__ import annotations

import ast

from lab_migrate.analysis.scopes import Names, names_in

_SUPPRESSING = ("suppress", "raises", "catch", "ignore")
_BY_NAME = ("eval", "exec", "locals", "vars", "dir", "globals")
_OF_AN_OBJECT = ("vars", "dir")


def carried_names(loop: ast.For | ast.While, around: list[ast.stmt], in_function: bool = False) -> set[str]:
    """Names assigned in a loop (its target included) that outlive one iteration.

    `around` is the code of the scope that the loop stands in; names mentioned there outside the loop's body count.
    """
    names = body_names(loop)
    bound = (names.assigned | names.deleted) - names.globals_ - names.nonlocals
    if _reads_by_name(loop, around, in_function):
        return bound
    return bound & (read_first(loop) | names.captured | mentioned_outside(loop, around))


def _reads_by_name(loop: ast.For | ast.While, around: list[ast.stmt], in_function: bool) -> bool:
    """Whether code beside the loop asks for names by their text; in the body that is refused.

    Locals of a function are in no module and in no object: `vars(args)` and `globals()` do not see them. Before the
    loop they have no value: `save_config(locals())` sees what was there by then.
    """
    inside = {id(statement) for statement in loop.body}
    queue: list[ast.AST] = [node for node in around if not (in_function and (node.end_lineno or 0) < loop.lineno)]
    while queue:
        node = queue.pop()
        if id(node) in inside:
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BY_NAME:
            elsewhere = node.func.id == "globals" or (node.func.id in _OF_AN_OBJECT and node.args)
            if not (in_function and elsewhere):
                return True
        queue += ast.iter_child_nodes(node)
    return False


def body_names(loop: ast.For | ast.While) -> Names:
    """Names of a loop's body and target."""
    target: list[ast.AST] = [loop.target] if isinstance(loop, ast.For) else []
    return names_in([*target, *loop.body])


def mentioned_outside(loop: ast.For | ast.While, around: list[ast.stmt]) -> set[str]:
    """Names of this scope that code outside a loop's body mentions, nested functions included, their own locals not."""
    inside = {id(statement) for statement in loop.body}
    if isinstance(loop, ast.For):
        inside.add(id(loop.target))
    return names_in(around, inside).all


def read_first(loop: ast.For | ast.While) -> set[str]:
    """Names that an iteration may read before it has assigned them."""
    walk = _Walk()
    defined = names_in([loop.target]).assigned if isinstance(loop, ast.For) else set()
    walk.statements(loop.body, set(defined))
    return walk.exposed


class _Walk:
    """Definite assignment, from the first statement on; `None` stands for "never gets here"."""

    def __init__(self) -> None:
        self.exposed: set[str] = set()

    def statements(self, body: list[ast.stmt], defined: set[str] | None) -> set[str] | None:
        for statement in body:
            defined = self._statement(statement, defined)
        return defined

    def _statement(self, node: ast.stmt, defined: set[str] | None) -> set[str] | None:
        if defined is None:
            return None
        if isinstance(node, ast.If):
            self._read(node.test, defined)
            return _both(self.statements(node.body, set(defined)), self.statements(node.orelse, set(defined)))
        if isinstance(node, ast.For | ast.AsyncFor):
            self._read(node.iter, defined)
            self._read(node.target, defined)
            self.statements(node.body, defined | names_in([node.target]).assigned)
            return self.statements(node.orelse, set(defined)) if node.orelse and not _breaks(node) else defined
        if isinstance(node, ast.While):
            self._read(node.test, defined)
            self.statements(node.body, set(defined))
            return defined
        if isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                self._read(item.context_expr, defined)
                if item.optional_vars is not None:
                    self._read(item.optional_vars, defined)
                    defined = defined | names_in([item.optional_vars]).assigned
            after = self.statements(node.body, set(defined))
            return defined if _suppresses(node) else after
        if isinstance(node, ast.Try | ast.TryStar):
            return self._try(node, defined)
        if isinstance(node, ast.Match):
            self._read(node.subject, defined)
            for case in node.cases:
                if case.guard is not None:
                    self._read(case.guard, defined | names_in([case.pattern]).assigned)
                self.statements(case.body, defined | names_in([case.pattern]).assigned)
            return defined
        if isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break):
            self._read(node, defined)
            return None
        return self._simple(node, defined)

    def _simple(self, node: ast.stmt, defined: set[str]) -> set[str]:
        names = names_in([node])
        self.exposed |= (names.read | names.captured | names.deleted) - defined
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return defined
        return (defined | names.assigned) - names.deleted

    def _try(self, node: ast.Try | ast.TryStar, defined: set[str]) -> set[str] | None:
        after = self.statements(node.orelse, self.statements(node.body, set(defined)))
        for handler in node.handlers:
            if handler.type is not None:
                self._read(handler.type, defined)
            own = {handler.name} if handler.name else set()
            after = _both(after, self.statements(handler.body, defined | own))
        final = self.statements(node.finalbody, set(defined))
        if after is None or final is None:
            return None
        return after | final

    def _read(self, node: ast.AST, defined: set[str]) -> None:
        names = names_in([node])
        self.exposed |= (names.read | names.captured | names.deleted) - defined


def _both(one: set[str] | None, other: set[str] | None) -> set[str] | None:
    if one is None:
        return other
    return one if other is None else one & other


def _breaks(loop: ast.For | ast.AsyncFor) -> bool:
    return any(isinstance(node, ast.Break) for statement in loop.body for node in ast.walk(statement))


def _suppresses(node: ast.With | ast.AsyncWith) -> bool:
    return any(word in ast.unparse(item.context_expr) for item in node.items for word in _SUPPRESSING)
