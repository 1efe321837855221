"""What every way of clipping has in common."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

#: Parameters that have a gradient, by name.
Named = Sequence[tuple[str, nn.Parameter]]

REACHES = ("optimizer", "model")


class Clip:
    """Bounds gradients in place. `reach` is whose: the optimizer's parameters, or all that the model has."""

    def __init__(self, limit: float, reach: str = "optimizer") -> None:
        if limit <= 0:
            raise ValueError(f"{type(self).__name__}.limit: expected more than 0, found {limit}")
        if reach not in REACHES:
            raise ValueError(f"{type(self).__name__}.reach: expected one of {', '.join(REACHES)}, found {reach!r}")
        self.limit, self.reach = limit, reach

    def __call__(self, parameters: Named, limit: float) -> float | None:
        """Clip to `limit`; the norm found, or None where there is no single one."""
        raise NotImplementedError


def gradient(parameter: nn.Parameter) -> Tensor:
    """A parameter's gradient, which is there."""
    assert parameter.grad is not None
    return parameter.grad
