"""Models, optimizers and schedules that a training makes on its way, as the parts that torch makes them of.

A resumed program has what its code makes before the training; an average that begins with the third epoch, a copy of
the best model, an optimizer for the layers that were unfrozen it has not. Their class is named and their attributes are
kept, as `pickle` does it, without the program's code being run again; the numbers of their tensors come with the
models' own state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from lab_adapters.outlined.instances import attributes_of, put_attributes, simply_made
from lab_adapters.outlined.state_dicts import at_home

__all__ = ["blank_of", "class_of", "described", "is_as_told", "is_of_parts", "made_of", "parts_of"]

_KINDS = (torch.nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, torch.amp.GradScaler)
#: Of an optimizer its `state_dict` has the state, and a schedule has set the method.
_LEFT_OUT = {torch.optim.Optimizer: ("state", "step"), torch.nn.RNNBase: ("_flat_weight_refs",)}
_OF_LOADING = "_load_state_dict_pre_hooks"
_OWN_WAY = ("__getstate__", "__setstate__")


def is_of_parts(value: Any) -> bool:
    """Whether it is a model, an optimizer, a schedule or a scaler."""
    return isinstance(value, _KINDS)


def parts_of(value: Any) -> dict[str, Any] | None:
    """Its attributes; None of what is no model, optimizer or schedule, or has an own way to be copied."""
    cls = class_of(value)
    if not is_of_parts(value) or not simply_made(cls):
        return None
    ways = [way for way in (getattr(cls, name, None) for name in _OWN_WAY) if way is not None]
    if not all(str(getattr(way, "__module__", None) or "torch").startswith("torch") for way in ways):
        return None
    left_out = [name for kind, names in _LEFT_OUT.items() if isinstance(value, kind) for name in names]
    if all(_is_torchs(hook) for hook in getattr(value, _OF_LOADING, {}).values()):
        left_out.append(_OF_LOADING)
    return {name: part for name, part in attributes_of(value).items() if name not in left_out}


def _is_torchs(hook: Any) -> bool:
    """What torch has put on for files of its earlier versions."""
    return str(getattr(getattr(hook, "hook", hook), "__module__", "")).startswith("torch.")


def class_of(value: Any) -> type:
    """What its class is made of, where torch has made the class on the spot (`torch.nn.utils.parametrizations`)."""
    return type(value).__mro__[1] if parametrize.is_parametrized(value) else type(value)


def made_of(made: Any, parts: Mapping[str, Any]) -> None:
    """Give a new object of its class its parts, as torch does it for one that is unpickled."""
    if isinstance(made, torch.optim.Optimizer):
        parts = {"state": defaultdict(dict), **parts}
    if hasattr(made, "__setstate__"):
        made.__setstate__(dict(parts))
    else:
        put_attributes(made, parts)
    if isinstance(made, torch.nn.Module) and parametrize.is_parametrized(made):
        parametrize._inject_new_class(made)
        for name in made.parametrizations:  # type: ignore[union-attr]
            parametrize._inject_property(made, name)


def described(tensor: Tensor) -> dict[str, Any] | None:
    """What a model's tensor is, without its numbers; None of one that cannot be told by that."""
    if type(tensor) not in (Tensor, torch.nn.Parameter) or is_lazy(tensor) or tensor.layout != torch.strided:
        return None
    return {
        "size": list(tensor.shape), "stride": list(tensor.stride()), "dtype": tensor.dtype,
        "device": str(tensor.device), "parameter": isinstance(tensor, torch.nn.Parameter),
        "requires_grad": tensor.requires_grad,
    }  # fmt: skip


def is_as_told(tensor: Tensor | None, told: Mapping[str, Any]) -> bool:
    """Whether the numbers of one that was described so can be loaded into it."""
    same = tensor is not None and list(tensor.shape) == told["size"] and tensor.dtype == told["dtype"]
    return same and isinstance(tensor, torch.nn.Parameter) == told["parameter"]


def blank_of(told: Mapping[str, Any]) -> Tensor:
    """A tensor that waits for its numbers: NaN where its kind has one."""
    made = at_home(torch.empty_strided(told["size"], told["stride"], dtype=told["dtype"]), told["device"])
    if made.is_floating_point():
        made.fill_(torch.nan)
    return torch.nn.Parameter(made, told["requires_grad"]) if told["parameter"] else made
