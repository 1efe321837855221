"""Which accelerator and which device the Trainer is given: those that the program would have chosen."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from lab_migrate.analysis.devices import is_cuda, is_repeatable, may_have_a_number, tests_around
from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.roles import Roles, nodes_of

#: Tests, and whether each holds.
Conditions = tuple[tuple[str, bool], ...]


def accelerator_of(nest: Nest, roles: Roles) -> str:
    """The text of the Trainer's `accelerator`, as the base frame would write it."""
    device = _device(roles)
    if device:
        made = [isinstance(value, ast.Call) and "device" in dotted(value.func).replace("accelerator", "device")
                for value in _makings(device, nest.base)]  # fmt: skip
        return f"{device}.type" if made and all(made) else f"torch.device({device}).type"
    model = roles.models[0]
    if roles.hard_cuda:
        conditions = cuda_conditions(nest, roles)
        if conditions is None:
            return f"next({model}.parameters()).device.type"
        return f'"cuda" if {conditions} else "cpu"' if conditions else '"auto"'
    made_here = any(dotted(target) == model for node in nest.base.function.own if isinstance(node, ast.Assign)
                    for target in node.targets)  # fmt: skip
    return '"cpu"' if made_here else f"next({model}.parameters()).device.type"


def devices_of(nest: Nest, roles: Roles) -> str:
    """The text of the Trainer's `devices` for a training in one process: 1, or the number that the program chose."""
    device = _device(roles)
    if device:
        values = _makings(device, nest.base)
        if values and not any(may_have_a_number(value) for value in values):
            return "1"
        text = device if accelerator_of(nest, roles) == f"{device}.type" else f"torch.device({device})"
        return f'[{text}.index or 0] if {text}.type == "cuda" else 1'
    chosen = any(
        isinstance(node, ast.Call) and dotted(node.func).endswith("cuda.set_device")
        for node in ast.walk(nest.base.module.tree)
    )
    if not chosen or not roles.hard_cuda:
        return "1"
    conditions = cuda_conditions(nest, roles)
    if conditions is None:
        conditions = f'{accelerator_of(nest, roles)} == "cuda"'
    return f"[torch.cuda.current_device()] if {conditions or 'torch.cuda.is_available()'} else 1"


def cuda_conditions(nest: Nest, roles: Roles) -> str | None:
    """Under which condition the program moves its models to the GPU: empty for always, None where that cannot be told.

    Where no model is moved in the base frame, what is moved in the epochs tells.
    """
    base = nest.base
    if roles.distributed is not None:
        return ""
    moves = [(base, node) for node in _model_moves(base, roles)]
    moves = moves or [(frame, node) for frame, node in nodes_of(nest) if is_cuda(node)]
    moves = moves or [(base, node) for node in base.function.own if is_cuda(node)]
    around = {id(test) for test, _ in tests_around(base.function.node, nest.epochs)}
    found = _merged([_condition(frame, node, around) for frame, node in moves])
    if not found or () in found:
        return ""
    if len(found) > 1 or found[0] is None:
        return None
    return " and ".join(text if holds else f"not {text}" for text, holds in found[0])


def _merged(conditions: list[Conditions | None]) -> list[Conditions | None]:
    """Each once; those of both branches of an `if` are the conditions around it."""
    found = list(dict.fromkeys(conditions))
    for one in found:
        other = (*one[:-1], (one[-1][0], not one[-1][1])) if one else None
        if one and other in found:
            return _merged([one[:-1], *(each for each in found if each not in (one, other))])
    return found


def _device(roles: Roles) -> str:
    return next((name for name in roles.devices if ":" not in name), "")


def _makings(device: str, base: Frame) -> list[ast.expr]:
    """What is assigned to the device's name in the function that trains, and at the file's top."""
    return [
        node.value
        for owner in dict.fromkeys([base.function, base.module.symbols.top])
        for node in owner.own
        if isinstance(node, ast.Assign) and any(dotted(target) == device for target in node.targets)
    ]


def _model_moves(base: Frame, roles: Roles) -> Iterator[ast.AST]:
    """`model.cuda()`, and what is assigned to a model and holds a `.cuda()`."""
    for node in base.function.own:
        if isinstance(node, ast.Assign) and any(base.canonical(target) in roles.models for target in node.targets):
            yield from (one for one in ast.walk(node.value) if is_cuda(one))
        elif is_cuda(node):
            assert isinstance(node, ast.Call)
            assert isinstance(node.func, ast.Attribute)
            if base.canonical(node.func.value) in roles.models:
                yield node


def _condition(frame: Frame, move: ast.AST, around: Collection[int]) -> Conditions | None:
    """The conditions around one move; None where one is no plain question, or cannot be asked in the base frame.

    Those `around` the epochs hold where the Trainer is made.
    """
    found: list[tuple[str, bool]] = []
    for test, holds in tests_around(frame.function.node, move):
        if id(test) in around:
            continue
        text = frame.in_base(test) if is_repeatable(test) else None
        if text is None:
            return None
        found.append((text if isinstance(test, ast.Name | ast.Attribute | ast.Call) else f"({text})", holds))
    return tuple(found)
