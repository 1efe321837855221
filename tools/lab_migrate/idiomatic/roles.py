"""What plays which role in a nest: optimizers, models, schedules, devices, by the names of the base frame."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.events import Event
from lab_migrate.analysis.sources import Module
from lab_migrate.analysis.symbols import Class, Function, dotted, own_nodes
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.made import Made, made_by
from lab_migrate.idiomatic.makings import makings_of
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.schedules import schedules_given
from lab_migrate.idiomatic.trained import added_models, adds_groups
from lab_migrate.idiomatic.wrapper import Wrapper

_MODEL_NAME = re.compile(r"(^|_)(model|net|network)(_|$)|(Model|Net|net)$")
if TYPE_CHECKING:
    from lab_migrate.idiomatic.distributed import Distributed

_MODEL_METHODS = ("parameters", "named_parameters", "eval", "train", "zero_grad")


@attrs.define(eq=False)
class Roles:
    """Canonical names by role, in the order of their first use."""

    optimizers: list[str]
    models: list[str]
    schedules: list[str]
    devices: list[str]
    hard_cuda: bool
    made: dict[str, Made]
    wrapper: Wrapper | None = None
    #: The optimizers are given more than they were made with.
    grow: bool = False
    #: The set-up of several processes, as far as Lightning takes it over.
    distributed: Distributed | None = None
    #: An optimizer's `step` takes no closure, which Lightning's wrapper would hand it.
    without_closure: bool = False


def roles_of(nest: Nest, graph: CallGraph) -> Roles:
    """Read the roles off the code of the nest and of what comes before it in the base frame.

    Raises `NotIdiomaticError` where an optimizer has no name.
    """
    steps = [reach.event for reach in nest.training.step if reach.direct]
    stepped = dict.fromkeys(nest.train.frame.canonical(_stepped(step)) for step in steps)
    optimizers = [name for name in stepped if not _is_schedule(name, nest, graph)]
    given = next((name for name in optimizers if "(" in name), None)
    if given is not None:
        raise NotIdiomaticError(
            "LM302", nest.train.frame.module.path, nest.train.node, f"what {given} gives has no name, and steps",
            "give each optimizer a name before the loop, or keep the faithful way",
        )  # fmt: skip
    made = {name: found for name in optimizers if (found := made_by(name, nest.base)) is not None}
    models: list[str] = []
    for found in made.values():
        models += _models_in(found.call, nest.base)
    models += added_models(nest.base)
    devices: list[str] = []
    schedules: list[str] = []
    hard = False
    for frame, node in nodes_of(nest):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        receiver = frame.canonical(node.func.value)
        if node.func.attr in _MODEL_METHODS and not node.args and not node.keywords:
            models += [receiver] if receiver and receiver not in optimizers else []
        elif node.func.attr == "to":
            devices += [name for arg in node.args[:1] if (name := frame.canonical(arg)) and "device" in name.lower()]
            devices += [frame.canonical(word.value) for word in node.keywords if word.arg == "device"]
        elif node.func.attr == "cuda":
            hard = True
    models = models or _called_as_models(nest)
    hard = hard or any(_moves_to_cuda(node) for node in nest.base.function.own)
    for found in made.values():
        devices += _devices_in(found.owner, nest.base)
    for name, found in [*_schedules(nest.base, optimizers), *schedules_given(nest, optimizers, graph)]:
        schedules.append(name)
        made.setdefault(name, found)
    return Roles(
        optimizers, _whole(models, nest, graph), list(dict.fromkeys(schedules)),
        [name for name in dict.fromkeys(devices) if name], hard, made,
        grow=adds_groups(nest.base),
    )  # fmt: skip


def _whole(models: list[str], nest: Nest, graph: CallGraph) -> list[str]:
    """Without the layers of a model that is there itself: `model.backbone` beside `model`."""
    classes = {
        name: graph.types(nest.base.function, ast.parse(name, mode="eval").body) for name in dict.fromkeys(models)
    }
    modules = {name for name, found in classes.items() if found and all(map(graph.is_module, found))}
    return [name for name in classes if not any(name.startswith(f"{other}.") for other in modules)]


def _called_as_models(nest: Nest) -> list[str]:
    """What a batch is given to under the name of a model, where nothing else tells: one name, or none."""
    own = {function.name for function in nest.base.module.symbols.functions}
    own |= {cls.name for cls in nest.base.module.symbols.classes} | set(nest.base.module.symbols.imports)
    found = {
        name
        for node in own_nodes(nest.train.body)
        if isinstance(node, ast.Call) and (name := nest.train.frame.canonical(node.func)) and ":" not in name
        # Of `self._update_target_network()` the last part tells that it is a method.
        if _MODEL_NAME.search(name.rpartition(".")[2]) and not {name.partition(".")[0], name.rpartition(".")[2]} & own
    }
    return sorted(found) if len(found) == 1 else []


def _moves_to_cuda(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cuda"


def _stepped(step: Event) -> str:
    """The optimizer of `optimizer.step()`, and of `scaler.step(optimizer)`."""
    call = step.node
    if isinstance(call, ast.Call) and len(call.args) == 1 and "scaler" in step.receiver.lower():
        return dotted(call.args[0]) or step.receiver
    return step.receiver


def nodes_of(nest: Nest) -> Iterator[tuple[Frame, ast.AST]]:
    """Every node of the nest, with its frame."""
    for item in nest.items:
        for node in own_nodes([item.node]):
            yield item.frame, node
    for loop in [nest.train, *([nest.validation] if nest.validation else [])]:
        for node in own_nodes([loop.node]):
            yield loop.frame, node


def _is_schedule(name: str, nest: Nest, graph: CallGraph) -> bool:
    """Whether what steps under a name of any kind is one of torch's schedules, or one of the project's own."""
    makings = makings_of(name, nest, graph)
    if makings and all(making.maker.startswith("torch.optim.lr_scheduler.") for making in makings):
        return True
    if ":" in name or "(" in name:
        return False
    classes = graph.types(nest.base.function, ast.parse(name, mode="eval").body)
    return bool(classes) and all(_sets_rates(cls, graph) for cls in classes)


def _sets_rates(cls: Class, graph: CallGraph) -> bool:
    """Whether what a class's `step` does is to give an optimizer rates: it steps nothing, and asks for no gradient."""
    step = graph.find_method(cls, "step")
    if step is None or any("Optimizer" in base for one in graph.lineage(cls) for base in one.bases):
        return False
    code = [step, *(target for call in graph.calls_of(step) for target in call.targets if target.cls is not None)]
    nodes = [node for one in code for node in one.own]
    sets = any(
        isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Constant)
        and isinstance(node.value, ast.Name) and node.slice.value == "lr"
        for node in nodes
    )  # fmt: skip
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    return sets and not read & {"grad", "step"}


def is_torchs(made: Made, graph: CallGraph) -> bool:
    """Whether what was made is one of PyTorch's schedules, perhaps by a function that returns one."""
    if _full(made.call.func, made.owner.module).startswith("torch.optim."):
        return True
    makers = graph.targets(made.owner, made.call.func)
    returned = [
        (maker, node.value) for maker in makers for node in maker.own if isinstance(node, ast.Return) and node.value
    ]
    return bool(returned) and all(
        isinstance(value, ast.Call) and _full(value.func, maker.module).startswith("torch.optim.")
        for maker, value in returned
    )


def _full(func: ast.expr, module: Module) -> str:
    head, dot, rest = dotted(func).partition(".")
    return f"{module.symbols.imports.get(head, head)}{dot}{rest}"


def _models_in(call: ast.Call, base: Frame) -> list[str]:
    return [
        name
        for node in ast.walk(call)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("parameters", "named_parameters")
        and (name := base.canonical(node.func.value))
    ]


def _devices_in(owner: Function, base: Frame) -> list[str]:
    return [
        name
        for node in owner.own
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "to" and node.args
        if (name := base.canonical(node.args[0])) and "device" in name.lower()
    ]


def _schedules(base: Frame, optimizers: list[str]) -> Iterator[tuple[str, Made]]:
    """What is made from an optimizer by something named as a schedule."""
    owners = dict.fromkeys([base.function, base.module.symbols.top])
    for owner in owners:
        for node in owner.own:
            if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.value, ast.Call):
                continue
            name, maker = dotted(node.targets[0]), dotted(node.value.func)
            full = base.module.symbols.imports.get(maker.partition(".")[0], "") + "." + maker
            takes = [arg for arg in node.value.args if dotted(arg) in optimizers]
            if name and takes and ("lr_scheduler" in full or "schedul" in (name + maker).lower()):
                found = made_by(name, base)
                if found is not None:
                    yield name, found
