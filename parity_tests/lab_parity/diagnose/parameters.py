"""How a set of parameters is told to a person."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor

__all__ = ["which"]

_SHOWN = 3


def which(names: Sequence[str], all_names: Collection[str], tensors: Mapping[str, Tensor] | None = None) -> str:
    """ "all parameters", "biases and norms", "matrices" or the first names of them; `tensors` tell dimensions."""
    if set(names) >= set(all_names):
        return "all parameters"
    if tensors is not None and all(name in tensors for name in all_names):
        flat = {name for name in all_names if tensors[name].ndim <= 1}
        if set(names) == flat:
            return f"biases and norms ({len(names)} of {len(all_names)} parameters)"
        if set(names) == set(all_names) - flat:
            return f"all but biases and norms ({len(names)} of {len(all_names)} parameters)"
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return f"{len(names)} of {len(all_names)} parameters ({shown})"
