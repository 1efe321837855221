"""Epochs, batches and validation of one training, in the order in which they run, across the functions they stand in.

    main:   for epoch in range(n):          train:  model.train()                 test:  model.eval()
                train(model, loader)                for batch in loader: …               for batch in loader: …
                test(model, val_loader)             print(mean)                          print(mean)

becomes: before, the batches' loop, between, the validation's loop, after.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

import attrs

from lab_migrate.analysis import TrainingLoop
from lab_migrate.analysis.calls import Call
from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.idiomatic.bars import Bar
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.frame import Frame, Item


@attrs.frozen(eq=False)
class Steps:
    """A training without epochs: `counter` is the name that its `for` counts in (empty: none), from `first` on.

    `stop` is where it ends; None where only a `break` ends it. `inclusive` is 1 where the number `stop` is reached.
    """

    counter: str
    first: ast.expr | None
    stop: ast.expr | None
    inclusive: int = 0


@attrs.define(eq=False)
class Nest:
    """One training. `stop` is None where no number of epochs ends it."""

    training: TrainingLoop
    base: Frame
    epochs: ast.For | ast.While
    epoch: str
    first: ast.expr | None
    stop: ast.expr | None
    train: Batches
    before: list[Item]
    between: list[Item]
    validation: Batches | None
    after: list[Item]
    #: Calls of the base frame whose functions were taken apart.
    calls: list[tuple[Call, Frame]]
    #: Set where one loop pulls its batches and counts steps; it is then `epochs` and the training's loop at once.
    steps: Steps | None = None
    #: What a `while` asks before each epoch.
    test: ast.expr | None = None
    #: What draws the epochs, where the code has a name for it.
    bar: Bar | None = None
    #: Jumps out of a batch that end the training, by their `id`.
    stops: frozenset[int] = frozenset()
    #: Lines that stood in a loop over the phases of an epoch.
    phased: Collection[int] = ()
    #: Statements that are read as others, by their `id`.
    read_as: dict[int, ast.stmt] = attrs.field(factory=dict)

    @property
    def items(self) -> list[Item]:
        """Everything outside the two loops."""
        return [*self.before, *self.between, *self.after]

    @property
    def loops(self) -> list[Batches]:
        """The batches' loops, training first."""
        return [self.train, *([self.validation] if self.validation is not None else [])]

    @property
    def parts(self) -> list[tuple[Frame, list[ast.stmt]]]:
        """All that becomes hooks, each with its frame: what stands outside the two loops, and their bodies."""
        return [*((item.frame, [item.node]) for item in self.items), *((loop.frame, loop.body) for loop in self.loops)]

    @property
    def frames(self) -> list[Frame]:
        """Each once, the base first."""
        return [self.base, *(frame for _, frame in self.calls)]


def in_inner_loop(body: list[ast.stmt], jump: ast.AST) -> bool:
    """Whether a `break` or `continue` among some statements belongs to a loop among them."""
    return any(
        isinstance(node, ast.For | ast.While) and any(one is jump for part in node.body for one in ast.walk(part))
        for node in own_nodes(body)
    )
