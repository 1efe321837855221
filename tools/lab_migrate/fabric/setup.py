"""Where models, optimizers and loaders are made, and the lines that hand them to Fabric."""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis import CallGraph, TrainingLoop
from lab_migrate.analysis.calls import Call
from lab_migrate.analysis.events import events_in
from lab_migrate.analysis.symbols import Function, dotted, own_nodes

#: What only a loader has.
_OF_LOADERS = frozenset(["generator", "sampler", "batch_sampler", "collate_fn", "worker_init_fn"])


@attrs.frozen(eq=False)
class Place:
    """An assignment that makes something: `name` is what the function around it calls it."""

    function: Function
    statement: ast.Assign
    name: str
    call: ast.Call


def stepped(loop: TrainingLoop) -> list[str]:
    """What the loop's own code steps, as its function calls it; a scaler's step names its optimizer."""
    found: list[str] = []
    for event in events_in(own_nodes([loop.node])):
        if event.kind == "step" and isinstance(event.node, ast.Call):
            scaled = "scaler" in event.receiver.lower() and len(event.node.args) == 1
            found.append(dotted(event.node.args[0]) if scaled else event.receiver)
    return list(dict.fromkeys(name for name in found if name))


def iterated(loop: TrainingLoop) -> list[str]:
    """Loaders that the loop iterates over."""
    node = loop.node
    source = node.iter if isinstance(node, ast.For | ast.AsyncFor) else None
    while isinstance(source, ast.Call) and source.args and dotted(source.func) in ("enumerate", "tqdm", "tqdm.tqdm"):
        source = source.args[0]
    name = dotted(source)
    return [name] if name else []


def is_changed(loader: str, graph: CallGraph) -> bool:
    """Whether the project assigns to a loader's attributes: Fabric's wrapper has its own, and iterates over the loader.

    `loader.generator = …` would change nothing. A name that says nothing of loaders counts where the attribute does.
    """
    name = loader.rpartition(".")[2]
    for module in graph.project.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                above = dotted(node.value).rpartition(".")[2]
                if above == name or "load" in above.lower() or (node.attr in _OF_LOADERS and above != "self"):
                    return True
            elif isinstance(node, ast.Call) and dotted(node.func) in ("setattr", "object.__setattr__") and node.args:
                above = dotted(node.args[0]).rpartition(".")[2]
                if above == name or "load" in above.lower():
                    return True
    return False


def makers(name: str, function: Function, graph: CallGraph, depth: int = 0) -> list[Place]:
    """Assignments that make what `function` calls `name`: its own, its file's, its callers', its class's."""
    if depth > 3:
        return []
    head, _, rest = name.partition(".")
    if rest and function.cls is not None and function.parameters[:1] == [head]:
        return [
            Place(method, statement, f"{method.parameters[0]}.{rest}", value)
            for method, value in function.cls.attributes.get(rest, [])
            if isinstance(value, ast.Call) and (statement := _statement_of(method, value)) is not None
        ]
    scope: Function | None = function
    while scope is not None:
        found = [
            Place(scope, node, name, node.value)
            for node in _nodes(scope)
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Call)
            and dotted(node.targets[0]) == name
        ]  # fmt: skip
        if found:
            return found
        if name in scope.parameters:
            return _of_callers(name, scope, graph, depth)
        scope = scope.parent
    return []


def _nodes(scope: Function) -> list[ast.AST]:
    """A scope's own code; for a file, that of its class bodies, too."""
    bodies = [cls.node.body for cls in scope.module.symbols.classes] if isinstance(scope.node, ast.Module) else []
    return [*scope.own, *(node for body in bodies for node in own_nodes(body))]


def _of_callers(name: str, function: Function, graph: CallGraph, depth: int) -> list[Place]:
    found: list[Place] = []
    for call in graph.callers_of(function):
        if not isinstance(call.node, ast.Call) or not call.direct:
            continue
        value = argument_of(call, function, name)
        if value is not None and dotted(value):
            found += makers(dotted(value), call.caller, graph, depth + 1)
    return list({id(place.statement): place for place in found}.values())


def argument_of(call: Call, function: Function, name: str) -> ast.expr | None:
    """What a call hands to a parameter of the function that it calls."""
    assert isinstance(call.node, ast.Call)
    position = function.parameters.index(name) - (function.cls is not None and not function.is_static)
    given = {word.arg: word.value for word in call.node.keywords if word.arg}
    return given.get(name) or (call.node.args[position] if 0 <= position < len(call.node.args) else None)


def _statement_of(method: Function, value: ast.expr) -> ast.Assign | None:
    statements = [node for node in method.own if isinstance(node, ast.Assign) and node.value is value]
    return statements[0] if len(statements) == 1 and len(statements[0].targets) == 1 else None


def models_of(place: Place) -> list[str]:
    """Models whose parameters an optimizer is made from; the model itself where it makes its optimizer."""
    found = [
        dotted(node.func.value)
        for node in ast.walk(place.call)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("parameters", "named_parameters")
        and dotted(node.func.value)
    ]
    if not found and isinstance(place.call.func, ast.Attribute) and "optim" in place.call.func.attr.lower():
        found = [dotted(place.call.func.value)]
    imported = place.function.module.symbols.imports
    return [name for name in dict.fromkeys(found) if name and name.partition(".")[0] not in imported]


def whole(models: list[str], place: Place, graph: CallGraph) -> list[str]:
    """The modules that these are layers of: a layer that Fabric wraps gives other names to what the model saves."""
    found = []
    for name in models:
        while (above := name.rpartition(".")[0]) and _is_module(above, place, graph):
            name = above
        found.append(name)
    return list(dict.fromkeys(found))


def is_torchs(place: Place, graph: CallGraph) -> bool:
    """Whether what is made may be a torch optimizer: Fabric wraps no other."""
    classes = graph.types(place.function, place.call)
    return not classes or any(
        base.rpartition(".")[2] not in ("object", "ABC")
        for cls in classes
        for one in graph.lineage(cls)
        for base in one.bases
    )


def _is_module(name: str, place: Place, graph: CallGraph) -> bool:
    classes = graph.types(place.function, ast.parse(name, mode="eval").body)
    return bool(classes) and all(map(graph.is_module, classes))


def made_again(place: Place, models: list[str]) -> str:
    """A model that is not made in the loop whose every turn makes its optimizer: Fabric takes no model twice."""
    for loop in place.function.own:
        if not isinstance(loop, ast.For | ast.While | ast.AsyncFor):
            continue
        inside = own_nodes([loop])
        if not any(node is place.statement for node in inside):
            continue
        stored = {
            dotted(node)
            for node in inside
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        for model in models:
            if not stored & {model, model.partition(".")[0]}:
                return model
    return ""


def shares_its_line(place: Place) -> bool:
    """Whether what is made stands in the line of a `def` or an `if`, below which no line can be added."""
    at = place.statement.lineno
    return any(
        node.lineno == at and isinstance(getattr(node, "body", None), list)
        for node in ast.walk(place.function.module.tree)
        if isinstance(node, ast.stmt)
    )
