"""Which names a hook's statements read and assign, and which they may read before they assign them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import attrs

from lab_migrate.analysis.scopes import names_in
from lab_migrate.idiomatic.frame import Frame, Item


@attrs.define
class Flow:
    """Canonical names of some statements, run one after the other.

    `used` are all of them in the order of first use, `stored` those that are assigned, `exposed` those that may be read
    before the statements assign them, and `sure` those that are assigned whatever happens.
    """

    used: dict[str, None] = attrs.field(factory=dict)
    stored: set[str] = attrs.field(factory=set)
    exposed: set[str] = attrs.field(factory=set)
    sure: set[str] = attrs.field(factory=set)

    def loads(self, frame: Frame, *nodes: ast.expr | None) -> None:
        """Expressions are computed."""
        for node in nodes:
            if node is None:
                continue
            names = names_in([node])
            for name in sorted(names.read | names.captured):
                if name in frame.arguments and not frame.canonical(name):
                    assert frame.base is not None
                    self.loads(frame.base, frame.arguments[name])
                else:
                    self._load(frame.canonical(name))
            for name in sorted(names.assigned):
                self.store(frame.canonical(name))

    def target(self, frame: Frame, node: ast.expr) -> None:
        """A target is assigned."""
        for one in ast.walk(node):
            if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Store):
                self._load(frame.canonical(one.id))
        for one in ast.walk(node):
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
                self.store(frame.canonical(one.id))

    def store(self, name: str) -> None:
        """A name surely has a value from here on."""
        self.used[name] = None
        self.stored.add(name)
        self.sure.add(name)

    def _load(self, name: str) -> None:
        self.used[name] = None
        if name not in self.sure:
            self.exposed.add(name)

    def items(self, items: Iterable[Item]) -> None:
        """Items run."""
        for item in items:
            if item.line is not None:
                self.loads(item.frame, *item.line.reads)
                if item.line.binds is not None:
                    self.target(item.frame, item.line.binds)
            elif item.result is not None and item.base is not None:
                self.loads(item.frame, item.value)
                self.target(item.base, item.result)
            else:
                self.statement(item.frame, item.node)

    def statement(self, frame: Frame, node: ast.stmt) -> None:
        """A statement runs."""
        if isinstance(node, ast.Assign):
            self.loads(frame, node.value)
            for target in node.targets:
                self.target(frame, target)
        elif isinstance(node, ast.AugAssign):
            self.loads(frame, node.value)
            if isinstance(node.target, ast.Name):
                self._load(frame.canonical(node.target.id))
            self.target(frame, node.target)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.loads(frame, node.value)
                self.target(frame, node.target)
        elif isinstance(node, ast.With):
            for item in node.items:
                self.loads(frame, item.context_expr)
                if item.optional_vars is not None:
                    self.target(frame, item.optional_vars)
            self._body(frame, node.body)
        elif isinstance(node, ast.For):
            self.loads(frame, node.iter)
            before = set(self.sure)
            self.target(frame, node.target)
            self._body(frame, node.body)
            self.sure = before
            self._branch(frame, node.orelse)
        elif isinstance(node, ast.If):
            self.loads(frame, node.test)
            before = set(self.sure)
            self._body(frame, node.body)
            one, self.sure = self.sure, before
            self._body(frame, node.orelse)
            self.sure = one & self.sure
        elif isinstance(node, ast.While):
            self.loads(frame, node.test)
            self._branch(frame, node.body)
            self._branch(frame, node.orelse)
        elif isinstance(node, ast.Try):
            before = set(self.sure)
            self._body(frame, node.body)
            for handler in node.handlers:
                self.sure = set(before)
                self.loads(frame, handler.type)
                if handler.name:
                    self.store(frame.canonical(handler.name))
                self._body(frame, handler.body)
            self.sure = set(before)
            self._body(frame, node.orelse)
            self.sure = before
            self._body(frame, node.finalbody)
        elif isinstance(node, ast.Match):
            self.loads(frame, node.subject)
            before = set(self.sure)
            for case in node.cases:
                self.sure = set(before)
                names = names_in([case.pattern])
                for name in sorted(names.read):
                    self._load(frame.canonical(name))
                for name in sorted(names.assigned):
                    self.store(frame.canonical(name))
                self.loads(frame, case.guard)
                self._body(frame, case.body)
            self.sure = before
        else:
            names = names_in([node])
            # `del name` needs its value, too.
            for name in sorted(names.read | names.captured | names.deleted):
                self._load(frame.canonical(name))
            for name in sorted(names.assigned | names.deleted):
                self.store(frame.canonical(name))

    def _body(self, frame: Frame, body: list[ast.stmt]) -> None:
        for node in body:
            self.statement(frame, node)
        if body and isinstance(body[-1], ast.Raise | ast.Return | ast.Break | ast.Continue):
            # What comes after is not reached this way, so it sees what the other ways assign.
            self.sure = _Everything()

    def _branch(self, frame: Frame, body: list[ast.stmt]) -> None:
        before = set(self.sure)
        self._body(frame, body)
        self.sure = before


class _Everything(set[str]):
    """All names: what a way that ends has assigned."""

    def __contains__(self, name: object) -> bool:
        return True

    def __and__(self, other: object) -> set[str]:
        return other  # type: ignore[return-value]

    def __rand__(self, other: object) -> set[str]:
        return other  # type: ignore[return-value]


def flow_of(items: Iterable[Item], given: Iterable[str] = ()) -> Flow:
    """The flow through some items, which find the names `given` assigned."""
    flow = Flow()
    for name in given:
        flow.store(name)
    flow.items(items)
    return flow


def targets_of(frame: Frame, target: ast.expr) -> list[str]:
    """The names that an assignment to `target` binds."""
    return [frame.canonical(node.id) for node in ast.walk(target) if isinstance(node, ast.Name)]
