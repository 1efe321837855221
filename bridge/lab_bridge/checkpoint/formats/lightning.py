"""Lightning's checkpoints."""

from __future__ import annotations

from importlib.metadata import version

from lab_bridge.checkpoint.format import Format, Leaves, torch_optimizer
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Place, address
from lab_bridge.checkpoint.tree import Leaf, TreePath


def _recognises(leaves: Leaves) -> bool:
    return address("pytorch-lightning_version") in leaves


def _places(names: Names, dialect: str) -> list[Place]:
    return [
        Place("state_dict/@_metadata/<module>/<rest...>", "versions/<module>/<rest...>"),
        Place("state_dict/<name>", "weights/<name>"),
        *torch_optimizer("optimizer_states/<i>", "optimizer/<i>", names),
        Place("lr_schedulers/<i>/<rest...>", "schedules/<i>/<rest...>"),
        Place("MixedPrecision/<rest...>", "scaler/<rest...>"),
        Place("callbacks/EMAWeightAveraging/<rest...>", "ema/<rest...>"),
        Place("epoch", "counters/epoch"),
        Place("global_step", "counters/step"),
        Place("hyper_parameters/<rest...>", "config/<rest...>"),
    ]


def _implied(leaves: Leaves) -> dict[TreePath, Leaf]:
    return {
        address("epoch"): 0,
        address("global_step"): 0,
        address("pytorch-lightning_version"): version("lightning"),
        address("optimizer_states"): [],
        address("lr_schedulers"): [],
    }


FORMAT = Format(
    "lightning",
    "a Lightning checkpoint",
    _recognises,
    _places,
    ".ckpt",
    rank=2,
    optimizers=lambda dialect: "optimizer_states/<i>",
    implied=_implied,
)
