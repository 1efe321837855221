"""A training loop as detectors look at it: its body, the code around it, and every function that the body reaches."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cached_property

import attrs

from lab_migrate.analysis import CallGraph, Function, TrainingLoop
from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.scan.syntax import SourceFile

__all__ = ["LoopView", "Reached"]

_DEEPEST = 6
_MOST = 300


@attrs.frozen(eq=False)
class Reached:
    """A function that a loop's body calls, directly or through others; `depth` calls away."""

    function: Function
    file: SourceFile
    depth: int

    @property
    def scope(self) -> tuple[str, str]:
        """Path and qualified name, as evidence has them."""
        return self.function.path, self.function.qualified


@attrs.define(slots=False, eq=False)
class LoopView:
    """A loop of a project. `file_of` gives the indexed file of a path."""

    loop: TrainingLoop
    graph: CallGraph
    file_of: Callable[[str], SourceFile]

    @property
    def file(self) -> SourceFile:
        """The file that it stands in."""
        return self.file_of(self.loop.path)

    @property
    def place(self) -> str:
        """`path:line`."""
        return self.loop.place

    @property
    def home(self) -> str:
        """The qualified name of the function that it stands in; empty at module level, as in evidence."""
        return "" if self.loop.function == "<module>" else self.loop.function

    @cached_property
    def own(self) -> list[ast.AST]:
        """Every node of the loop's own body, without what is inside nested functions."""
        return own_nodes(self.loop.node.body)

    @cached_property
    def reached(self) -> tuple[Reached, ...]:
        """Functions of the project that the body may call, nearest first."""
        inside = {id(node) for node in self.own}
        found: dict[int, Reached] = {}
        first = [call for call in self.graph.calls_of(self.loop.owner) if id(call.node) in inside]
        queue = [(target, 1) for call in first for target in call.targets]
        while queue and len(found) < _MOST:
            function, depth = queue.pop(0)
            if id(function) in found or function is self.loop.owner:
                continue
            found[id(function)] = Reached(function, self.file_of(function.path), depth)
            if depth < _DEEPEST:
                queue += [(target, depth + 1) for call in self.graph.calls_of(function) for target in call.targets]
        return tuple(found.values())

    @cached_property
    def scopes(self) -> frozenset[tuple[str, str]]:
        """(path, qualified name) of the loop's own function and of every one that it reaches."""
        return frozenset({(self.loop.path, self.home), *(reached.scope for reached in self.reached)})

    def body(self, *types: type) -> Iterator[ast.AST]:
        """Nodes of these types in the loop's own body."""
        return (node for node in self.own if isinstance(node, types))

    def everywhere(self, *types: type) -> Iterator[tuple[SourceFile, ast.AST]]:
        """Nodes of these types in the body and in what it reaches, each with its file."""
        yield from ((self.file, node) for node in self.own if isinstance(node, types))
        for reached in self.reached:
            yield from ((reached.file, node) for node in reached.function.own if isinstance(node, types))

    def names(self) -> set[str]:
        """Names that the loop binds: its targets and what its body assigns."""
        nodes: list[ast.AST] = [*self.own]
        if isinstance(self.loop.node, ast.For | ast.AsyncFor):
            nodes += ast.walk(self.loop.node.target)
        return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
