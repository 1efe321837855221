"""Random generators that a program makes for itself: their states in a plain form, and back."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

__all__ = ["GENERATORS", "generator_like", "generator_state", "put_generator"]

GENERATORS = (
    torch.Generator, random.Random, np.random.RandomState, np.random.Generator, np.random.BitGenerator,
    np.random.SeedSequence,
)  # fmt: skip


def generator_state(value: Any) -> Any:
    """A tensor of torch's, else lists and dicts of plain values."""
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, random.SystemRandom):
        return None  # the system's: it has none
    if isinstance(value, random.Random):
        version, internal, gauss = value.getstate()
        return [version, list(internal), gauss]
    if isinstance(value, np.random.SeedSequence):
        return {"spawned": value.n_children_spawned}
    if isinstance(value, np.random.RandomState):
        return _plain(value.get_state(legacy=False))
    bits = _bits(value)
    return {**_plain(bits.state), "spawned": _spawned(bits)}


def put_generator(target: Any, state: Any) -> Any:
    """The target, in this state; whatever is no generator stays as it is."""
    if isinstance(target, torch.Generator):
        target.set_state(state)
    elif isinstance(target, random.SystemRandom) or state is None:
        return target
    elif isinstance(target, random.Random):
        target.setstate((state[0], tuple(state[1]), state[2]))
    elif isinstance(target, np.random.RandomState):
        state = {**state, "state": {**state["state"], "key": np.asarray(state["state"]["key"], dtype=np.uint32)}}
        target.set_state(state)
    elif isinstance(target, np.random.SeedSequence):
        _spawn(target, state["spawned"])
    elif isinstance(target, np.random.Generator | np.random.BitGenerator):
        bits = _bits(target)
        bits.state = {name: value for name, value in state.items() if name != "spawned"}
        _spawn(getattr(bits, "seed_seq", None), state.get("spawned", 0))
    return target


def generator_like(target: Any, name: str, state: Any, device: str = "cpu") -> Any:
    """The target, if it is a generator, else a new one of the named class, for this state; None for the system's.

    `device` is where one of torch's draws: the states of different devices differ.
    """
    if isinstance(target, GENERATORS):
        return target
    if name == "torch._C.Generator":
        return torch.Generator(device)
    if name == "random.Random":
        return random.Random()
    if name == "numpy.random.mtrand.RandomState":
        return np.random.RandomState()
    bits = (
        getattr(np.random, state["bit_generator"])() if isinstance(state, dict) and "bit_generator" in state else None
    )
    if bits is None:
        return None
    return np.random.Generator(bits) if name.endswith(".Generator") else bits


def _bits(value: Any) -> Any:
    return value.bit_generator if isinstance(value, np.random.Generator) else value


def _spawned(bits: Any) -> int:
    """How many generators were made of its seed; it is no part of its state, and the next one depends on it."""
    return int(getattr(getattr(bits, "seed_seq", None), "n_children_spawned", 0))


def _spawn(seeds: Any, count: int) -> None:
    more = count - int(getattr(seeds, "n_children_spawned", count))
    if more > 0:
        seeds.spawn(more)


def _plain(state: Any) -> Any:
    """numpy's state dictionaries, their arrays as lists."""
    if isinstance(state, dict):
        return {key: _plain(inner) for key, inner in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state
