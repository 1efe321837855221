"""Checkpoints of MMEngine's Runner. Their message hub holds objects: read them with `--objects-as-data`."""

from __future__ import annotations

from lab_bridge.checkpoint.format import Format, Leaves, torch_optimizer
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Place, address


def _recognises(leaves: Leaves) -> bool:
    return address("meta/mmengine_version") in leaves


def _places(names: Names, dialect: str) -> list[Place]:
    return [
        Place("state_dict/@_metadata/<module>/<rest...>", "versions/<module>/<rest...>"),
        Place("state_dict/<name>", "weights/<name>"),
        *torch_optimizer("optimizer", "optimizer/[0]", names),
        Place("param_schedulers/<i>/<rest...>", "schedules/<i>/<rest...>"),
        Place("ema_state_dict/<name>", "ema/average/<name>"),
        Place("meta/epoch", "counters/epoch"),
        Place("meta/iter", "counters/step"),
        Place("meta/cfg", "config/cfg"),
    ]


FORMAT = Format(
    "mmengine",
    "a checkpoint of MMEngine's Runner",
    _recognises,
    _places,
    ".pth",
    rank=3,
    optimizers=lambda dialect: ("optimizer",),
    required=(address("weights"), address("counters/step")),
)
