"""The files of a native project: from a typed config to Lightning code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from lab_bridge.config.schema import Schema
from lab_migrate.native.adversarial import adversarial, is_adversarial
from lab_migrate.native.clipping import telling_norm
from lab_migrate.native.distinct import require_distinct
from lab_migrate.native.draws import Draws
from lab_migrate.native.entry import Entry
from lab_migrate.native.lookahead import Ahead
from lab_migrate.native.parts.callbacks import anneals, callbacks
from lab_migrate.native.parts.data import data
from lab_migrate.native.parts.model import model
from lab_migrate.native.parts.module import module
from lab_migrate.native.parts.objective import objective_file
from lab_migrate.native.parts.precision import kinds_of, own_imports, scaler_of, scalers_of, scaling_file
from lab_migrate.native.parts.schedule import schedule
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.relinked import of_file
from lab_migrate.native.rendering import formatted, rendered
from lab_migrate.native.sam import Sharpness
from lab_migrate.native.sheet import Sheet, class_name
from lab_migrate.native.tuned import tuned
from lab_migrate.native.windows import windows_of

__all__ = ["Written", "written"]

FORGOTTEN = (
    "Lab forgets on a resume which learning rates hooks had set, until they set them again; checkpoints of the native "
    "training hold them"
)


@attrs.frozen
class Written:
    """The package's and the module's name, how it is optimized, and the text of every file.

    `better` says where a resumed run trains on as one that was never interrupted, which Lab's does not.
    """

    package: str
    name: str
    optimization: str
    files: Mapping[str, str]
    better: tuple[str, ...] = ()


def written(
    script: Entry, package: str, stem: str, title: str, trainer: Any, schema: Schema, draws: Draws,
    ahead: Ahead | None = None, sharpness: Sharpness | None = None, linked: Sequence[str] = (),
    made_early: bool = False,
) -> Written:  # fmt: skip
    """Write a project. Raises `NotNativeError` for what has no native form."""
    several = is_adversarial(trainer)
    parts = trainer.optimizer.optimizers.items() if several else (("", trainer.optimizer),)
    radius = sharpness.radius if sharpness is not None else None
    optimizers = tuple(tuned(getattr(one, "config", one), schema, role, radius) for role, one in parts)
    windows = None if several else windows_of(trainer)
    sheet = Sheet(
        package,
        class_name(stem),
        title,
        trainer,
        schema,
        draws,
        optimizers,
        ahead,
        sharpness,
        tuple(linked),
        windows,
        made_early,
    )
    context = _context(sheet)
    context |= {
        "entry": script.path, "entry_module": script.path.removesuffix(".py").replace("/", "."), "doc": title,
        "shebang": script.shebang, "effects": script.effects,
    }  # fmt: skip
    folder = script.path.rpartition("/")[0]
    files = {
        f"{package}/__init__.py": f'"""{title}"""\n',
        script.path.rpartition("/")[2]: rendered("train.py", {**context, "doc": script.doc.replace(" with Lab", "")}),
        "test_parity.py": rendered("test_parity.py", context),
    }
    for one, own in sorted(sheet.own.items()):
        files[f"{package}/{one}"] = rendered(one, {**context, **own})
    for path, text in files.items():
        require_distinct(path, text)
    prefix = f"{folder}/" if folder else ""
    made = {prefix + path: text for path, text in formatted(files, sheet.modules).items()}
    optimization = "manual" if several or windows is not None else "automatic"
    return Written(package, sheet.name, optimization, made, (FORGOTTEN,) if "groups" in context["asked"] else ())


def _context(sheet: Sheet) -> dict[str, Any]:
    """What all templates are told; what is one's own lies in `sheet.own`."""
    trainer = sheet.trainer
    if trainer.loader is None or trainer.device not in ("cpu", "cuda"):
        raise NotNativeError("LM405", f"Trainer.device is {trainer.device!r}", "bind Trainer.device to 'cpu' or 'cuda'")
    several = is_adversarial(trainer)
    accumulate = getattr(trainer.optimizer, "accumulate", 1)
    every = trainer.stepper.critic_steps if several else getattr(accumulate, "every", accumulate)
    by_hand = several or sheet.windows is not None
    batches = None if every == 1 or sheet.windows is not None else "critic_steps" if several else "accumulate"
    told = callbacks(sheet, batches)
    if "norm" in told["asked"]:
        _tell_norm(sheet)
    clip = None if by_hand else sheet.optimizers[0].clipping
    made = told | {
        "package": sheet.package, "name": sheet.name, "every": every, "batches": batches, "doc": sheet.title,
        "stays_training": not getattr(trainer.evaluation, "eval_mode", True),
        "steps": trainer.steps, "seed": trainer.seed, "eval_every": trainer.eval_every,
        "eval_batches": trainer.eval_batches, "log_every": trainer.log_every,
        "checkpoint_every": trainer.checkpoint_every, "has_evaluation": sheet.evaluates,
        "run_dir": repr(str(trainer.run_dir).replace("runs/default", f"runs/{sheet.package}")),
        "compiled": trainer.compiled, "accelerator": "cpu" if trainer.device == "cpu" else "cuda",
        "adversarial": several, "by_hand": by_hand, "windows": sheet.windows,
        "clip_algorithm": clip.algorithm if clip is not None else None,
        "scaler": None if by_hand else scaler_of(trainer, sheet.schema),
    }  # fmt: skip
    single = None if several else scaler_of(trainer, sheet.schema)
    scalers = scalers_of(trainer, sheet.schema) if several else {"": single} if single is not None else {}
    used = [*scalers.values()]
    made["counted"] = by_hand and ("generator" if several else "") in scalers
    kinds = kinds_of(used)
    made["scaled"] = made["scaler"] is not None and not made["scaler"]["casts"]
    if kinds or made["counted"] or made["scaled"]:
        sheet.own["precision.py"] = {"kinds": kinds}
    made["precision_names"] = [
        *(["Counted"] if made["counted"] else []),
        *(["ScaledLosses"] if made["scaled"] else []),
        *(kinds if not by_hand else []),
    ]
    made["scaler_imports"] = [] if by_hand else own_imports(sheet.package, used)
    if any(one["own"] is not None for one in used):
        sheet.own["scaling.py"] = scaling_file(used)
    model(sheet)
    dealt = data(sheet, batches)
    made["deals_passes"] = sheet.own["data.py"]["deals_passes"]
    if several:
        adversarial(sheet, made["asked"])
    else:
        module(sheet)
    objective_file(sheet, of_file("objective", sheet.linked))
    schedule(sheet)
    listed = [*(one for optimizer in sheet.optimizers for one in optimizer.schedules)]
    listed += [one.schedule for one in anneals(sheet)]
    own = sorted({one.name for one in listed if one.code is not None})
    sheet.own["config.py"] = {
        "optimizers": [
            {
                "field": one.field, "class": one.class_name, "kind": one.kind, "fields": one.fields, "role": one.role,
                "clip": None if one.clipping is None else {"field": f"{one.prefix}clip", "limit": one.clipping.limit},
            }
            for one in sheet.optimizers
        ],
        "schedules": [one for one in listed if one.has_field],
        "functions": list({one.name: one for one in listed if one.has_field and one.settings is not None}.values()),
        "schedule_imports": [
            *([f"from {sheet.package}.schedule import {', '.join(own)}"] if own else []),
            *dict.fromkeys(one.imported for one in listed if one.imported and one.settings is None),
        ],
        "train": dealt.train, "evaluation": dealt.evaluation, "shards": sheet.own["data.py"]["shards"],
        "share": sheet.sharpness.share if sheet.sharpness is not None else 1,
        "radius": sheet.sharpness.radius if sheet.sharpness is not None else None,
        "start": trainer.stepper.start if several else 0, "penalty": trainer.stepper.penalty if several else 0,
        "penalty_every": trainer.stepper.penalty_every if several else 1,
    }  # fmt: skip
    of_module = sheet.own["module.py"]
    early = of_module["objective"] is not None and sheet.made_early
    # What the script's modules do when they are imported comes before its imports, and nothing before __future__'s.
    imports = [line for line in of_module["imports"] if "__future__" not in line]
    made["early_objective"] = {"source": of_module["objective"], "imports": imports} if early else None
    return made | {"max_epochs": 1 if dealt.endless else -1}


def _tell_norm(sheet: Sheet) -> None:
    """The module keeps the norm of a step's gradients. Raises `NotNativeError` where Lab's optimizer has none."""
    if len(sheet.optimizers) > 1 or sheet.ahead is not None or sheet.sharpness is not None:
        raise NotNativeError(
            "LM405", "a hook looks at last_norm, which several optimizers, or one around another, do not have",
            "drop the hook",
        )  # fmt: skip
    (optimizer,) = sheet.optimizers
    sheet.optimizers = (attrs.evolve(optimizer, clipping=telling_norm(optimizer.clipping)),)
