"""Parameters that code changes from their gradients itself: the steps of a training without a torch optimizer.

`p.sub_(lr * v)` is one where the same code reads `p.grad`: written in the loop, or in the method of a home-grown
optimizer. Changing a gradient is none, nor is what attacks an input (`x.data.add_(eps * x.grad.sign())`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from lab_migrate.analysis.symbols import dotted

__all__ = ["Update", "gradients_given", "gradients_set", "gradients_taken", "updates_by_hand"]

Update = ast.Call | ast.AugAssign | ast.Assign

_GRAD = ("torch.autograd.grad", "autograd.grad")
_IN_PLACE = frozenset({"add_", "sub_", "mul_", "div_", "addcdiv_", "addcmul_", "lerp_", "copy_", "set_"})


def updates_by_hand(nodes: Sequence[ast.AST]) -> list[Update]:
    """The places among some nodes of one function that change what they read the gradient of."""
    read = {_bare(node.value) for node in _gradients_read(nodes)} | set(_zipped_with_gradients(nodes))
    if not read:
        return []
    looped = {name for node in nodes for name in _bound(node)}
    found: list[Update] = []
    for node in nodes:
        changed = _changed(node)
        if changed is None:
            continue
        name = _bare(changed)
        if name in read and (name.split("[")[0] in looped or not _signed(node)):
            assert isinstance(node, Update)
            found.append(node)
        elif isinstance(node, ast.Call) and dotted(node.func).startswith("torch._foreach_"):
            found.append(node)
    return found


def gradients_taken(nodes: Sequence[ast.AST]) -> Iterator[ast.Call]:
    """Calls of `torch.autograd.grad` whose results are kept under a name."""
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _is_grad(node.value):
            yield node.value


def gradients_given(nodes: Sequence[ast.AST]) -> Iterator[ast.Assign]:
    """Where code gives something its gradient: `p.grad = g`; `p.grad = None` takes one."""
    for node in nodes:
        if not isinstance(node, ast.Assign) or isinstance(node.value, ast.Constant):
            continue
        if any(isinstance(target, ast.Attribute) and target.attr == "grad" for target in node.targets):
            yield node


def gradients_set(nodes: Sequence[ast.AST]) -> list[ast.Call]:
    """Calls of `torch.autograd.grad` beside code that gives parameters their gradients: `p.grad = g`.

    An optimizer that steps there steps by them, without a backward pass.
    """
    gives = any(True for _ in gradients_given(nodes))
    return [node for node in nodes if gives and isinstance(node, ast.Call) and _is_grad(node)]


def _is_grad(call: ast.Call) -> bool:
    return dotted(call.func) in _GRAD


def _gradients_read(nodes: Iterable[ast.AST]) -> Iterator[ast.Attribute]:
    """`p.grad`, less those that are only looked at (`is None`) or changed in place (`zero_`, `mul_`)."""
    nodes = list(nodes)
    passed: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Compare):
            passed |= {id(part) for part in (node.left, *node.comparators)}
        elif isinstance(node, ast.AugAssign):
            passed.add(id(_data(node.target)))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.endswith("_"):
            passed.add(id(_data(node.func.value)))
    for node in nodes:
        if not isinstance(node, ast.Attribute) or node.attr != "grad" or not isinstance(node.ctx, ast.Load):
            continue
        if id(node) not in passed and dotted(node) not in _GRAD:
            yield node


def _zipped_with_gradients(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """`p` in `for p, g in zip(params, grads)`, where `grads` are what `torch.autograd.grad` gave."""
    kept = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _is_grad(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if not isinstance(node, ast.For) or not isinstance(node.iter, ast.Call) or dotted(node.iter.func) != "zip":
            continue
        if any(isinstance(one, ast.Name) and one.id in kept for one in node.iter.args):
            yield from _bound(node)


def _changed(node: ast.AST) -> ast.expr | None:
    """What a statement or call changes in place, if it is of a kind that updates."""
    if isinstance(node, ast.AugAssign):
        return node.target
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        return target if isinstance(target, ast.Attribute) and target.attr == "data" else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _IN_PLACE:
            return node.func.value
        if dotted(node.func).startswith("torch._foreach_") and node.func.attr.endswith("_") and node.args:
            return node.args[0]
    return None


def _bare(node: ast.expr) -> str:
    """The tensor itself: `p` of `p.data` and of `p.mul_(a).add_(b)`."""
    node = _data(node)
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = _data(node.func.value)
    return ast.unparse(node)


def _data(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute) and node.attr == "data":
        node = node.value
    return node


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.For | ast.comprehension):
        yield from (inner.id for inner in ast.walk(node.target) if isinstance(inner, ast.Name))


def _signed(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Attribute) and inner.attr in ("sign", "sign_") for inner in ast.walk(node))
