"""What checkpoints are written with and not read again: objects of other classes in the program's own state dicts.

`torch.save` takes any object, and `torch.load(weights_only=True)` makes none again: a training would find out when it
is resumed. It is said when the checkpoint is written, and by which class and whose state when one is read.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

__all__ = ["read", "say_unreadable"]

_NEXT = "name the class with torch.serialization.add_safe_globals before the loop, or let it give plain values"


def say_unreadable(states: Mapping[str, Any]) -> None:
    """Warn of states, by the paths of what gave them, that hold objects which no resumed run could read."""
    for path, state in states.items():
        if classes := _classes_in(state):
            warnings.warn(
                f"checkpoint: no run can resume from it: the state_dict of {path} holds objects of {classes}, and no "
                f"file is unpickled into running code; {_NEXT}",
                stacklevel=2,
            )


def read(ckpt_path: Any) -> dict[str, Any]:
    """A checkpoint without its tensors' data. Raises `ValueError` where it holds objects that are not made again."""
    try:
        loaded: dict[str, Any] = torch.load(ckpt_path, map_location="meta", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        if not (classes := _named(get_unsafe_globals_in_checkpoint(ckpt_path))):
            raise
        raise ValueError(
            f"resume: {ckpt_path}: expected plain values and tensors, found objects of {classes}, which a state_dict "
            f"of the program's gave, and no file is unpickled into running code; {_NEXT} and write the file anew"
        ) from None
    return loaded


def _classes_in(state: Any) -> str:
    written = io.BytesIO()
    try:
        torch.save(_without_tensors(state), written)
    except (pickle.PicklingError, AttributeError, TypeError):
        return ""  # which says it itself, where the checkpoint is written
    written.seek(0)
    return _named(get_unsafe_globals_in_checkpoint(written))


def _named(classes: list[str]) -> str:
    """Without what stands for a value of Python's own inside one of them."""
    return ", ".join(sorted(name for name in set(classes) if not name.startswith("builtins.")))


def _without_tensors(state: Any) -> Any:
    if isinstance(state, torch.Tensor):
        return None
    if type(state) in (dict, OrderedDict):
        return {key: _without_tensors(value) for key, value in state.items()}
    if type(state) in (list, tuple):
        return [_without_tensors(value) for value in state]
    return state
