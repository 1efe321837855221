"""What a Trainer can be told of a program that places its models, and sets up its processes, itself."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

__all__ = ["devices_chosen", "require_possible"]

_VISIBLE = "CUDA_VISIBLE_DEVICES"


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
            f"leaves that to it: choose the device, or the processes, where the program does ({_VISIBLE} chooses for "
            "one that does not), or convert it with --tier idiomatic, where the Trainer chooses"
        )


@contextlib.contextmanager
def devices_chosen(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Let a program that has not begun, and its worker processes, see no device but what the Trainer is told of.

    `accelerator="cpu"` hides the GPUs; `devices=[1]` leaves the second of them, which is `cuda` and `cuda:0` inside.
    Gives the settings that hold inside. Raises `ValueError` where CUDA has begun in this process, whose devices no
    variable hides any more, and for a GPU that is not there.
    """
    seen = _seen(settings)
    if seen is None:
        yield dict(settings)
        return
    before = os.environ.get(_VISIBLE)
    os.environ[_VISIBLE] = seen
    try:
        there = torch.cuda.device_count()
        if there > bool(seen):
            raise ValueError(
                f"trainer: {_told(settings)}, but this process has looked for GPUs before and found some, which the "
                f"program will find as well: say so before anything asks torch.cuda, or start it with {_VISIBLE}={seen}"
            )
        if there < bool(seen):
            raise ValueError(f"trainer: {_told(settings)}: expected a GPU that is there, found none of that number")
        yield {**settings, "devices": 1} if seen else dict(settings)
    finally:
        if before is None:
            del os.environ[_VISIBLE]
        else:
            os.environ[_VISIBLE] = before


def _seen(settings: Mapping[str, Any]) -> str | None:
    """What the variable is set to; None where the Trainer chooses no device."""
    accelerator, devices = settings.get("accelerator", "auto"), settings.get("devices")
    if accelerator == "cpu":
        return ""
    if accelerator not in ("auto", "gpu", "cuda") or settings.get("strategy", "auto") != "auto":
        return None
    match devices:
        case [int(index)]:
            pass
        case str() if re.fullmatch(r"\s*\d+\s*,\s*", devices):  # Lightning's "1," is the GPU 1, and "1" is one GPU
            index = int(devices.strip(" ,"))
        case _:
            return None
    visible = os.environ.get(_VISIBLE)
    names = visible.split(",") if visible is not None else [str(one) for one in range(torch.cuda.device_count())]
    if not 0 <= index < len(names):
        raise ValueError(f"trainer: {_told(settings)}: expected one of the {len(names)} GPUs that are visible")
    return names[index].strip()


def _told(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={settings[name]!r}" for name in ("accelerator", "devices") if name in settings)
