"""The Lightning settings under which Lightning itself changes no number and prints nothing of its own."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from lab_adapters.strategy import FaithfulStrategy


def faithful(device: str | torch.device = "cpu", **arguments: Any) -> dict[str, Any]:
    """Keyword arguments of `lightning.Trainer` for a faithful run; `arguments` override them.

    No sanity check (it draws from private generators), no sampler replacement, no checkpoint or logger that was
    not asked for, no detection of clusters (it imports mpi4py, which dies where the MPI library is missing). The device
    is the one that is named, whatever else the machine has; "cuda" is the current one, as for torch.
    """
    settings: dict[str, Any] = {
        **({} if "strategy" in arguments else _on(torch.device(device))),
        "plugins": [LightningEnvironment()],
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": False,
    }
    if arguments.get("callbacks") and any(
        "Checkpoint" in type(callback).__name__ for callback in arguments["callbacks"]
    ):
        settings["enable_checkpointing"] = True
    settings.update(arguments)
    settings["plugins"] = _with_environment(settings["plugins"])
    return settings


def _on(device: torch.device) -> dict[str, Any]:
    """Train on this device alone: left to itself, Lightning takes the best of the machine, and fails with another."""
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    devices = [device.index] if device.type == "cuda" else 1
    return {"strategy": FaithfulStrategy(device), "accelerator": device.type, "devices": devices}


def _with_environment(plugins: Any) -> list[Any]:
    listed = list(plugins) if isinstance(plugins, list | tuple) else [plugins] if plugins is not None else []
    return (
        listed
        if any(isinstance(plugin, LightningEnvironment) for plugin in listed)
        else [*listed, LightningEnvironment()]
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's own announcements (devices, tips) out of a program that never printed them; warnings stay."""
    names = (
        "lightning.pytorch",
        "lightning.fabric",
        "lightning.pytorch.utilities.rank_zero",
        "lightning.fabric.utilities.rank_zero",
    )
    kept = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 on torch 2.13, from CombinedLoader: nothing a user could mend.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            # It warns that checkpoints hold the state after the step: just what a legacy checkpoint holds.
            warnings.filterwarnings("ignore", message="Using ModelCheckpoint with manual optimization")
            # Where the program trains is its own choice.
            warnings.filterwarnings("ignore", message="GPU available but not used")
            yield
    finally:
        for name, level in kept.items():
            logging.getLogger(name).setLevel(level)
