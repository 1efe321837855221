"""What a Trainer can be told of a program that places its models, and sets up its processes, itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["require_possible"]


def require_possible(settings: Mapping[str, Any], device: torch.device) -> None:
    """Raises `ValueError`, which names them all, for arguments that would change nothing: the training is on `device`.

    Lightning would take `devices=2` and train in one process all the same.
    """
    if settings.get("strategy", "auto") != "auto":
        return
    of_a_gpu = ["gpu"] if device.type in ("cuda", "mps") else []
    here = [device.index] if device.index is not None else [0]
    possible: dict[str, list[Any]] = {
        "accelerator": ["auto", None, device.type, *of_a_gpu],
        "devices": ["auto", None, 1, "1", here],
        "num_nodes": [1],
        "sync_batchnorm": [False, None],
    }
    found = [
        f"{name}={settings[name]!r} (expected {', '.join(repr(one) for one in values if one is not None)})"
        for name, values in possible.items()
        if name in settings and settings[name] not in values
    ]
    if found:
        raise ValueError(
            f"trainer: {'; '.join(found)}: the program trains on {device} in this process, and a faithful conversion "
            "leaves that to it: choose the device, or the processes, where the program does, or convert it with --tier "
            "idiomatic, where the Trainer chooses"
        )
