"""Home-grown training checkpoints: a dict whose keys say, in the usual words, what lies under them.

Weights and averages are known by words and by what lies there; optimizers and schedules by their own keys, wherever
they stand: alone, in a list, in a dict, each under a word of its own. Where no usual word has weights, every dict of
tensors is a model, and its weights have its name in front, as the attributes of one module would.
"""

from __future__ import annotations

import json
from typing import Any

import attrs

from lab_bridge.checkpoint.format import Format, Leaves, torch_optimizer
from lab_bridge.checkpoint.inert import NumpyValue
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Place
from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.tree import Step, TreePath

#: The words in use in public training code, by what they stand for.
WORDS = {
    "weights": ("model", "state_dict", "model_state_dict", "model_state", "net", "network", "module", "weights"),
    "schedule": ("scheduler", "lr_scheduler", "scheduler_state_dict", "lr_scheduler_state_dict", "sched"),
    "scaler": ("scaler", "grad_scaler", "scaler_state_dict", "amp_scaler", "amp"),
    "ema": ("ema", "model_ema", "ema_model", "ema_state_dict", "state_dict_ema", "shadow"),
    "step": ("step", "global_step", "iter", "iteration", "iter_num", "steps", "it"),
    "epoch": ("epoch",),
    "config": ("config", "args", "cfg", "hparams", "hyper_parameters", "model_args"),
}


@attrs.frozen
class _Words:
    """What stands where in a file; written for a run that never was in this format: the first word of each list."""

    weights: tuple[str, ...] = ("model",)
    #: Whether the weights have the word they lie under in front of their names.
    several: bool = False
    optimizers: tuple[str, ...] = ("optimizer", *(f"optimizer_{i}" for i in range(1, 8)))
    schedules: tuple[str, ...] = ("scheduler", *(f"scheduler_{i}" for i in range(1, 8)))
    ema: str = "ema"
    #: Under which key of the averages they lie, where not directly there.
    ema_inner: str = ""
    scaler: str = "scaler"
    step: str = "step"
    epoch: str = "epoch"
    config: str = "config"


def _dialect(leaves: Leaves) -> str:
    tops = list(dict.fromkeys(path[0].key for path in leaves if path and path[0].kind != "attribute"))
    tensors = _tables(leaves, 1)
    words_of_tensors = {
        path[0].key for path, leaf in leaves.items() if len(path) == 2 and isinstance(leaf, StoredTensor)
    }
    weights = next(((word,) for word in WORDS["weights"] if word in words_of_tensors), ())
    several = tuple(str(at[0].key) for at in tensors if at[0].key not in WORDS["ema"]) if not weights else ()
    found = {what: next((word for word in words if word in tops), "") for what, words in WORDS.items()}
    ema = next((at for at in (*tensors, *_tables(leaves, 2)) if at[0].key in WORDS["ema"]), None)
    schedules = _holders(leaves, ("last_epoch",)) or ([found["schedule"]] if found["schedule"] else [])
    step, epoch = (
        next((word for word in WORDS[what] if _is_count(leaves.get((Step(word),)))), "") for what in ("step", "epoch")
    )
    words = _Words(
        weights or several,
        bool(several),
        tuple(_holders(leaves, ("param_groups", 0))),
        tuple(schedules),
        ema=str(ema[0].key) if ema else found["ema"],
        ema_inner=str(ema[1].key) if ema and len(ema) > 1 else "",
        scaler=found["scaler"],
        config=found["config"],
        step=step,
        epoch=epoch,
    )
    return json.dumps(attrs.asdict(words))


def _is_count(leaf: object) -> bool:
    return (isinstance(leaf, int) and not isinstance(leaf, bool)) or (isinstance(leaf, NumpyValue) and leaf.scalar)


def _tables(leaves: Leaves, depth: int) -> list[TreePath]:
    """Where, so deep, there is a table of tensors by dotted names, and nothing else."""
    only: dict[TreePath, bool] = {}
    dotted: set[TreePath] = set()
    for path, leaf in leaves.items():
        if len(path) <= depth or path[depth].kind == "attribute":
            continue
        at = path[:depth]
        good = len(path) == depth + 1 and isinstance(leaf, StoredTensor) and isinstance(path[depth].key, str)
        only[at] = only.get(at, True) and good
        if (good and str(path[depth].key).endswith(("weight", "bias"))) or (good and "." in str(path[depth].key)):
            dotted.add(at)
    return [at for at, good in only.items() if good and at in dotted]


def _holders(leaves: Leaves, key: tuple[object, ...]) -> list[str]:
    """Patterns of what has this key at the top, or one below it: the optimizers, the schedules."""
    found: dict[str, None] = {}
    for path in leaves:
        for depth in (1, 2):
            if tuple(step.key for step in path[depth : depth + len(key)]) == key:
                steps = path[:depth]
                plain = all(isinstance(step.key, int) or not {*str(step.key)} & {*"/<[@"} for step in steps)
                if plain and all(step.kind in ("dict", "ordered", "list") for step in steps):
                    found["/".join(f"[{step.key}]" if step.kind == "list" else str(step.key) for step in steps)] = None
                break
    return list(found)


def _read(dialect: str) -> _Words:
    told: dict[str, Any] = json.loads(dialect) if dialect else {}
    plain: dict[str, Any] = {what: tuple(value) if isinstance(value, list) else value for what, value in told.items()}
    return _Words(**plain)


def _recognises(leaves: Leaves) -> bool:
    return bool(_read(_dialect(leaves)).weights)


def _places(names: Names, dialect: str) -> list[Place]:
    words = _read(dialect)
    made: list[Place] = []
    for word in words.weights:
        prefix = f"{word}." if words.several else ""
        made.append(Place(f"{word}/<name>", f"weights/{prefix}<name>"))
        if not words.several:
            made.append(Place(f"{word}/@_metadata/<module>/<rest...>", "versions/<module>/<rest...>"))
    for number, path in enumerate(words.optimizers):
        made += torch_optimizer(path, f"optimizer/[{number}]", names, number)
    made += [Place(f"{path}/<rest...>", f"schedules/[{i}]/<rest...>") for i, path in enumerate(words.schedules)]
    if words.ema:
        inner = f"/{words.ema_inner}" if words.ema_inner else ""
        made.append(Place(f"{words.ema}{inner}/<name>", "ema/average/<name>"))
        if words.ema_inner:
            made.append(Place(f"{words.ema}/<rest...>", "ema/<rest...>"))
    for word, where in ((words.scaler, "scaler"), (words.config, "config")):
        if word:
            made.append(Place(f"{word}/<rest...>", f"{where}/<rest...>"))
    for word, where in ((words.step, "counters/step"), (words.epoch, "counters/epoch")):
        if word:
            made.append(Place(word, where))
    return made


FORMAT = Format(
    "home-grown",
    "a home-grown training checkpoint",
    _recognises,
    _places,
    rank=7,
    optimizers=lambda dialect: _read(dialect).optimizers,
    dialect=_dialect,
)
