"""A step uses what the step before it computed

Hidden states, running losses, replay buffers, a batch fetched ahead: names that the body reads before it binds them
again. They must live as long as the training, and be saved for a resume.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import LOOPS

FAITHFUL = "stays: closures and nonlocal, or module attributes; saved with Lightning's checkpoints"
IDIOMATIC = "attributes of the module, saved by on_save_checkpoint"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """The first reading of each name that is bound later in the body."""
    targets = {node.id for node in ast.walk(loop.loop.node.target) if isinstance(node, ast.Name)} if isinstance(
        loop.loop.node, ast.For | ast.AsyncFor
    ) else set()  # fmt: skip
    order = _uses(loop.loop.node.body)
    bound: set[str] = set(targets)
    later = {name.id for name, stores in order if stores}
    inner = {
        name.id
        for node in loop.own
        if isinstance(node, (*LOOPS[::2], ast.For))
        for name in ast.walk(node.target)
        if isinstance(name, ast.Name)
    }
    said: set[str] = set()
    for name, stores in order:
        if stores:
            bound.add(name.id)
        elif name.id in later - bound - said - inner:
            said.add(name.id)
            yield loop.file.evidence(name, name.id)


def _uses(body: list[ast.stmt]) -> list[tuple[ast.Name, bool]]:
    """Names in the order in which they run, and whether they are bound there: an assignment's value comes first."""
    found: list[tuple[ast.Name, bool]] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            found.append((node, isinstance(node.ctx, ast.Store)))
        elif isinstance(node, ast.Assign):
            visit(node.value)
            for target in node.targets:
                visit(target)
        elif isinstance(node, ast.AugAssign):
            visit(node.value)
            if isinstance(node.target, ast.Name):
                found.extend([(node.target, False), (node.target, True)])
            else:
                visit(node.target)
        elif isinstance(node, ast.For | ast.AsyncFor):
            for part in (node.iter, node.target, *node.body, *node.orelse):
                visit(part)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            for generator in node.generators:
                visit(generator.iter)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            for child in ast.iter_child_nodes(node):
                visit(child)

    for statement in body:
        visit(statement)
    return found
