"""The state of a training at the beginning of an epoch, whose code a resumed run runs once more.

Where that code reads the models (`reads_models`) all of it is copied into the host's memory, since the epoch's batches
go on changing it; else only the rates.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import attrs
import torch

from lab_adapters.outlined.carried import Carried
from lab_adapters.outlined.found import Found
from lab_adapters.outlined.held import is_small
from lab_adapters.outlined.state import models_of, put_models, put_state, state_of, stepped_of
from lab_adapters.outlined.state_dicts import copied, storable, stored

__all__ = ["kept_of", "put_kept", "put_rates", "rates_of", "reads_models"]

Function = TypeVar("Function", bound=Callable[..., Any])


def reads_models(body: Function) -> Function:
    """Mark the body of an outer loop whose code before the loops inside reads what the training changes.

    As pseudo-labels, centers of features or a teacher's weights do. A checkpoint then holds, besides the state of its
    own moment, that of the body's beginning: a resumed training runs that code once more, on what it found then.
    """
    body.__reads_models__ = True  # type: ignore[attr-defined]
    return body


def kept_of(found: Found, carried: Carried, bodies: list[Any], also: Collection[str]) -> dict[str, Any]:
    """A copy of everything, in the host's memory."""
    state = state_of(found, carried, bodies, also)
    del state["told"]
    state["carried"] = {
        path: packed
        for path, packed in state["carried"].items()
        # What the code that follows makes itself is not there yet.
        if not _is_lost(packed) and not (path in carried.late and _is_only_named(packed))
    }
    kept: dict[str, Any] = copied({"models": models_of(found), **state})
    return kept


def put_kept(found: Found, carried: Carried, bodies: list[Any], kept: dict[str, Any]) -> None:
    """Put it back, as far as the objects are there already: the code that follows may make the others."""
    models = {
        path: one for path, one in found.modules.items() if any(key.startswith(f"{path}.") for key in kept["models"])
    }
    there = attrs.evolve(found, modules=models)
    put_models(there, kept["models"])
    state = {**kept, "stepped": [path for path in kept["stepped"] if path in found.optimizers]}
    for kind, objects in (("optimizers", found.optimizers), ("others", found.others)):
        names = {path: type(one).__name__ for path, one in objects.items()}
        state[kind] = {path: one for path, one in kept[kind].items() if names.get(path) == kept["kinds"][path]}
    try:
        put_state(there, carried, bodies, state)
    except KeyError as error:
        warnings.warn(
            f"resume: what the loop carries could not be put where an epoch began: {error}; code at its beginning "
            "that reads it computes other values",
            stacklevel=2,
        )


def rates_of(found: Found) -> dict[str, Any]:
    """What is small of optimizers and schedules: an epoch's beginning asks for the learning rate."""
    others = {
        path: state
        for path, other in found.others.items()
        if _is_light(other) and is_small(state := storable(other.state_dict()))
    }
    groups = {
        path: [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        for path, optimizer in found.optimizers.items()
    }
    small = {path: one for path, one in groups.items() if is_small(one)}
    rates: dict[str, Any] = copied({"others": others, "groups": storable(small), "stepped": stepped_of(found)})
    return rates


def put_rates(found: Found, rates: dict[str, Any]) -> None:
    """Put it back, as far as the objects are there already."""
    for path, state in rates.get("others", {}).items():
        if path in found.others:
            found.others[path].load_state_dict(stored(state))
    for path in rates.get("stepped", ()):
        if path in found.optimizers:
            found.optimizers[path]._opt_called = True
    for path, groups in rates.get("groups", {}).items():
        optimizer = found.optimizers.get(path)
        if optimizer is not None and len(optimizer.param_groups) == len(groups):
            for group, saved in zip(optimizer.param_groups, groups, strict=True):
                group.update(stored(saved))


def _is_light(other: Any) -> bool:
    """A schedule or a scaler of torch's, or an object that holds nothing big, such as an average of the weights."""
    if type(other).__module__.startswith("torch."):
        return isinstance(other, torch.optim.lr_scheduler.LRScheduler | torch.amp.GradScaler)
    return all(
        isinstance(one, torch.optim.Optimizer) or is_small(one) for one in getattr(other, "__dict__", {}).values()
    )


def _is_lost(packed: Any) -> bool:
    return isinstance(packed, dict) and packed["kind"] in ("lost", "not kept")


def _is_only_named(packed: Any) -> bool:
    """An object of which a checkpoint holds nothing but which one it is."""
    return isinstance(packed, dict) and packed["kind"] == "object" and not packed.keys() & {"attributes", "itself"}
