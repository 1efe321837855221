"""The LightningModule under automatic optimization, and what its optimizer needs."""

from __future__ import annotations

from typing import Any

from lab_migrate.native.parts.objective import objective
from lab_migrate.native.parts.precision import (
    autocast_of,
    half_weights_of,
    has_scaler,
    kinds_of,
    own_imports,
    scaler_of,
)
from lab_migrate.native.sheet import STANDARD, Sheet
from lab_migrate.native.tuned import Tuned

__all__ = ["imports_of", "module", "optimizer_file", "own_clips"]


def module(sheet: Sheet) -> None:
    """Loss, optimizer, schedule, clipping where Lightning has not the formula."""
    (optimizer,) = sheet.optimizers
    told = objective(sheet)
    lines = optimizer.built("self.model")
    schedule = optimizer.scheduled()
    if schedule is not None:
        lines.append(f"schedule = {schedule}")
        lines.append('return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}')
    else:
        lines[-1] = lines[-1].replace("optimizer = ", "return ", 1)
    clipping, windows = optimizer.clipping, sheet.windows
    scaler = scaler_of(sheet.trainer, sheet.schema) if windows is not None else None
    scalers = [scaler] if scaler is not None else []
    sheet.own["module.py"] = told | {
        "imports": [
            *told["imports"],
            *imports_of(sheet),
            *(f"from {sheet.package}.precision import {kind}" for kind in kinds_of(scalers)),
            *own_imports(sheet.package, scalers),
        ],
        "autocast": autocast_of(sheet.trainer, sheet.schema, windows is not None),
        "own_scaler": scaler,
        "half": half_weights_of(sheet.trainer),
        "masters": optimizer.masters,
        "zeros": optimizer.zeros,
        "share": sheet.sharpness.share if sheet.sharpness is not None else 1,
        "climbs": sheet.sharpness is not None,
        "two_phase": sheet.sharpness is not None and sheet.sharpness.first,
        "may_skip": schedule is not None and has_scaler(sheet.trainer.optimizer),
        "clip": None
        if clipping is None or not (clipping.code or windows)
        else {
            "doc": clipping.doc,
            "code": clipping.lines(),
            "named": clipping.named,
            "algorithm": clipping.algorithm,
        },
        "scheduled": schedule is not None,
        "own_clips": own_clips(sheet),
        "optimizers": lines,
        "optimizers_type": "dict[str, Any]" if schedule is not None else "torch.optim.Optimizer",
        "optimizers_doc": "The optimizer, and its schedule, which moves with every update."
        if schedule is not None
        else "The optimizer.",
    }
    optimizer_file(sheet)


def own_clips(sheet: Sheet) -> list[dict[str, str]]:
    """What a module keeps of the ways of clipping that are the project's own, which get a file."""
    found = [(one.prefix, one.clipping.own) for one in sheet.optimizers if one.clipping and one.clipping.own]
    if found:
        imports = [
            *STANDARD,
            "from collections.abc import Sequence",
            *(line for _, own in found for line in own.imports),
        ]
        code = list(dict.fromkeys(own.code for _, own in found))
        sheet.own["clipping.py"] = {"imports": list(dict.fromkeys(imports)), "code": code}
    return [{"field": f"{prefix}clipping", "made": own.made} for prefix, own in found]


def imports_of(sheet: Sheet) -> list[str]:
    """What a module imports of torch and of the package."""
    own = {one.origin for one in sheet.optimizers if one.code is not None and not one.around}
    own |= {one.around for one in sheet.optimizers if one.around}
    own |= {"parameter_groups"} if any(one.grouped for one in sheet.optimizers) else set()
    clips = [one.clipping for one in sheet.optimizers if one.clipping is not None]
    return [
        *STANDARD,
        f"from {sheet.package}.data import Passes, Steps",
        f"from {sheet.package}.config import Config",
        f"from {sheet.package}.model import build_model",
        "from lightning_utilities.core.apply_func import apply_to_collection",
        *([f"from {sheet.package}.optimizer import {', '.join(sorted(own))}"] if own else []),
        *(f"from {sheet.package}.clipping import {clip.own.name}" for clip in clips if clip.own is not None),
        f"from {sheet.package}.schedule import Schedule, by_losses, by_passes, held, late",
        "from functools import partial",
        *(one.imported for o in sheet.optimizers for one in o.schedules if one.settings is not None and one.imported),
    ]


def optimizer_file(sheet: Sheet) -> None:
    """Optimizers that torch does not have, and groups of parameters."""
    own: list[dict[str, Any]] = []
    for made in (_class(one) for one in sheet.optimizers if one.code is not None):
        own += [made] if made not in own else []  # two of one name are seen when the file is written
    grouped = [one for one in sheet.optimizers if one.grouped]
    if not own and not grouped and not any(one.around for one in sheet.optimizers):
        return
    needed = [line for one in sheet.optimizers if one.code is not None for line in one.code.imports]
    sheet.own["optimizer.py"] = {
        "own": own,
        "sam": sheet.optimizers[0].origin if sheet.sharpness is not None else None,
        "masters": next((one.origin for one in sheet.optimizers if one.masters), None),
        "groups": bool(grouped),
        "decay_groups": any(one.decay_multipliers is not None for one in grouped),
        "lr_groups": any(one.multipliers is not None for one in grouped),
        "imports": [*STANDARD, *needed],
    }


def _class(optimizer: Tuned) -> dict[str, Any]:
    code = optimizer.code
    assert code is not None
    defaults = {one["name"]: one["name"] for one in optimizer.fields}
    defaults |= {name: repr(value) for name, value in code.fixed.items()}
    body = "\n".join(code.body)
    if '["decay"]' in body:
        defaults.setdefault("decay", "0.0")  # as Lab's base has it
    if code.counts:
        defaults["updates"] = "0"
    return {
        "name": optimizer.kind,
        "doc": code.doc,
        "signature": ", ".join(f"{one['name']}: {one['type']}" for one in optimizer.fields),
        "defaults": "{" + ", ".join(f'"{name}": {value}' for name, value in defaults.items()) + "}",
        "body": [f"        {line}" if line else line for line in code.body],
        "slots": code.slots,
    }
