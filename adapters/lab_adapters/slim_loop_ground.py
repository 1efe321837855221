"""The Lightning functions that the slim loop stands in for, and the versions of them that it was written against."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loops.fetchers import _DataFetcher, _PrefetchDataFetcher
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.loops.optimization.manual import ManualResult, _ManualOptimization
from lightning.pytorch.loops.progress import _BatchProgress, _Progress
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler, Profiler
from lightning.pytorch.strategies import SingleDeviceStrategy, Strategy
from lightning.pytorch.trainer import call
from lightning.pytorch.trainer.connectors.logger_connector.logger_connector import _LoggerConnector
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection
from lightning.pytorch.utilities.combined_loader import CombinedLoader, _MaxSizeCycle

__all__ = ["fingerprint", "strange_ground"]

#: Fingerprints of the ground that the slim loop was tested on, by Lightning's versions.
KNOWN = {
    "2.6.0": "aa2b9db419f4b8c33e84a224fb7d7c2a",
    "2.6.1 to 2.6.6": "78989292942c7acb2923435995e68190",
}

_CLASSES: tuple[type, ...] = (
    _TrainingEpochLoop, _Loop, _ManualOptimization, ManualResult, _BatchProgress, _Progress,
    _DataFetcher, _PrefetchDataFetcher, _MaxSizeCycle, CombinedLoader,
    SingleDeviceStrategy, Precision, PassThroughProfiler, _LoggerConnector, _ResultCollection,
)  # fmt: skip
_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    call._call_callback_hooks,
    call._call_lightning_module_hook,
    call._call_strategy_hook,
    Strategy.training_step,
    Strategy.post_training_step,
    Strategy.batch_to_device,
    Strategy.on_train_batch_start,
    Profiler.profile,
    pl.LightningModule.log,
    pl.LightningModule._on_before_batch_transfer,
    pl.LightningModule._apply_batch_transfer_handler,
    pl.LightningModule._call_batch_hook,
)


def strange_ground() -> list[str]:
    """What tells the installed Lightning from those that the slim loop was written against; empty if nothing."""
    found = fingerprint()
    if found in KNOWN.values():
        return []
    return [f"Lightning {version('lightning')} is none of {', '.join(KNOWN)}, or was patched: its loop reads otherwise"]


@functools.cache
def fingerprint() -> str:
    """Hash of the source of all that the slim loop stands in for or builds on, as it runs: patched methods count.

    "no source" where there is none to read.
    """
    digest = hashlib.sha256()
    try:
        for function in (*_FUNCTIONS, *(function for owner in _CLASSES for function in _methods(owner))):
            digest.update(inspect.getsource(function).encode())
    except (OSError, TypeError):
        return "no source"
    return digest.hexdigest()[:32]


def _methods(owner: type) -> Iterator[Callable[..., Any]]:
    """Functions of a class itself, those behind properties and class methods too; generated ones have no source."""
    for name, member in vars(owner).items():
        if isinstance(member, property):
            yield from (function for function in (member.fget, member.fset) if function is not None)
        elif isinstance(member, classmethod | staticmethod):
            yield member.__func__
        elif inspect.isfunction(member) and not (dataclasses.is_dataclass(owner) and name.startswith("__")):
            yield member
