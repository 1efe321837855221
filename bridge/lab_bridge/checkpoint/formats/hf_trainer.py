"""Checkpoint folders of the Hugging Face Trainer: `checkpoint-500/` with weights, optimizer, schedule, generators."""

from __future__ import annotations

import json

from lab_bridge.checkpoint.format import Format, Leaves, torch_optimizer
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Place, address
from lab_bridge.checkpoint.stored import StoredTensor

WHOLE = "model.safetensors"


def _recognises(leaves: Leaves) -> bool:
    return any(path[0].key == "trainer_state.json" for path in leaves)


def _dialect(leaves: Leaves) -> str:
    """Which file has which weights, where that is not one file of safetensors."""
    files: dict[str, list[str]] = {}
    for path, leaf in leaves.items():
        name = str(path[0].key)
        if isinstance(leaf, StoredTensor) and name.startswith(("model", "pytorch_model")):
            files.setdefault(name, []).append(str(path[-1].key))
    return "" if list(files) in ([], [WHOLE]) else json.dumps(files)


def _places(names: Names, dialect: str) -> list[Place]:
    files: dict[str, list[str]] = json.loads(dialect or "{}")
    if not files:
        weights = [Place(f"{WHOLE}/tensors/<name>", "weights/<name>")]
    elif len(files) == 1:
        weights = [Place(f"{_inside(file)}/<name>", "weights/<name>") for file in files]
    else:
        weights = [
            Place(f"{_inside(file)}/{name}", f"weights/{name}") for file, named in files.items() for name in named
        ]
    return [
        *weights,
        *torch_optimizer("optimizer.pt", "optimizer/[0]", names),
        Place("scheduler.pt/<rest...>", "schedules/[0]/<rest...>"),
        Place("scaler.pt/<rest...>", "scaler/<rest...>"),
        Place("rng_state.pth/<rest...>", "generators/train/<rest...>"),
        Place("trainer_state.json/global_step", "counters/step"),
    ]


def _inside(file: str) -> str:
    return f"{file}/tensors" if file.endswith(".safetensors") else file


FORMAT = Format(
    "hf-trainer",
    "a checkpoint folder of the Hugging Face Trainer",
    _recognises,
    _places,
    suffix="/",
    container="folder",
    rank=3,
    optimizers=lambda dialect: ("optimizer.pt",),
    dialect=_dialect,
    required=(address("weights"), address("optimizer/[0]"), address("schedules/[0]"), address("counters/step")),
    # safetensors sorts by name.
    ordered=False,
)
