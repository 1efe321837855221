"""What a block is, how it is registered, and the scope in which its shapes are inferred."""

from __future__ import annotations

from typing import TypeVar

import gin
from torch import Tensor, nn

from legacy_lab.blocks.shapes import Shape, ShapeError

Taps = dict[str, Tensor]
B = TypeVar("B", bound=type)


def block(cls: B) -> B:
    """Register a `Block` class, so that gin configs can name it."""
    if not issubclass(cls, Block):
        raise TypeError(
            f"@block on {cls.__qualname__}: expected a subclass of Block, found {cls.__mro__[1].__qualname__}"
        )
    registered: B = gin.configurable(cls)
    return registered


def registered_blocks() -> dict[str, type[Block]]:
    """Every block class that has been imported, by name."""
    found: dict[str, type[Block]] = {}
    waiting = [Block]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            found[cls.__name__] = cls
            waiting.append(cls)
    return found


class Scope:
    """Where in a model shape inference stands: the path of the block and the shapes of the taps before it."""

    def __init__(self, path: str, taps: dict[str, Shape]) -> None:
        self.path = path
        self.taps = taps

    def child(self, part: str) -> Scope:
        """The scope of a block inside this one; taps are shared, in order."""
        return Scope(f"{self.path}.{part}", self.taps)

    def tap(self, name: str) -> Shape:
        """The shape kept under `name`. Raises `ShapeError` where no earlier block has that tap."""
        if name not in self.taps:
            known = ", ".join(self.taps) or "none"
            raise ShapeError(
                self.path, f"a tap {name!r} on an earlier block", f"taps {known}", f"set tap={name!r} on it"
            )
        return self.taps[name]

    def keep(self, name: str | None, shape: Shape) -> None:
        """Remember an output's shape under a tap's name; two blocks cannot share one."""
        if name is None:
            return
        if name in self.taps:
            raise ShapeError(self.path, "a tap name of its own", f"{name!r} for the second time", "rename one of them")
        self.taps[name] = shape


class Block(nn.Module):
    """One registered piece of a model.

    A subclass stores its settings in `__init__`, computes its output shape in `infer` (allocating nothing),
    allocates parameters in `build`, and computes in `run`. `tap` keeps the output for later blocks.
    """

    def __init__(self, tap: str | None = None) -> None:
        super().__init__()
        self.tap = tap

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Output shape for an input shape, both without batch. Raises `ShapeError`; allocates nothing."""
        return shape

    def build(self, shape: Shape, scope: Scope) -> None:
        """Allocate parameters for an input shape that `infer` has accepted."""

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Compute the output; `taps` holds the outputs that earlier blocks kept."""
        raise NotImplementedError

    def infer_and_keep(self, shape: Shape, scope: Scope) -> Shape:
        """`infer`, and remember the result under this block's tap."""
        out = self.infer(shape, scope)
        scope.keep(self.tap, out)
        return out

    def forward(self, x: Tensor, taps: Taps) -> Tensor:
        """Run the block and keep its output under its tap."""
        y = self.run(x, taps)
        if self.tap is not None:
            taps[self.tap] = y
        return y
