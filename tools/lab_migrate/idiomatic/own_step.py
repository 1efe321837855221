"""Optimizers of the project's own: whether their `step` takes Lightning's closure, and calls it first."""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, own_nodes
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import ManualOptimizationError, NotIdiomaticError
from lab_migrate.idiomatic.related import related
from lab_migrate.idiomatic.roles import Roles


def refuse_own_steps(nest: Nest, roles: Roles, graph: CallGraph) -> None:
    """Raises `ManualOptimizationError` where a step does not begin with the closure, which holds the backward pass."""
    for name in roles.optimizers:
        step = own_step(name, nest, graph)
        if step is not None and not _begins_with_closure(step):
            raise ManualOptimizationError(
                nest.training.step[0].event.node,
                f"{step.qualified}() does not begin with the closure that Lightning hands it",
            )


def refuse_hooks_before_steps(nest: Nest, graph: CallGraph) -> None:
    """Raises `ManualOptimizationError` where a hook runs before an optimizer's step, and with it before the closure."""
    for module in related(nest.base.module, graph.project):
        if "step_pre_hook" in module.text:
            raise ManualOptimizationError(
                nest.training.step[0].event.node, f"{module.path} has a hook run before the step, with its gradients"
            )


def own_step(name: str, nest: Nest, graph: CallGraph) -> Function | None:
    """The `step` of an optimizer whose class is the project's; None where it is another's."""
    if ":" in name:
        return None
    classes = graph.types(nest.base.function, ast.parse(name, mode="eval").body)
    found = [step for cls in classes if (step := graph.find_method(cls, "step")) is not None]
    return found[0] if len(found) == 1 else None


def refuse_no_optimizer(name: str, nest: Nest, graph: CallGraph) -> None:
    """Raises `NotIdiomaticError` where what steps is of a class of the project's that is no optimizer of PyTorch's."""
    if ":" in name:
        return
    for cls in graph.types(nest.base.function, ast.parse(name, mode="eval").body):
        lineage = graph.lineage(cls)
        own = {one.name for one in lineage}
        bases = {base.rpartition(".")[2] for one in lineage for base in one.bases}
        if not bases - own - {"object", "ABC", "Protocol"}:
            raise NotIdiomaticError(
                "LM302", cls.module.path, cls.node, f"{cls.name} is no torch.optim.Optimizer, which Lightning asks for",
                "build it on torch.optim.Optimizer, or keep the faithful way",
            )  # fmt: skip


def takes_closure(step: Function) -> bool:
    """Whether it can be called with a closure."""
    arguments = step.node.args if isinstance(step.node, ast.FunctionDef) else None
    return len(step.parameters) > 1 or (arguments is not None and arguments.vararg is not None)


def _begins_with_closure(step: Function) -> bool:
    if not takes_closure(step):
        return False
    closure = step.parameters[1] if len(step.parameters) > 1 else ""
    for statement in step.body:
        calls = [node for node in own_nodes([statement]) if isinstance(node, ast.Call)]
        if any(isinstance(call.func, ast.Name) and call.func.id == closure for call in calls):
            return isinstance(statement, ast.If | ast.Assign | ast.With)
        # `super().step(closure)` calls it in its place.
        if any(isinstance(arg, ast.Name) and arg.id == closure for call in calls for arg in call.args):
            return True
        if not isinstance(statement, ast.Assign | ast.Expr) or not isinstance(statement.value, ast.Constant):
            return False
    return False
