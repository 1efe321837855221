"""Training and evaluation mode: where Lightning sets a model's mode as the legacy code does, and where it may not.

Lightning puts all of the LightningModule into evaluation mode for a validation, and back at its end. Legacy code leaves
the model in evaluation mode until it calls `train()`: what runs the model in between would find another mode.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.frame import Item
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.related import related
from lab_migrate.idiomatic.roles import Roles, nodes_of

#: What of a model is the same in both modes.
_SAME = frozenset({
    "add_module", "buffers", "children", "eval", "load_state_dict", "modules", "named_buffers", "named_children",
    "named_modules", "named_parameters", "parameters", "requires_grad_", "state_dict", "train", "zero_grad",
})  # fmt: skip
_FUNCTIONS = frozenset({"getattr", "hasattr", "id", "isinstance", "len", "print", "repr", "str", "type"})
#: How many calls down a model is followed.
_DEEPEST = 4


@attrs.frozen
class Modes:
    """`dropped` are statements that Lightning's own switching makes superfluous.

    `stay` says that all are kept, and Lightning switches nothing. `never` says that nothing evaluates. `left` is a
    model that the legacy code leaves in evaluation mode for what comes after the training.
    """

    dropped: frozenset[int] = frozenset()
    stay: bool = False
    never: bool = False
    left: str = ""


def without_rebinding(nest: Nest, roles: Roles) -> None:
    """Read `model = model.train()` as `model.train()`, which is the same model."""
    for items in (nest.before, nest.between, nest.after):
        for at, item in enumerate(items):
            node = item.node
            if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.value, ast.Call):
                continue
            func = node.value.func
            if not isinstance(func, ast.Attribute) or dotted(func.value) != dotted(node.targets[0]):
                continue
            call = attrs.evolve(item, node=ast.copy_location(ast.Expr(node.value), node.value))
            if _mode(call, roles):
                nest.read_as[id(node)] = call.node
                items[at] = call


def modes_of(nest: Nest, roles: Roles, graph: CallGraph) -> Modes:
    """Who sets the modes."""
    evals = [item for item in nest.items if _mode(item, roles) == "eval"]
    trains = [item for item in nest.items if _mode(item, roles) == "train"]
    ours = [item for item in nest.between if _mode(item, roles) == "eval"]
    every = sum(
        module.text.count(".eval(") + module.text.count(".train(False)")
        for module in related(nest.base.module, graph.project)
    )
    single = len(roles.models) == 1
    if nest.validation is None:
        quiet = single and not every and not _handed_on(nest, roles) and _made_training(nest, roles, graph)
        return Modes(frozenset(id(item.node) for item in trains) if quiet else frozenset())
    if not every:
        return Modes(never=True)
    if not single or evals != ours or len(ours) != 1 or _looks_while_evaluating(nest, roles, graph):
        return Modes(stay=True)
    kept = every > len(ours) or _handed_on(nest, roles) or not _made_training(nest, roles, graph)
    dropped = frozenset(id(item.node) for item in (evals if kept else [*evals, *trains]))
    again = any(item in nest.after for item in trains)
    return Modes(dropped, left="" if again or not _looks_afterwards(nest, roles, graph) else roles.models[0])


def _mode(item: Item, roles: Roles) -> str:
    """`train` or `eval` where a statement sets a model's mode."""
    node = item.node
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        call = node.value
        if not call.keywords and item.frame.canonical(node.value.func.value) in roles.models:
            given = [one.value if isinstance(one, ast.Constant) else None for one in call.args]
            if node.value.func.attr == "train" and given in ([], [True], [False]):
                return "eval" if given == [False] else "train"
            return "eval" if node.value.func.attr == "eval" and not given else ""
    return ""


def _looks_while_evaluating(nest: Nest, roles: Roles, graph: CallGraph) -> bool:
    """Whether code may tell the mode between a validation's end and the next `train()`, or there is no such."""
    items = nest.after
    at = next((at for at, item in enumerate(items) if _mode(item, roles) == "train"), None)
    if at is None:
        first = next((at for at, item in enumerate(nest.before) if _mode(item, roles) == "train"), None)
        if first is None:
            return True
        items = [*nest.after, *nest.before[:first]]
    else:
        items = items[:at]
    (model,) = roles.models
    for item in items:
        names = {
            name
            for node in own_nodes([item.node])
            if isinstance(node, ast.Name | ast.Attribute)
            and (name := dotted(node))
            and item.frame.canonical(name) == model
        }
        if any(_tells(own_nodes([item.node]), name, item.frame.function, graph) for name in names or {model}):
            return True
    return False


def _looks_afterwards(nest: Nest, roles: Roles, graph: CallGraph) -> bool:
    """Whether code after the epochs may tell the mode: that of the base function, or whoever else has the model."""
    (model,) = roles.models
    end = nest.epochs.end_lineno or 0
    base = nest.base.function
    if model.partition(".")[0] not in nest.base.bound - set(base.parameters):
        return True
    later = [node for node in base.own if getattr(node, "lineno", 0) > end]
    return _tells(later, model, base, graph)


def _tells(nodes: Iterable[ast.AST], name: str, function: Function, graph: CallGraph, deepest: int = _DEEPEST) -> bool:
    """Whether code may run, copy or hand on a model, or ask for its mode."""
    nodes = list(nodes)
    inside = {id(node) for node in nodes}
    parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
    calls = {id(call.node): call for call in graph.calls_of(function) if id(call.node) in inside}
    for node in nodes:
        if not isinstance(node, ast.Name | ast.Attribute) or dotted(node) != name or not isinstance(node.ctx, ast.Load):
            continue
        parent = parents.get(id(node))
        if isinstance(parent, ast.Attribute):
            above = parents.get(id(parent))
            called = isinstance(above, ast.Call) and above.func is parent
            if parent.attr == "training" or (called and parent.attr not in _SAME):
                return True
        elif isinstance(parent, ast.Call) and parent.func is not node:
            if dotted(parent.func).rpartition(".")[2] in _FUNCTIONS:
                continue
            if id(parent) not in calls or not deepest:
                return True
            for target in calls[id(parent)].targets:
                parameter = _parameter(target, parent, node)
                if not parameter or _tells(target.own, parameter, target, graph, deepest - 1):
                    return True
        else:
            return True
    # Functions that know it by the same name: a method of the same object, a script's global one.
    return any(
        _tells(target.own, name, target, graph, deepest - 1)
        for call in calls.values()
        for target in call.targets
        if deepest and call.direct and name.partition(".")[0] not in set(target.parameters) - {"self"}
    )


def _parameter(target: Function, call: ast.Call, value: ast.expr) -> str:
    """What a function calls an argument; empty where that cannot be told."""
    named = next((word.arg for word in call.keywords if word.value is value), None)
    if named is not None:
        return named
    shift = target.cls is not None and not target.is_static
    places = [at for at, argument in enumerate(call.args) if argument is value]
    names = target.parameters[int(shift) :]
    return names[places[0]] if places and places[0] < len(names) else ""


def _made_training(nest: Nest, roles: Roles, graph: CallGraph) -> bool:
    """Whether the model is made by a class of the project: a pretrained one may come in evaluation mode."""
    assigned = nest.base.function.assigned.get(roles.models[0], [])
    known = graph.types(nest.base.function, ast.parse(roles.models[0], mode="eval").body)
    return len(known) == 1 and len(assigned) <= 2 and not any("load" in ast.unparse(value) for value in assigned)


def _handed_on(nest: Nest, roles: Roles) -> bool:
    """Whether something outside the project gets a whole model, and may change its mode."""
    return any(
        frame.canonical(arg) in roles.models
        for frame, node in nodes_of(nest)
        if isinstance(node, ast.Call)
        for arg in [*node.args, *(word.value for word in node.keywords)]
    )
