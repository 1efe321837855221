"""Which accelerator and which device the Trainer is given: those that the program would have chosen."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.devices import condition, is_cuda, is_repeatable, names_a_number, tests_around
from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.roles import Roles, nodes_of


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
        if not any(names_a_number(value) for value in values):
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
    found = {_condition(frame, node) for frame, node in moves}
    if not found or "" in found:
        return ""
    return found.pop() if len(found) == 1 else None


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


def _condition(frame: Frame, move: ast.AST) -> str | None:
    """The conditions around one move; None where one is no plain question, or cannot be asked in the base frame."""
    tests: list[str | None] = []
    for test, holds in tests_around(frame.function.node, move):
        text = frame.in_base(test) if is_repeatable(test) else None
        tests.append(condition(test, text, holds=holds) if text is not None else None)
    return None if None in tests else " and ".join(text for text in tests if text)
