"""Home-grown training checkpoints: a dict whose keys say, in the usual words, what lies under them."""

from __future__ import annotations

import json

from lab_bridge.checkpoint.format import Format, Leaves, torch_optimizer
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Place

#: The words in use in public training code, by what they stand for.
WORDS = {
    "weights": ("model", "state_dict", "model_state_dict", "model_state", "net", "network", "module", "weights"),
    "optimizer": ("optimizer", "optimizer_state_dict", "optimizer_state", "optim", "opt"),
    "schedule": ("scheduler", "lr_scheduler", "scheduler_state_dict", "lr_scheduler_state_dict", "sched"),
    "scaler": ("scaler", "grad_scaler", "scaler_state_dict", "amp_scaler", "amp"),
    "ema": ("ema", "model_ema", "ema_model", "ema_state_dict", "state_dict_ema", "shadow"),
    "step": ("step", "global_step", "iter", "iteration", "iter_num", "steps", "it"),
    "epoch": ("epoch",),
    "config": ("config", "args", "cfg", "hparams", "hyper_parameters", "model_args"),
}


def _dialect(leaves: Leaves) -> str:
    tops = {path[0].key for path in leaves if path and path[0].kind != "attribute"}
    used = {what: next((word for word in words if word in tops), None) for what, words in WORDS.items()}
    return json.dumps({what: word for what, word in used.items() if word})


def _recognises(leaves: Leaves) -> bool:
    return "weights" in json.loads(_dialect(leaves))


def _optimizers(dialect: str) -> str | None:
    word = json.loads(dialect or "{}").get("optimizer")
    return word if isinstance(word, str) else None


def _places(names: Names, dialect: str) -> list[Place]:
    # Written for a run that never was in this format: the first word of each list.
    words = json.loads(dialect) if dialect else {what: listed[0] for what, listed in WORDS.items()}
    made: list[Place] = []
    if word := words.get("weights"):
        made += [
            Place(f"{word}/@_metadata/<module>/<rest...>", "versions/<module>/<rest...>"),
            Place(f"{word}/<name>", "weights/<name>"),
        ]
    if word := words.get("optimizer"):
        made += torch_optimizer(word, "optimizer/[0]", names)
    if word := words.get("ema"):
        made.append(Place(f"{word}/<name>", "ema/average/<name>"))
    for what, where in (("schedule", "schedules/[0]"), ("scaler", "scaler"), ("config", "config")):
        if word := words.get(what):
            made.append(Place(f"{word}/<rest...>", f"{where}/<rest...>"))
    for what in ("step", "epoch"):
        if word := words.get(what):
            made.append(Place(word, f"counters/{what}"))
    return made


FORMAT = Format(
    "home-grown",
    "a home-grown training checkpoint",
    _recognises,
    _places,
    rank=7,
    optimizers=_optimizers,
    dialect=_dialect,
)
