"""Lightning's checkpoints."""

from __future__ import annotations

from importlib.metadata import version

from lab_bridge.checkpoint.format import Format, Leaves, torch_optimizer
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Place, address
from lab_bridge.checkpoint.tree import Leaf, TreePath, same_leaf

#: The dialect of files of `WeightAveraging`.
_AVERAGED = "averaged"


def _recognises(leaves: Leaves) -> bool:
    return address("pytorch-lightning_version") in leaves


def _dialect(leaves: Leaves) -> str:
    return _AVERAGED if any(path[0].key == "current_model_state" for path in leaves) else ""


def _places(names: Names, dialect: str) -> list[Place]:
    # Its WeightAveraging puts the averages where the weights are otherwise. Averages of others get no such place:
    # a Trainer without that callback would train on from them.
    live = "current_model_state" if dialect == _AVERAGED else "state_dict"
    averages = [
        Place("state_dict/<name>", "ema/average/<name>"),
        Place("averaging_state/<rest...>", "ema/averaging_state/<rest...>"),
    ]
    return [
        Place(f"{live}/@_metadata/<module>/<rest...>", "versions/<module>/<rest...>"),
        Place(f"{live}/<name>", "weights/<name>"),
        *(averages if dialect == _AVERAGED else ()),
        *torch_optimizer("optimizer_states/<i>", "optimizer/<i>", names),
        Place("lr_schedulers/<i>/<rest...>", "schedules/<i>/<rest...>"),
        Place("MixedPrecision/<rest...>", "scaler/<rest...>"),
        Place("epoch", "counters/epoch"),
        Place("global_step", "counters/step"),
        Place("hyper_parameters/<rest...>", "config/<rest...>"),
    ]


def _implied(leaves: Leaves) -> dict[TreePath, Leaf]:
    implied = {
        address("epoch"): 0,
        address("global_step"): 0,
        address("pytorch-lightning_version"): version("lightning"),
        address("optimizer_states"): [],
        address("lr_schedulers"): [],
    }
    step, epoch = leaves.get(address("global_step"), 0), leaves.get(address("epoch"), 0)
    there = {path: leaf for path, leaf in leaves.items() if path[0].key == "loops"}
    # Lightning itself makes them for a file of its versions before 1.6, from the step and the epoch.
    own = str(leaves.get(address("pytorch-lightning_version"), "")).startswith(("0.", "1."))
    made = _loops(step, epoch) if step and not own else {}
    # A file that has counters of its own gets none of these.
    if not there or (there.keys() == made.keys() and all(same_leaf(made[path], there[path]) for path in there)):
        implied |= made
    return implied


def _loops(step: int, epoch: int) -> dict[TreePath, Leaf]:
    """Lightning's own counters, between two epochs: without them a resumed Trainer would count from 0.

    As `FitLoop.state_dict()` of Lightning 2.6 has them after `step` steps of one optimizer and `epoch` whole epochs.
    """
    root = "loops/fit_loop"
    optimization = f"{root}/epoch_loop.automatic_optimization.optim_progress/optimizer"
    manual = f"{root}/epoch_loop.manual_optimization.optim_step_progress"
    batches = {"ready": step, "completed": step, "started": step, "processed": step}
    counted: dict[str, dict[str, int]] = {
        f"{root}/epoch_loop.batch_progress/total": batches,
        f"{root}/epoch_loop.batch_progress/current": dict.fromkeys(batches, 0),
        f"{root}/epoch_loop.scheduler_progress/total": {"ready": step, "completed": step},
        f"{root}/epoch_loop.scheduler_progress/current": {"ready": 0, "completed": 0},
        f"{optimization}/step/total": {"ready": step, "completed": step},
        f"{optimization}/step/current": {"ready": 0, "completed": 0},
        f"{optimization}/zero_grad/total": {"ready": step, "completed": step, "started": step},
        f"{optimization}/zero_grad/current": {"ready": 0, "completed": 0, "started": 0},
        f"{manual}/total": {"ready": 0, "completed": 0},
        f"{manual}/current": {"ready": 0, "completed": 0},
        f"{root}/epoch_progress/total": {"ready": epoch, "completed": epoch, "started": epoch, "processed": epoch},
        f"{root}/epoch_progress/current": {"ready": epoch, "completed": epoch, "started": epoch, "processed": epoch},
    }
    leaves: dict[TreePath, Leaf] = {
        address(f"{at}/{key}"): value for at, found in counted.items() for key, value in found.items()
    }
    leaves[address(f"{root}/state_dict")] = {}
    leaves[address(f"{root}/epoch_loop.state_dict/_batches_that_stepped")] = step
    leaves[address(f"{root}/epoch_loop.batch_progress/is_last_batch")] = False
    leaves[address(f"{root}/epoch_loop.automatic_optimization.state_dict")] = {}
    leaves[address(f"{root}/epoch_loop.manual_optimization.state_dict")] = {}
    return leaves


FORMAT = Format(
    "lightning",
    "a Lightning checkpoint",
    _recognises,
    _places,
    ".ckpt",
    rank=2,
    optimizers=lambda dialect: ("optimizer_states/<i>",),
    dialect=_dialect,
    implied=_implied,
    plain=True,
)
