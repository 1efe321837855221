"""Legacy loaders, optimizers, schedules, block models, hooks, trackers and checkpoints as Lightning interfaces.

Two ways to use them. A trainer that can be cut at its loop runs whole (level L1):

    lightning.Trainer(max_steps=steps, **faithful()).fit(StepModule(training), TokenLoader(steps))

Or each role is wrapped where it is built, and the legacy trainer goes (level L2):

    module = BlockModule(
        model=model,
        objective=objective,
        loader=LoaderAdapter(loader, LoaderAssumptions(endless=True)),
        optimizer=OptimizerAdapter(optimizer),
        ema=ema,
        hooks=hooks,
        between_steps=[
            Logging(every=10, report=tracker.log),
            Evaluation(LoaderAdapter(eval_loader), every=60, batches=5, report=tracker.log),
        ],
    )
    with quiet():
        lightning.Trainer(max_steps=steps, **faithful()).fit(module, TokenLoader(steps))

Both are bitwise what the legacy loop computed. Nothing here knows a particular framework: an object plays a role
when it has the members of its protocol, and what it takes for granted is said in its assumptions.
"""

# ruff: noqa: E402
import random as _random

# Importing Lightning imports rich, which draws from Python's generator.
_drawn = _random.getstate()

from lab_adapters.block_module import BlockModule
from lab_adapters.checkpoint_io import LegacyCheckpointIO
from lab_adapters.evaluation import Evaluation
from lab_adapters.faithful import faithful, quiet
from lab_adapters.hooks import HookCallback
from lab_adapters.loader import LoaderAdapter, TokenLoader
from lab_adapters.optimizer import OptimizerAdapter
from lab_adapters.protocols import LoaderAssumptions, OptimizerAssumptions
from lab_adapters.saving import Saving
from lab_adapters.schedule import ScheduleAdapter
from lab_adapters.step_module import StepModule
from lab_adapters.tracker import Logging, TrackerLogger

_random.setstate(_drawn)

__all__ = [
    "BlockModule",
    "Evaluation",
    "HookCallback",
    "LegacyCheckpointIO",
    "LoaderAdapter",
    "LoaderAssumptions",
    "Logging",
    "OptimizerAdapter",
    "OptimizerAssumptions",
    "Saving",
    "ScheduleAdapter",
    "StepModule",
    "TokenLoader",
    "TrackerLogger",
    "faithful",
    "quiet",
]
