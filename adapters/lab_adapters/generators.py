"""States of the global random generators, as plain numbers and tensors that load without unpickling code."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def generator_states() -> dict[str, Any]:
    """States of torch's (CPU, and CUDA where it is in use), numpy's and python's global generators."""
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": cuda_states(),
        "numpy": [
            str(kind),
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ],
        "python": [version, list(internal), gauss],
    }


def cuda_states() -> list[Tensor]:
    """States of the generators of all CUDA devices, (bytes,) uint8 on the CPU; none where CUDA is not in use.

    Asking for them would take memory on every GPU of the machine from a program that uses none.
    """
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return list(torch.cuda.get_rng_state_all()) if used else []


def set_generator_states(states: dict[str, Any]) -> None:
    """Put the global generators where `generator_states` found them."""
    torch.set_rng_state(states["torch"])
    if states.get("cuda"):
        torch.cuda.set_rng_state_all(states["cuda"])
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
