"""What a block is, how it is registered, and the scope in which its shapes are inferred."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import gin
import torch
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
    """Where in a model shape inference stands: the path of the block and the shapes of the taps before it.

    `seen` collects input and output shape of every block, by path. `anywhere` knows which module has a tap, also of
    those that come later.
    """

    def __init__(
        self,
        path: str,
        taps: dict[str, Shape],
        seen: dict[str, tuple[Shape, Shape]] | None = None,
        anywhere: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.taps = taps
        self.seen = {} if seen is None else seen
        self.anywhere = anywhere or {}

    @classmethod
    def of(cls, path: str, blocks: nn.Module) -> Scope:
        """The scope in which the inference of a whole model starts."""
        found = {block.tap: name for name, block in blocks.named_modules() if isinstance(block, Block) and block.tap}
        return cls(path, {}, {}, found)

    def child(self, part: str) -> Scope:
        """The scope of a block inside this one; taps are shared, in order."""
        return Scope(f"{self.path}.{part}", self.taps, self.seen, self.anywhere)

    def copy(self) -> Scope:
        """A scope in which what is kept does not show outside."""
        return Scope(self.path, dict(self.taps), {}, self.anywhere)

    def tap(self, name: str) -> Shape:
        """The shape kept under `name`. Raises `ShapeError` where no earlier block has that tap."""
        if name in self.taps:
            return self.taps[name]
        expected = f"a tap {name!r} on an earlier block"
        if name in self.anywhere:
            raise ShapeError(
                self.path, expected, f"it on block {self.anywhere[name]}, which comes later", "move that one before"
            )
        known = ", ".join(self.taps) or "none"
        raise ShapeError(self.path, expected, f"taps {known}", f"set tap={name!r} on it")

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
    allocates parameters in `build`, and computes in `run`. `tap` keeps the output for later blocks. `takes` is the
    type of the input that it expects.
    """

    takes: torch.dtype = torch.float32

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
        scope.seen[scope.path] = (shape, out)
        return out

    def forward(self, x: Tensor, taps: Taps) -> Tensor:
        """Run the block and keep its output under its tap."""
        y = self.run(x, taps)
        if self.tap is not None:
            taps[self.tap] = y
        return y
