"""Arrays of numpy's in a plain form, and made of it again."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["array_of", "bytes_of", "filled_array", "objects_of"]


def bytes_of(value: np.ndarray[Any, Any]) -> dict[str, Any]:
    """An array of any dtype, in any byte order, as plain values."""
    made = np.array(value, order="C")
    dtype = np.lib.format.dtype_to_descr(made.dtype)
    if made.dtype.isnative and made.dtype.kind in "biuf" and made.dtype.itemsize <= 8 and made.dtype.str[1:] != "u8":
        return {"value": torch.from_numpy(made), "dtype": dtype}
    return {"value": made.tobytes(), "dtype": repr(dtype), "shape": list(made.shape)}


def filled_array(made: np.ndarray[Any, Any], target: Any) -> Any:
    """The target where it has the shape and dtype: it may lie where a tensor lies."""
    fits = type(target) is np.ndarray and target.dtype == made.dtype and target.shape == made.shape
    if not fits or not target.flags.writeable:
        return made
    target[...] = made
    return target


def array_of(packed: dict[str, Any]) -> Any:
    """What `bytes_of` was given."""
    value = packed["value"]
    if isinstance(value, Tensor):
        made = value.numpy()
    else:
        dtype = np.lib.format.descr_to_dtype(ast.literal_eval(packed["dtype"]))
        made = np.frombuffer(value, dtype=dtype).reshape(packed["shape"]).copy()
    return made


def objects_of(entries: list[Any], shape: list[int], target: Any) -> Any:
    """An array of objects, the target where it has the shape."""
    if not isinstance(target, np.ndarray) or list(target.shape) != shape:
        target = np.empty(shape, dtype=object)
    for at, entry in zip(np.ndindex(*shape), entries, strict=True):
        target[at] = entry
    return target
