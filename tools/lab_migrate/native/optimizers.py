"""Lab's optimizers as torch's: the arithmetic of `update`, taken over as it stands."""

from __future__ import annotations

import textwrap
from typing import Any

from lab_bridge.config.schema import Schema
from lab_migrate.native.lift import class_doc, method_source
from lab_migrate.native.refused import NotNativeError

__all__ = ["clip_of", "counts_updates", "kept_fields", "own_optimizer"]

#: Settings that say how gradients come to the update, not what it does with them.
STRUCTURAL = {"accumulate", "clip_norm", "multipliers", "decay_multipliers", "schedule", "gradients", "model"}
HOMES = {"Adam": "adam", "SGD": "sgd", "LAMB": "lamb", "RAdam": "radam"}


def own_optimizer(optimizer: Any, fields: list[dict[str, str]]) -> dict[str, Any] | None:
    """What the template is told of one of Lab's optimizers; None for torch's own."""
    kind = type(optimizer).__name__
    if kind == "Torch":
        return None
    target = f"legacy_lab.optim.{HOMES[kind]}.{kind}"
    body = textwrap.dedent(method_source(target, "update")).split("\n", 2)[2]
    body = body.replace("for group in self.groups:", "for group in self.param_groups:")
    body = body.replace(
        'for name, parameter in zip(group["names"], group["params"], strict=True):', 'for parameter in group["params"]:'
    )
    body = body.replace("self.slot(name, parameter, ", "self.slots(parameter, ")
    lines = body.replace("    step = self.steps + 1\n", "").replace("(self.steps + 1)", "step").splitlines()
    counts = counts_updates(optimizer)
    if counts:
        at = next(at for at, line in enumerate(lines) if line.startswith("    for group"))
        lines[at + 1 : at + 1] = ['        group["updates"] += 1', '        step = group["updates"]']
    defaults = [f'"{one["name"]}": {one["name"]}' for one in fields] + ['"updates": 0'] * counts
    return {
        "name": kind,
        "doc": class_doc(target),
        "signature": ", ".join(f"{one['name']}: {one['type']}" for one in fields),
        "defaults": "{" + ", ".join(defaults) + "}",
        "body": [f"    {line}" if line else line for line in lines],
        "slots": True,
    }


def kept_fields(optimizer: Any, schema: Schema) -> list[dict[str, str]]:
    """The optimizer's plain hyperparameters, with their types and values."""
    builder = schema.builder_of(optimizer)
    assert builder is not None
    if type(optimizer).__name__ == "Torch":
        fields = [{"name": "lr", "type": "float", "value": repr(optimizer.lr)}]
        for name, value in (optimizer.settings or {}).items():
            kind = "tuple[float, ...]" if isinstance(value, list | tuple) else type(value).__name__
            spelled = repr(tuple(value) if isinstance(value, list) else value)
            fields.append({"name": name, "type": kind, "value": spelled})
        return fields
    return [
        {"name": one.name, "type": one.type, "value": repr(getattr(optimizer, one.name))}
        for one in builder.parameters
        if one.name not in STRUCTURAL
    ]


def counts_updates(optimizer: Any) -> bool:
    """Whether the update asks how many there were before it, so that the native optimizer's groups count them."""
    kind = type(optimizer).__name__
    return kind in HOMES and "self.steps" in method_source(f"legacy_lab.optim.{HOMES[kind]}.{kind}", "update")


def clip_of(optimizer: Any) -> dict[str, Any] | None:
    """Lightning's own clipping where it has the formula, else the formula; None without clipping."""
    clip: Any = getattr(optimizer.gradients, "clip", None)
    if optimizer.clip_norm is not None:
        kind, limit = "ClipNorm", optimizer.clip_norm
    elif clip is None:
        return None
    else:
        kind, limit = type(clip).__name__, clip.limit
    if kind == "ClipTorchNorm":
        return {"limit": limit, "code": None, "algorithm": "norm"}
    if kind == "ClipValue":
        return {"limit": limit, "code": None, "algorithm": "value"}
    if kind == "ClipNorm":
        return {
            "limit": limit,
            "doc": "All gradients times `clip / norm` where their global norm is above; no epsilon, unlike torch's.",
            "code": [
                "norm = float(torch.stack([p.grad.square().sum() for p in parameters]).sum().sqrt())",
                "if norm > self.config.clip:",
                "    for parameter in parameters:",
                "        parameter.grad.mul_(self.config.clip / norm)",
            ],
        }
    if kind == "ClipAdaptive":
        return {
            "limit": limit,
            "doc": "Each gradient's norm is at most `clip` times its parameter's (https://arxiv.org/abs/2102.06171).",
            "code": [
                "for parameter in parameters:",
                f"    largest = parameter.detach().norm().clamp_(min={clip.floor!r}) * self.config.clip",
                "    norm = parameter.grad.norm()",
                "    if norm > largest:",
                "        parameter.grad.mul_(largest / norm)",
            ],
        }
    raise NotNativeError("LM405", f"gradients are clipped by {kind}, which has no native form yet", "stay at level L2")
