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

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab_adapters.block_module import BlockModule
    from lab_adapters.checkpoint_io import LegacyCheckpointIO
    from lab_adapters.evaluation import Evaluation
    from lab_adapters.faithful_settings import faithful, quiet
    from lab_adapters.hooks import HookCallback
    from lab_adapters.loader import LoaderAdapter, TokenLoader
    from lab_adapters.optimizer import OptimizerAdapter
    from lab_adapters.protocols import LoaderAssumptions, OptimizerAssumptions
    from lab_adapters.saving import Saving
    from lab_adapters.schedule import ScheduleAdapter
    from lab_adapters.step_module import StepModule
    from lab_adapters.tracker import Logging, TrackerLogger

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

_MODULES = {
    "BlockModule": "block_module",
    "Evaluation": "evaluation",
    "HookCallback": "hooks",
    "LegacyCheckpointIO": "checkpoint_io",
    "LoaderAdapter": "loader",
    "LoaderAssumptions": "protocols",
    "Logging": "tracker",
    "OptimizerAdapter": "optimizer",
    "OptimizerAssumptions": "protocols",
    "Saving": "saving",
    "ScheduleAdapter": "schedule",
    "StepModule": "step_module",
    "TokenLoader": "loader",
    "TrackerLogger": "tracker",
    "faithful": "faithful_settings",
    "quiet": "faithful_settings",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562).

    Lightning is imported with the first of them, not with this package: a program that is converted the faithful way
    imports `lab_adapters.outlined` when it begins, and Lightning when it trains.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lab_adapters.importing import unseen

    with unseen():
        found = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """What there is, imported or not."""
    return sorted({*globals(), *__all__})
