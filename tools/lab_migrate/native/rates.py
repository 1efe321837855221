"""Learning rates that a hook looks at behind a step: those that the step's update had.

Lab's groups have them until the next update asks its schedule; Lightning's schedule has moved on by then. A hook that
sets rates, where no schedule does, has the groups themselves.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["FUNCTION", "LIVE", "reads_rates", "set_here", "sets_rates"]

#: What stands for `trainer.optimizer.groups` in a callback.
FUNCTION = "groups_of_update"
#: The same in one that sets rates.
LIVE = "trainer.optimizers[0].param_groups"


def sets_rates(methods: Iterable[ast.FunctionDef]) -> bool:
    """Whether a hook gives anything a learning rate: `group["lr"] = …`."""
    return any(
        isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _key(node) == "lr"
        for method in methods
        for node in ast.walk(method)
    )


def reads_rates(optimizer: ast.Attribute, parents: Mapping[ast.AST, ast.AST], sets: bool = False) -> bool:
    """Whether `trainer.optimizer`, or one of several (`trainer.optimizer["critic"]`), is asked for its groups' learning
    rates here, or for that in `hyper`, and for nothing else.

    Of the only optimizer a hook that `sets` rates may give its groups others, also by their multipliers.
    """
    owner = parents[optimizer]
    part = owner if isinstance(owner, ast.Subscript) and owner.value is optimizer else optimizer
    groups = parents[part]
    if sets and part is not optimizer:
        return False
    if isinstance(groups, ast.Attribute) and groups.attr == "hyper":  # that of all groups, but for multipliers
        return part is optimizer and not sets and _is_rate(parents[groups], groups)
    if not isinstance(groups, ast.Attribute) or groups.attr != "groups":
        return False
    match parents[groups]:
        case ast.Subscript(value=value) as one if value is groups:
            return _is_rate(parents[one], one, sets)
        case (
            ast.For(iter=listed, target=ast.Name(id=name)) | ast.comprehension(iter=listed, target=ast.Name(id=name))
        ) if listed is groups:
            return all(_is_rate(parents[one], one, sets) for one in _uses(parents, name))
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


def _is_rate(around: ast.AST, group: ast.expr, sets: bool = False) -> bool:
    if not isinstance(around, ast.Subscript) or around.value is not group:
        return False
    if isinstance(around.ctx, ast.Load):
        return _key(around) == "lr" or (sets and _key(around) == "multiplier")
    return sets and isinstance(around.ctx, ast.Store) and _key(around) == "lr"


def _key(node: ast.Subscript) -> str:
    """`lr` of `group["lr"]`."""
    return node.slice.value if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) else ""
