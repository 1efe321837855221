"""Summaries of tensors from which the distance of two runs is estimated without their tensors.

A summary is a vector of 4 + k float64: Euclidean norm, mean, smallest and largest element, and a CountSketch of k
buckets (Charikar, Chen and Farach-Colton 2002): element i counts for bucket i mod k, with a sign that depends on i
alone. The squared distance of two sketches is an unbiased estimate of the squared distance of the tensors; its
relative standard deviation is at most sqrt(2/k), and it is exact for up to k elements. k is a prime, so that no stride
of a tensor's layout (a column, a channel) gathers in one bucket.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["BUCKETS", "Summarizer", "distance", "size"]

BUCKETS = 31
_STATISTICS = 4
_CHUNK = 1 << 19


class Summarizer:
    """Summarizes tensors; keeps the signs of the largest one so far, one byte an element."""

    def __init__(self, buckets: int = BUCKETS) -> None:
        self._buckets = buckets
        self._chunk = _CHUNK // buckets * buckets
        self._signs: dict[torch.device, Tensor] = {}

    def __call__(self, tensor: Tensor) -> npt.NDArray[np.float64]:
        """(4 + k,) float64 of a tensor of any shape and dtype; complex numbers count as pairs; empty as zeros."""
        flat = _flat(tensor)
        count = flat.numel()
        if not count:
            return np.zeros(_STATISTICS + self._buckets)
        signs = self._signs_for(count, flat.device)
        square = torch.zeros((), dtype=torch.float64, device=flat.device)
        total, sketch = torch.zeros_like(square), square.new_zeros(self._buckets)
        smallest, largest = torch.full_like(square, math.inf), torch.full_like(square, -math.inf)
        for start in range(0, count, self._chunk):
            part = flat[start : start + self._chunk].double()
            square += part.dot(part)
            total += part.sum()
            low, high = part.aminmax()
            smallest, largest = torch.minimum(smallest, low), torch.maximum(largest, high)
            signed = part * signs[start : start + part.numel()]
            whole = signed.numel() // self._buckets * self._buckets
            sketch += signed[:whole].view(-1, self._buckets).sum(0)
            sketch[: signed.numel() - whole] += signed[whole:]
        numbers = torch.cat([torch.stack([square.sqrt(), total / count, smallest, largest]), sketch])
        return np.asarray(numbers.cpu().numpy(), np.float64)

    def _signs_for(self, count: int, device: torch.device) -> Tensor:
        known = self._signs.get(device)
        if known is None or known.numel() < count:
            known = self._signs[device] = torch.from_numpy(_signs(count)).to(device)
        return known


def distance(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Estimated Euclidean distance of the tensors, from summaries (…, 4 + k): (…,); NaN for what is no tensor."""
    with np.errstate(invalid="ignore"):
        result: npt.NDArray[np.float64] = np.sqrt(np.square(a[..., _STATISTICS:] - b[..., _STATISTICS:]).sum(axis=-1))
    return result


def size(a: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The Euclidean norms in summaries (…, 4 + k): (…,)."""
    return a[..., 0]


def _flat(tensor: Tensor) -> Tensor:
    plain: Any = tensor.detach()
    if hasattr(plain, "to_local"):
        plain = plain.to_local()
    if plain.layout != torch.strided:
        plain = plain.to_dense()
    if plain.is_complex():
        plain = torch.view_as_real(plain.resolve_conj())
    flat: Tensor = plain.resolve_neg().as_subclass(Tensor).reshape(-1)
    return flat


def _signs(count: int) -> npt.NDArray[np.int8]:
    """+1 or -1 for each of 0 … count - 1: the last bit of splitmix64 (Steele, Lea and Flood 2014)."""
    signs = np.empty(count, np.int8)
    for start in range(0, count, _CHUNK):
        z = np.arange(start + 1, min(start + _CHUNK, count) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        signs[start : start + _CHUNK] = 1 - 2 * ((z ^ (z >> np.uint64(31))) & np.uint64(1)).astype(np.int8)
    return signs
