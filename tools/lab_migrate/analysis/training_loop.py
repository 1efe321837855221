"""What a training loop is: where it stands, which backward passes, steps and zeroings it reaches, and its shape."""

from __future__ import annotations

import ast
import enum

import attrs

from lab_migrate.analysis.events import Event
from lab_migrate.analysis.symbols import Function, dotted

__all__ = ["LoopNode", "Reach", "Shape", "TrainingLoop", "shape_of"]

LoopNode = ast.For | ast.While | ast.AsyncFor


class Shape(enum.StrEnum):
    """What a training loop looks like."""

    PLAIN = "A"  #: a for-loop over a loader with one backward, one step, one zeroing and no branch around them
    LOADER = "B"  #: a for-loop over a loader with branches (accumulation, skipped steps, early exits)
    SEVERAL = "C"  #: a for-loop over a loader with inner loops or several backward passes or steps
    NEXT = "D"  #: a range or while loop that pulls its batches with `next()`
    WINDOW = "E"  #: a range or while loop over slices, closures or batches made on the spot
    DELEGATED = "F"  #: backward or step stands in another function


@attrs.frozen
class Reach:
    """One backward, step or zeroing that a loop reaches.

    `chain` holds the places passed on the way, the loop's own line first: `("train.py:12 train_epoch", …)`; the event
    itself is at `path:line`.
    """

    event: Event
    path: str
    function: str
    chain: tuple[str, ...] = ()

    @property
    def line(self) -> int:
        """Where the event stands."""
        return self.event.line

    @property
    def direct(self) -> bool:
        """Whether it stands in the loop's own body."""
        return not self.chain

    @property
    def place(self) -> str:
        """`path:line`."""
        return f"{self.path}:{self.line}"


@attrs.frozen(eq=False)
class TrainingLoop:
    """A training loop. `node` is the `for` or `while` itself, `owner` the function whose code it stands in."""

    owner: Function
    node: LoopNode
    shape: Shape
    backward: tuple[Reach, ...]
    step: tuple[Reach, ...]
    zero: tuple[Reach, ...]
    #: Loops of the same function around this one, innermost first.
    around: tuple[LoopNode, ...] = ()

    @property
    def path(self) -> str:
        """The file."""
        return self.owner.path

    @property
    def line(self) -> int:
        """The loop's line."""
        return self.node.lineno

    @property
    def function(self) -> str:
        """`Class.method`, or `<module>`."""
        return self.owner.qualified

    @property
    def place(self) -> str:
        """`path:line`."""
        return f"{self.path}:{self.line}"

    @property
    def by_hand(self) -> bool:
        """Whether no optimizer steps: the code updates the parameters itself."""
        return all(reach.event.by_hand for reach in self.step)


def shape_of(
    loop: LoopNode, nodes: list[ast.AST], backward: tuple[Reach, ...], step: tuple[Reach, ...], zero: tuple[Reach, ...]
) -> Shape:
    """The shape of a loop whose body has these nodes and reaches these events."""
    closures = any(isinstance(node, ast.FunctionDef | ast.Lambda) for node in nodes)
    if not all(any(reach.direct for reach in found) for found in (backward, step)) and not closures:
        return Shape.DELEGATED
    ranged = isinstance(loop, ast.While) or (
        isinstance(loop, ast.For)
        and isinstance(loop.iter, ast.Call)
        and dotted(loop.iter.func) in ("range", "trange", "tqdm.trange")
    )
    if ranged:
        pulls = any(
            isinstance(node, ast.Call)
            and (
                dotted(node.func) == "next"
                or dotted(node.func).rpartition(".")[2] in ("next", "next_batch", "__next__")
            )
            for node in nodes
        )
        return Shape.NEXT if pulls else Shape.WINDOW
    if len(backward) > 1 or len(step) > 1 or any(isinstance(node, LoopNode) for node in nodes):
        return Shape.SEVERAL
    branches = any(
        isinstance(node, ast.If | ast.Try | ast.Continue | ast.Break | ast.Return | ast.IfExp) for node in nodes
    )
    return Shape.LOADER if branches or len(zero) > 1 else Shape.PLAIN
