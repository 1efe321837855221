"""What a Trainer can be told of a program that places its models, and sets up its processes, itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch

__all__ = ["gpus_hidden", "require_possible"]

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
def gpus_hidden(settings: Mapping[str, Any]) -> Iterator[None]:
    """Where the Trainer is told of the CPU, a program that has not begun finds no GPU, nor do its worker processes.

    Raises `ValueError` where CUDA has begun in this process, whose devices no variable hides any more.
    """
    if settings.get("accelerator") != "cpu":
        yield
        return
    before = os.environ.get(_VISIBLE)
    os.environ[_VISIBLE] = ""
    try:
        if torch.cuda.is_available():
            raise ValueError(
                "trainer: accelerator='cpu', but this process has looked for GPUs before and found some, which the "
                f"program will find as well: say so before anything asks torch.cuda, or start it with {_VISIBLE}="
            )
        yield
    finally:
        if before is None:
            del os.environ[_VISIBLE]
        else:
            os.environ[_VISIBLE] = before
