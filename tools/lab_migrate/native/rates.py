"""Learning rates that a hook looks at behind a step: those that the step's update had.

Lab's groups have them until the next update asks its schedule; Lightning's schedule has moved on by then.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["FUNCTION", "reads_rates", "set_here"]

#: What stands for `trainer.optimizer.groups` in a callback.
FUNCTION = "groups_of_update"


def reads_rates(optimizer: ast.Attribute, parents: Mapping[ast.AST, ast.AST]) -> bool:
    """Whether `trainer.optimizer`, or one of several (`trainer.optimizer["critic"]`), is asked for its groups' learning
    rates here, or for that in `hyper`, and for nothing else."""
    owner = parents[optimizer]
    part = owner if isinstance(owner, ast.Subscript) and owner.value is optimizer else optimizer
    groups = parents[part]
    if isinstance(groups, ast.Attribute) and groups.attr == "hyper":  # that of all groups, but for multipliers
        return part is optimizer and _is_rate(parents[groups], groups)
    if not isinstance(groups, ast.Attribute) or groups.attr != "groups":
        return False
    match parents[groups]:
        case ast.Subscript(value=value) as one if value is groups:
            return _is_rate(parents[one], one)
        case (
            ast.For(iter=listed, target=ast.Name(id=name)) | ast.comprehension(iter=listed, target=ast.Name(id=name))
        ) if listed is groups:
            return all(_is_rate(parents[one], one) for one in _uses(parents, name))
    return False


def set_here(optimizer: ast.Attribute, parents: Mapping[ast.AST, ast.AST]) -> ast.stmt | None:
    """The statement that changes what `trainer.optimizer` is asked for here, itself or in a loop over it."""
    node: ast.AST = optimizer
    while not isinstance(node, ast.stmt | ast.comprehension):
        stored = isinstance(getattr(node, "ctx", None), ast.Store)
        node = parents[node]
        if stored and isinstance(node, ast.Assign | ast.AugAssign):
            return node
    if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
        for one in _uses(parents, node.target.id):
            part, around = parents[one], parents.get(parents[one])
            changes = isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store)
            if changes and isinstance(around, ast.Assign | ast.AugAssign):
                return around
    return None


def _uses(nodes: Iterable[ast.AST], name: str) -> Iterator[ast.Name]:
    """Where a name is looked at."""
    for node in nodes:
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            yield node


def _is_rate(around: ast.AST, group: ast.expr) -> bool:
    match around:
        case ast.Subscript(value=value, slice=ast.Constant(value="lr"), ctx=ast.Load()):
            return value is group
    return False
