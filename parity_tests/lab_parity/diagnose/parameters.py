"""How a set of parameters is told to a person."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor

__all__ = ["which"]

_SHOWN = 3


def which(
    names: Sequence[str],
    all_names: Collection[str],
    tensors: Mapping[str, Tensor] | None = None,
    undecided: Collection[str] = (),
) -> str:
    """ "all parameters", "biases and norms", or the first names of them; `tensors` tell dimensions.

    `undecided` are parameters of which nobody can tell whether they belong to them (all zeros, no gradient).
    """
    chosen, doubt = set(names), set(undecided)

    def means(kind: Collection[str]) -> bool:
        return chosen <= set(kind) <= chosen | doubt

    if means(all_names):
        return "all parameters"
    if tensors is not None and all(name in tensors for name in all_names):
        flat = {name for name in all_names if tensors[name].ndim <= 1}
        if means(flat):
            return f"biases and norms ({len(flat)} of {len(all_names)} parameters)"
        if means(set(all_names) - flat):
            return f"all but biases and norms ({len(all_names) - len(flat)} of {len(all_names)} parameters)"
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return f"{len(names)} of {len(all_names)} parameters ({shown})"
