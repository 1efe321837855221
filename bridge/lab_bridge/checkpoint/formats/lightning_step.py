"""Lightning checkpoints of the drop-in Trainer: a legacy training inside (`lab_adapters.StepModule`)."""

from __future__ import annotations

from importlib.metadata import version

from lab_bridge.checkpoint.format import Format, Leaves
from lab_bridge.checkpoint.formats.lab import REQUIRED, lab_optimizer, lab_parts
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Codec, Place, address
from lab_bridge.checkpoint.tree import Leaf, TreePath

#: `lab_adapters.step_module.LEGACY_KEY`, said again since importing that imports all of Lightning; a test compares.
LEGACY_KEY = "legacy_training"


def _recognises(leaves: Leaves) -> bool:
    return any(path[0].key == LEGACY_KEY for path in leaves if path) and address("pytorch-lightning_version") in leaves


# The legacy model is the submodule `model`; the module around it has versions as well, which stay Lightning's.
_INSIDE = Codec(lambda name, _: name.removeprefix("."), lambda name, _: f".{name}" if name else "")


def _places(names: Names, dialect: str) -> list[Place]:
    return [
        Place("state_dict/@_metadata/model<module>/<rest...>", "versions/<module>/<rest...>", {"module": _INSIDE}),
        Place("state_dict/model.<name>", "weights/<name>"),
        *lab_optimizer("optimizer_states/[0]/legacy"),
        *lab_parts(f"{LEGACY_KEY}/"),
        Place(f"{LEGACY_KEY}/config", "config"),
    ]


def _implied(leaves: Leaves) -> dict[TreePath, Leaf]:
    return {
        address("epoch"): 0,
        address("global_step"): leaves.get(address(f"{LEGACY_KEY}/step")),
        address("pytorch-lightning_version"): version("lightning"),
        address("lr_schedulers"): [],
    }


FORMAT = Format(
    "lightning-step",
    "a Lightning checkpoint of the drop-in Trainer",
    _recognises,
    _places,
    ".ckpt",
    rank=1,
    required=REQUIRED,
    implied=_implied,
    plain=True,
)
