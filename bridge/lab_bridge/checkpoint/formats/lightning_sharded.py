"""Lightning's sharded checkpoints (FSDP, ModelParallelStrategy): a folder of torch.distributed.checkpoint.

Optimizer state goes by parameter name there. A folder of anybody else's is read the same way, where it has a
`state_dict` and `optimizer_0`, as Fabric writes them.
"""

from __future__ import annotations

from importlib.metadata import version

from lab_bridge.checkpoint.format import Format, Leaves
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Codec, Place, address
from lab_bridge.checkpoint.tree import Leaf, TreePath

#: Optimizers that a file may have.
MOST = 8
#: torch.distributed.checkpoint writes every key of a dict as text; no parameter is called by a number.
_TEXT = Codec(
    lambda key, _: int(key) if isinstance(key, str) and key.isdigit() else key,
    lambda key, _: str(key) if isinstance(key, int) else key,
)


def _recognises(leaves: Leaves) -> bool:
    return any(path[0].key == "state_dict" for path in leaves)


def _places(names: Names, dialect: str) -> list[Place]:
    optimizers = [
        place
        for i in range(MOST)
        for place in (
            Place(
                f"optimizer_{i}/state/<parameter>/<slot...>", f"optimizer/[{i}]/state/<parameter>/<slot...>",
                {"parameter": _TEXT},
            ),
            Place(f"optimizer_{i}/<rest...>", f"optimizer/[{i}]/<rest...>"),
        )
    ]  # fmt: skip
    return [
        Place("versions/<module>/<rest...>", "versions/<module>/<rest...>"),
        Place("state_dict/<name>", "weights/<name>"),
        *optimizers,
        Place("lr_schedulers/<i>/<rest...>", "schedules/<i>/<rest...>"),
        Place("MixedPrecision/<rest...>", "scaler/<rest...>"),
        Place("epoch", "counters/epoch"),
        Place("global_step", "counters/step"),
        Place("hyper_parameters/<rest...>", "config/<rest...>"),
        # What only Lightning knows of lies in the same places in its checkpoints of one file.
        *(Place(f"{top}/<rest...>", f"carried/lightning/{top}/<rest...>") for top in ("loops", "callbacks")),
    ]


def _implied(leaves: Leaves) -> dict[TreePath, Leaf]:
    return {
        address("epoch"): 0,
        address("global_step"): 0,
        address("pytorch-lightning_version"): version("lightning"),
    }


FORMAT = Format(
    "lightning-sharded",
    "a sharded checkpoint folder of Lightning",
    _recognises,
    _places,
    suffix="/",
    container="dcp",
    rank=4,
    implied=_implied,
    plain=True,
)
