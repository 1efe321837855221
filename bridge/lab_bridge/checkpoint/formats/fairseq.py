"""Checkpoints of fairseq (`fairseq/trainer.py`, `Trainer.state_dict`). Their arguments are objects, unless they are
the plain dict of a hydra config: read them with `--objects-as-data`."""

from __future__ import annotations

from lab_bridge.checkpoint.format import Format, Leaves, torch_optimizer
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Place, address


def _recognises(leaves: Leaves) -> bool:
    tops = {path[0].key for path in leaves if path}
    return {"model", "optimizer_history", "extra_state"} <= tops


def _dialect(leaves: Leaves) -> str:
    """The number of the last entry of the history, which is the run's own."""
    counts = [int(path[1].key) for path in leaves if path[0].key == "optimizer_history" and len(path) > 1]
    return str(max(counts, default=0))


def _places(names: Names, dialect: str) -> list[Place]:
    last = f"optimizer_history/[{dialect or 0}]"
    return [
        Place("model/@_metadata/<module>/<rest...>", "versions/<module>/<rest...>"),
        Place("model/<name>", "weights/<name>"),
        *torch_optimizer("last_optimizer_state", "optimizer/[0]", names),
        Place(f"{last}/num_updates", "counters/step"),
        Place(f"{last}/lr_scheduler_state/<rest...>", "schedules/[0]/<rest...>"),
        Place("extra_state/train_iterator/epoch", "counters/epoch"),
        Place("extra_state/train_iterator/<rest...>", "loader/train/<rest...>"),
        Place("cfg/<rest...>", "config/<rest...>"),
    ]


FORMAT = Format(
    "fairseq",
    "a fairseq checkpoint",
    _recognises,
    _places,
    rank=3,
    optimizers=lambda dialect: ("last_optimizer_state",),
    dialect=_dialect,
    required=(address("weights"), address("counters/step"), address("loader/train")),
)
