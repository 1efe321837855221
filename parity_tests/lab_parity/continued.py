"""An optimizer that goes on where another one of its run has ended: a training that was resumed in one program.

The optimizer is made anew then, and the model often is. Where the other run goes on with the one that it has, the two
are one: what its state and settings have become decides.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from lab_parity.trace import Step

__all__ = ["Continued", "goes_on_as"]


class Continued:
    """Of two runs, the labels that stand for another one: `labels` of the first and of the second."""

    def __init__(self) -> None:
        self.labels: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self._last: tuple[dict[str, Step], dict[str, Step]] = ({}, {})

    def of(self, a: Step, b: Step) -> tuple[Step, Step]:
        """Two steps that are compared, an optimizer that goes on under the label of the one that it goes on from."""
        a, b = (goes_on_as(step, labels) for step, labels in zip((a, b), self.labels, strict=True))
        if a.optimizer != b.optimizer:
            a, b = self._joined(0, a, b.optimizer), self._joined(1, b, a.optimizer)
        for last, step in zip(self._last, (a, b), strict=True):
            last[step.optimizer] = step
        return a, b

    def _joined(self, side: int, step: Step, other: str) -> Step:
        """`step` under the label `other`, where its optimizer is a first time here and begins where that one ended."""
        last = self._last[side].get(other)
        if last is None or step.optimizer in self._last[side] or not _begins_after(step, last):
            return step
        self.labels[side][step.optimizer] = other
        return goes_on_as(step, self.labels[side])


def goes_on_as(step: Step, labels: Mapping[str, str]) -> Step:
    """The step under the label that its optimizer stands for, without what begins nothing: the weights before it."""
    if step.optimizer not in labels:
        return step
    kept = np.array([key.phase != "config" for key in step.keys])
    summaries = None if step.summaries is None else step.summaries[kept]
    return attrs.evolve(
        step, optimizer=labels[step.optimizer], layout=f"{step.layout} goes on",
        keys=[key for key in step.keys if key.phase != "config"],
        digests=step.digests[kept], values=step.values[kept], summaries=summaries,
    )  # fmt: skip


def _begins_after(step: Step, last: Step) -> bool:
    """Whether the weights that an optimizer begins with are, bit by bit, those that another one's last step left."""
    begun, left = (
        {key.name: item.digests[place].tobytes() for place, key in enumerate(item.keys) if key.phase == phase}
        for item, phase in ((step, "config"), (last, "param"))
    )
    return bool(begun) and begun == left
