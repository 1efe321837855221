"""A function whose code moves into the LightningModule, and what its names mean where the epochs are counted."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from functools import cached_property

import attrs

from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.sources import Module
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.text import Replace, rewritten


@attrs.define(slots=False, eq=False)
class Frame:
    """`arguments` are what the one call in the base frame passes; the base frame (of the epoch loop) has none."""

    function: Function
    base: Frame | None = None
    arguments: dict[str, ast.expr] = attrs.field(factory=dict)

    @property
    def module(self) -> Module:
        """The file."""
        return self.function.module

    @property
    def is_script(self) -> bool:
        """Whether the code stands at a file's top level, where its names are global."""
        return isinstance(self.function.node, ast.Module)

    @cached_property
    def bound(self) -> frozenset[str]:
        """Names that the function binds itself, parameters included."""
        names = names_in(self.function.body)
        return frozenset((names.assigned | set(self.function.parameters)) - names.globals_ - names.nonlocals)

    def canonical(self, node: ast.AST | str) -> str:
        """A dotted name as the base frame would write it; `function:name` for what only this function knows."""
        name = node if isinstance(node, str) else dotted(node)
        if not name or self.base is None:
            return name
        head, dot, rest = name.partition(".")
        if head in self.arguments:
            meant = dotted(self.arguments[head])
            return f"{meant}{dot}{rest}" if meant else ""
        if head in self.bound:
            return f"{self.function.qualified}:{name}"
        return name

    def entry(self, node: ast.expr) -> str:
        """`canonical`, also of an entry by a text: `loaders["train"]`."""
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, str)
        ):
            of = self.entry(node.value)
            return f"{of}[{json.dumps(node.slice.value, ensure_ascii=False)}]" if of else ""
        if isinstance(node, ast.Name) and node.id in self.arguments and self.base is not None:
            return self.base.entry(self.arguments[node.id])
        return self.canonical(node)

    def in_base(self, node: ast.expr) -> str | None:
        """An expression's text as the base frame would write it; None where it has names of this function alone."""

        def meant(one: ast.expr) -> str | None:
            name = dotted(one)
            head, dot, rest = name.partition(".")
            if not name or self.base is None:
                return None
            if head in self.arguments:
                text = self.base.module.source(self.arguments[head])
                return f"{text}{dot}{rest}" if dotted(self.arguments[head]) or not rest else f"({text}){dot}{rest}"
            return None

        if any(":" in self.canonical(one) for one in ast.walk(node) if isinstance(one, ast.Name)):
            return None
        return rewritten(self.module.source(node), meant)


@attrs.frozen(eq=False)
class Line:
    """A line that stands nowhere in the source: its text, given what stands for names, what it reads, what it binds.

    Where the text has several lines, a tab stands for one indentation.
    """

    text: Callable[[Replace], str]
    reads: tuple[ast.expr, ...]
    binds: ast.Name | None


@attrs.frozen(eq=False)
class Item:
    """One statement of the nest, in its frame. Where `result` is set, the statement is `result = value` across frames:
    `value` is what a function returned, `result` (of the base frame) the target at its call. Where `line` is set, that
    line is written, and `node` only says where."""

    frame: Frame
    node: ast.stmt
    result: ast.expr | None = None
    base: Frame | None = None
    line: Line | None = None

    def is_of(self, name: ast.Name) -> bool:
        """Whether this is a line that stands where a name does."""
        return self.line is not None and isinstance(self.node, ast.Expr) and self.node.value is name

    @property
    def value(self) -> ast.expr | None:
        """What is returned."""
        return self.node.value if isinstance(self.node, ast.Return) else None
