"""States of all generators that an iterator of a DataLoader may draw from: global ones, and those it has of its own.

order = torch.Generator().manual_seed(0)     DataLoader(data, shuffle=True, generator=order)
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader

from lab_adapters.generators import generator_states, set_generator_states
from lab_adapters.outlined.own_generators import GENERATORS, generator_state, put_generator

__all__ = ["same_states", "set_states_around", "states_around"]


def states_around(loader: DataLoader[Any]) -> dict[str, Any]:
    """As an iterator of it is made."""
    return {**generator_states(), "of the loader": [generator_state(one) for one in _own(loader)]}


def set_states_around(loader: DataLoader[Any], states: dict[str, Any]) -> None:
    """As `states_around` found them."""
    set_generator_states(states)
    for one, state in zip(_own(loader), states.get("of the loader", ()), strict=False):
        put_generator(one, state)


def same_states(one: Any, other: Any) -> bool:
    """Whether two makings of an iterator found the same."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_states(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_states, one, other))
    return bool(one == other)


def _own(loader: DataLoader[Any]) -> list[Any]:
    """Generators that the loader, its samplers and its data set hold, each once."""
    batches = loader.batch_sampler
    parts = (loader, loader.sampler, batches, getattr(batches, "sampler", None), loader.dataset)
    held = [one for part in parts for one in getattr(part, "__dict__", {}).values() if isinstance(one, GENERATORS)]
    return list({id(one): one for one in held}.values())
