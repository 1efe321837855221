"""Objects that the loop steps or changes: schedules, scalers, averages, and the project's own."""

from __future__ import annotations

import ast

from lab_migrate.analysis.instances import SAME_MODULE
from lab_migrate.analysis.symbols import Class, dotted
from lab_migrate.idiomatic.beginnings import container_of, is_plain
from lab_migrate.idiomatic.checkpoint_hooks import attributes_of
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.makings import makings_of
from lab_migrate.idiomatic.objects import changed_by_methods, changing
from lab_migrate.idiomatic.plain import Kind


def keep_object(keeping: Keeping, name: str) -> None:
    """A schedule, scaler or average with a `state_dict`, or an object of the project's that changes itself."""
    if not name or ":" in name or name in keeping.seen or name in keeping.lightnings:
        return
    if "." not in name and keeping.is_made_within(name):
        return  # each batch or epoch makes it, or gives it another object's
    choices = [choice for value in keeping.made(name) for choice in _choices(value)]
    calls = [choice for choice in choices if isinstance(choice, ast.Call)]
    if len(calls) < len(choices) or any(_is_conditional(keeping, name, call) for call in calls):
        keeping.maybe.add(name)
    if len(calls) > 1 and all(_has_state(keeping.full(name, call)) for call in calls):
        calls = calls[:1]
    if len(calls) != 1:
        makings = makings_of(name, keeping.nest, keeping.graph)
        calls = [makings[0].call] if len({making.maker for making in makings}) == 1 else []
    calls = [_maker(call) for call in calls]
    if len(calls) != 1 or name in keeping.places.names.carried or is_plain(calls[0]) or container_of(calls[0]):
        return
    keeping.seen.add(name)
    inside = {id(node) for node in ast.walk(keeping.nest.epochs)}
    if all(id(call) in inside for call in calls):
        return  # each batch or epoch makes it anew
    maker = keeping.full(name, calls[0])
    is_part = name in keeping.places.names.captured
    is_schedule = name in keeping.roles.schedules and not keeping.graph.types(keeping.base.function, calls[0])
    makers = [making.maker for making in makings_of(name, keeping.nest, keeping.graph)]
    if _has_state(maker) or is_schedule or (makers and all(map(_has_state, makers))):
        if not (maker.endswith("AveragedModel") and is_part):
            keeping.keep_state(name)
    elif has_buffers(maker) or (maker == "copy.deepcopy" and calls[0].args and _copies_model(keeping, calls[0])):
        if not is_part:
            keeping.keep_state(name)
    else:
        _own(keeping, name, is_part)


def keep_unknown(keeping: Keeping, name: str) -> None:
    """What steps or is updated in the loop, and is made where nobody can see it."""
    if not name or ":" in name or name in keeping.seen or name in keeping.lightnings or name in keeping.found.lost:
        return
    if name in keeping.places.names.carried or keeping.made(name) or name in keeping.base.module.symbols.imports:
        return
    if name in keeping.places.names.captured or (name in keeping.base.function.parameters):
        keeping.seen.add(name)
        keeping.lose(name, "where it is made cannot be told")


def keep_owner(keeping: Keeping) -> None:
    """What methods of the legacy class that stay there change of it."""
    if "self" not in keeping.places.names.captured:
        return
    kept: list[str] = []
    numbers = False
    changed, why = changed_by_methods(keeping.nest, keeping.graph, keeping.values, keeping.lightnings)
    if why:
        keeping.lose("self", why)
    for attribute, kind in changed.items():
        name = f"self.{attribute}"
        if name in keeping.seen or name in keeping.lightnings or name in keeping.places.names.carried:
            continue
        keeping.seen.add(name)
        if kind is Kind.MODULE:
            keeping.keep_state(name)
            continue
        if kind is Kind.UNKNOWN or (kind is Kind.NUMBER and not keeping.generators.numpy):
            keeping.lose(
                name, "code that stays in the legacy class or elsewhere may give it more than numbers and tensors"
            )
            continue
        kept.append(attribute)
        numbers = numbers or kind is Kind.NUMBER
    if kept:
        text, key = keeping.text("self"), keeping.key("owner")
        keeping.found.keep(key, *attributes_of(text, kept, key, keeping.generators.numpy if numbers else ""))


def _own(keeping: Keeping, name: str, is_part: bool) -> None:
    classes = keeping.graph.types(keeping.base.function, ast.parse(name, mode="eval").body)
    if any(keeping.graph.is_module(cls) for cls in classes):
        if not is_part:
            keeping.keep_state(name)
        return
    if any(_inherits_state(keeping, cls) for cls in classes):
        keeping.keep_state(name)
        return
    if name == "self":
        return
    changes = changing(name, classes, keeping.nest, keeping.graph, keeping.values, keeping.lightnings)
    if changes is None:
        keeping.seen.discard(name)  # others may find that it is changed
        return
    methods = [
        keeping.graph.find_method(cls, method) for cls in classes for method in ("state_dict", "load_state_dict")
    ]
    number = keeping.generators.numpy if changes.numbers else ""
    of_all = (*changes.attributes, *changes.modules)
    if all(methods):
        keeping.keep_state(name)
    elif any(keeping.graph.find_method(cls, attribute) for cls in classes for attribute in of_all):
        keeping.lose(name, "what it keeps behind a property cannot be told")
    elif changes.why or (changes.numbers and not number):
        keeping.lose(name, changes.why or "what it holds may be numpy's")
    else:
        for module in changes.modules:
            keeping.keep_state(f"{name}.{module}")
        if changes.attributes:
            key, text = keeping.key(name.rpartition(".")[2]), keeping.text(name)
            keeping.in_part.add(name)
            keeping.keep(name, key, *attributes_of(text, list(changes.attributes), key, number))


def _inherits_state(keeping: Keeping, cls: Class) -> bool:
    """Whether a class of the project's is a schedule or scaler of torch's, whose `state_dict` has all that it holds."""
    bases = (base for one in keeping.graph.lineage(cls) for base in one.bases)
    return any(base.endswith(("LR", "LRScheduler", "LROnPlateau", "WarmRestarts", "GradScaler")) for base in bases)


def _is_conditional(keeping: Keeping, name: str, made: ast.Call) -> bool:
    """Whether the call is under an `if` that the epochs are not under, so that None may stand in its place."""
    owners = [keeping.base.function]
    if name.startswith("self."):
        owners += [owner for owner, _ in keeping.given_by_methods(name)]
    conditions = (node for owner in owners for node in owner.own if isinstance(node, ast.If))
    parts = (list(ast.walk(condition)) for condition in conditions)
    return any(
        any(part is made for part in inside) and not any(part is keeping.nest.epochs for part in inside)
        for inside in parts
    )


def _copies_model(keeping: Keeping, call: ast.Call) -> bool:
    return any(keeping.base.canonical(node) in keeping.roles.models for node in ast.walk(call) if dotted(node))


def _choices(value: ast.expr) -> list[ast.expr]:
    """What a value may be: both of `EMA(model) if args.ema else None`."""
    if isinstance(value, ast.IfExp):
        return [*_choices(value.body), *_choices(value.orelse)]
    return [value]


def _maker(call: ast.Call) -> ast.Call:
    """`copy.deepcopy(model)` of `copy.deepcopy(model).to(device).eval()`."""
    while (
        isinstance(call.func, ast.Attribute) and call.func.attr in SAME_MODULE and isinstance(call.func.value, ast.Call)
    ):
        call = call.func.value
    return call


def _has_state(maker: str) -> bool:
    """Whether what it makes is one of torch's objects that have a `state_dict`."""
    return maker.startswith("torch.optim.") or maker.endswith("GradScaler")


def has_buffers(maker: str) -> bool:
    """Whether what it makes is one of torch's modules that go on when they are called, or may hold such."""
    last = maker.rpartition(".")[2]
    return maker.startswith("torch.nn.") and ("Norm" in last or last in ("Sequential", "ModuleList", "ModuleDict"))
