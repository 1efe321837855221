"""State dicts of a program's optimizers and schedules, as a checkpoint can hold them: numpy's numbers, named tuples.

A learning rate that was computed with numpy is a numpy scalar, which `torch.load(weights_only=True)` refuses, as it
does the named tuples in which functional optimizers keep their state, and each `defaultdict`. Lightning reads
checkpoints onto the CPU, and not everything that loads a state dict moves what it is given.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

import numpy as np
import torch

from lab_adapters.outlined.instances import named
from lab_adapters.outlined.kinds import name_of

__all__ = ["at_home", "copied", "storable", "stored"]

_MARK = "numpy of a state dict"
_FACTORIES = {kind.__name__: kind for kind in (dict, list, set, tuple, int, float, bool, str)}


def storable(state: Any) -> Any:
    """The state with numpy's numbers and arrays in a plain form, and the devices of tensors that are not on the CPU.

    Containers without any stay the objects they are.
    """
    if isinstance(state, torch.Tensor) and state.device.type != "cpu":
        return {_MARK: "tensor", "value": state, "device": str(state.device)}
    if isinstance(state, np.generic) and state.dtype.kind in "biuf":
        return {_MARK: "scalar", "value": state.item(), "dtype": state.dtype.str}
    if isinstance(state, np.ndarray) and state.dtype.kind in "biuf":
        return {_MARK: "array", "value": torch.from_numpy(state.copy())}
    if _is_named(type(state)):
        return {_MARK: "named tuple", "value": [storable(one) for one in state], "class": name_of(type(state))}
    if type(state) is defaultdict and (state.default_factory is None or state.default_factory in _FACTORIES.values()):
        value = {key: storable(one) for key, one in state.items()}
        return {_MARK: "defaultdict", "value": value, "of": getattr(state.default_factory, "__name__", "")}
    return _mapped(state, storable)


def stored(state: Any) -> Any:
    """What `storable` was given."""
    if isinstance(state, dict) and _MARK in state:
        value = state["value"]
        if state[_MARK] == "tensor":
            return at_home(value, state["device"])
        if state[_MARK] == "defaultdict":
            return defaultdict(_FACTORIES.get(state["of"]), {key: stored(one) for key, one in value.items()})
        if state[_MARK] == "named tuple":
            return _made(state["class"], [stored(one) for one in value])
        return value.numpy() if state[_MARK] == "array" else np.dtype(state["dtype"]).type(value)
    return _mapped(state, stored)


def _is_named(cls: Any) -> bool:
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def _made(name: str, entries: list[Any]) -> Any:
    """A named tuple of the class that the program has imported under this name."""
    cls = named(name, libraries=True)
    if not isinstance(cls, type) or not _is_named(cls) or len(cls._fields) != len(entries):  # type: ignore[attr-defined]
        raise TypeError(
            f"checkpoint: expected the named tuple {name} with {len(entries)} fields, which a state dict holds, found "
            "no such class; resume with the version of the library that wrote it"
        )
    return tuple.__new__(cls, entries)


def at_home(value: torch.Tensor, device: str) -> torch.Tensor:
    """A tensor that was read from a checkpoint, on the device that it was saved from if the machine has it."""
    home = torch.device(device)
    return value.to(home) if home != value.device and _is_there(home) else value


def _is_there(device: torch.device) -> bool:
    module = torch.get_device_module(device.type)
    return bool(module.is_available()) and (device.index or 0) < module.device_count()


def copied(state: Any) -> Any:
    """The same in the host's memory, with no object of the one that it was made of."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        made = copy.copy(state)
        for key, value in state.items():
            made[key] = copied(value)
        return made
    if type(state) in (list, tuple):
        return type(state)(map(copied, state))
    if _is_named(type(state)):
        return tuple.__new__(type(state), map(copied, state))
    return copy.deepcopy(state)


def _mapped(state: Any, change: Any) -> Any:
    """The same where nothing in it changes, so that a state's own kind of dict or list stays."""
    if isinstance(state, dict):
        made = {key: change(value) for key, value in state.items()}
        return state if all(made[key] is value for key, value in state.items()) else made
    if type(state) in (list, tuple):
        found = [change(value) for value in state]
        return state if all(a is b for a, b in zip(found, state, strict=True)) else type(state)(found)
    return state
