"""Where code is given the optimizer itself, and not Lightning's wrapper of it.

`self.optimizers()` wraps it, so that a step counts. What is read through the wrapper is the optimizer's; what is given
to it (`optimizer.state = …`, `load_state_dict`, a counter of its own method) stays with the wrapper, and the
optimizer goes on as before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import attrs

from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.roles import Roles

__all__ = ["RAW", "Raw", "raw_of", "steps_raw"]

RAW = "self.optimizers(use_pl_optimizer=False)"
#: What reads, or changes what it reads.
_READS = frozenset({"add_param_group", "param_groups", "state", "state_dict", "step", "zero_grad"})
#: Methods of a scaler, which knows an optimizer again by its identity, and steps it.
_STEPPERS = frozenset({"step", "unscale_", "update"})


@attrs.frozen(eq=False)
class Raw:
    """The mentions of optimizers, by their `id`, with the text that stands there; `wrapped` are all others."""

    texts: dict[int, str]
    wrapped: frozenset[int]

    def inside(self, node: ast.expr) -> tuple[str, str] | None:
        """The text, and what follows it, where an attribute chain begins with such a mention."""
        rest = ""
        while True:
            if id(node) in self.texts:
                return self.texts[id(node)], rest
            if not isinstance(node, ast.Attribute):
                return None
            rest = f".{node.attr}{rest}"
            node = node.value


def steps_raw(nest: Nest, roles: Roles) -> bool:
    """Whether the steps of manual optimization need the optimizers as they are."""
    calls = [reach.event.node for reach in nest.training.step if reach.direct]
    plain = all(getattr(call.func, "attr", "") == "step" for call in calls if isinstance(call, ast.Call))
    return not plain or roles.without_closure


def raw_of(nest: Nest, roles: Roles, *, automatic: bool) -> Raw:
    """What mentions an optimizer in the code that becomes hooks."""
    texts: dict[int, str] = {}
    wrapped: set[int] = set()
    if roles.wrapper is not None or (not automatic and steps_raw(nest, roles)):
        return Raw(texts, frozenset())
    for frame, root in _roots(nest):
        parents = {id(child): node for node in ast.walk(root) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(root):
            name = frame.canonical(node) if isinstance(node, ast.Name | ast.Attribute) else ""
            if name not in roles.optimizers:
                continue
            if _is_wrapped(node, parents.get(id(node)), automatic=automatic):
                wrapped.add(id(node))
            else:
                several = len(roles.optimizers) > 1
                texts[id(node)] = RAW + (f"[{roles.optimizers.index(name)}]" if several else "")
    return Raw(texts, frozenset(wrapped))


def _roots(nest: Nest) -> Iterator[tuple[Frame, ast.AST]]:
    yield from ((frame, node) for frame, body in nest.parts for node in body)


def _is_wrapped(node: ast.AST, parent: ast.AST | None, *, automatic: bool) -> bool:
    if isinstance(parent, ast.Attribute):
        return parent.attr in _READS and isinstance(parent.ctx, ast.Load)
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute) and not automatic:
        return parent.func.attr in _STEPPERS
    return False
