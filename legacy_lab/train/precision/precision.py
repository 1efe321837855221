"""What a precision does for the trainer."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import nn

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32, "float64": torch.float64}


class Precision(Protocol):
    """Changes the model once, and wraps every loss."""

    def prepare(self, model: nn.Module) -> None:
        """Before the optimizer is built."""
        ...

    def context(self) -> AbstractContextManager[object]:
        """Around the objective."""
        ...


def dtype_of(name: str, of: str) -> torch.dtype:
    """The dtype of a name in a config. Raises `ValueError`."""
    if name not in DTYPES:
        raise ValueError(f"{of}: expected one of {', '.join(DTYPES)}, found {name!r}")
    return DTYPES[name]
