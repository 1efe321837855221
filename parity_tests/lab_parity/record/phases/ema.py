"""Averages of the parameters, as the step found them: an average is updated after the step that it belongs to.

And as the last micro-step before it found them: one that is updated between the two is the same behind every step,
and lags a step behind wherever it is used.

Seen are modules that were bitwise copies of the trained one when its optimizer took its first or second step (torch's
AveragedModel, a copied model, a target network), or of the part of it that holds all that is trained; dicts and lists
that held such copies (see copies.py); an AveragedModel that is made later, once it has been updated; and averages of
one's own that are made later or loaded, once they have been seen to change (see near.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lab_parity.digest import digest_tensor
from lab_parity.evaluated import AVERAGES
from lab_parity.keys import AT_FORWARD, Key
from lab_parity.record.fingerprint import Fingerprint
from lab_parity.record.view import Average, OptimizerView, Views
from lab_parity.trace import Row

__all__ = ["AtForward", "average_rows", "averages", "left_averages", "watch_averages"]

_LOOKS = 4
"""Forward calls since the last backward pass at which averages are looked at."""


def average_rows(view: OptimizerView, fingerprint: Fingerprint) -> list[Row]:
    """One row per averaged parameter, under the parameter's own name; of a second average with its number.

    And one per buffer that the average has of the trained module's: what it is evaluated with, too.
    """
    return [fingerprint(Key("ema", -1, name, ""), average) for name, average in averages(view)]


def averages(view: OptimizerView) -> Iterator[tuple[str, Tensor]]:
    """(name, averaged parameter), and (name, its copy of a buffer)."""
    trained = {name for name, _ in view.buffers()} if view.averages else set()
    for number, average in enumerate(view.averages):
        there = ((name, buffer) for name, buffer in average.buffers() if name in trained)
        for name, tensor in (*average.tensors(), *there):
            yield _numbered(name, number), tensor


def _numbered(name: str, number: int) -> str:
    return f"{name}@{number}" if number else name


Looked = Mapping[str, list[Row]]
"""Rows of averages, by their optimizer's label."""


class AtForward:
    """Remembers averages as the last micro-step found them, until their optimizer steps.

    Those of all optimizers, since nobody knows yet whose step will follow. A forward call may turn out to be an
    evaluation: then a later one begins the micro-step. Of many calls the first few are looked at.
    """

    def __init__(self, views: Views, fingerprint: Fingerprint) -> None:
        self._views, self._fingerprint = views, fingerprint
        self._looks = 0
        self._last: Looked = {}

    def look(self) -> Looked:
        """What they are now; nothing where it has been asked often since the last backward pass."""
        self._looks += 1
        return {} if self._looks > _LOOKS else {label: self._rows(found) for label, found in self._views.averages()}

    def _rows(self, found: Sequence[Average]) -> list[Row]:
        return [
            self._fingerprint(Key("ema", -1, _numbered(name, number), AT_FORWARD), tensor)
            for number, average in enumerate(found)
            for name, tensor in average.tensors()
        ]

    def began_with(self, looked: Looked) -> None:
        """A micro-step has ended; that is what was seen when it began."""
        self._last, self._looks = {**self._last, **looked} if looked else {}, 0

    def take(self, optimizer: Any) -> list[Row]:
        """Those of an optimizer that has taken its step; none at its first one, which finds its averages."""
        mine = self._last.get(self._views.label(optimizer), []) if self._views.has_stepped(optimizer) else []
        self._last = {label: rows for label, rows in self._last.items() if rows is not mine}
        return mine


def left_averages(found: Iterable[tuple[str, Sequence[Average]]], kind: str = AVERAGES) -> dict[str, str]:
    """Of each optimizer's averages, as the run leaves them, the digests of their parameters in hex, without names.

    The last step's update of an average is seen in no step.
    """
    return {kind + label: " ".join(sorted(map(_digests, several))) for label, several in found}


def _digests(average: Average) -> str:
    return ",".join(sorted({digest_tensor(tensor.detach()).hex() for _, tensor in average.tensors()}))


def watch_averages(updated: Callable[[nn.Module, nn.Module], object]) -> Callable[[], None]:
    """Call `updated(average, trained)` after each update of an AveragedModel; returns what ends that."""
    original = AveragedModel.update_parameters

    @functools.wraps(original)
    def update_parameters(self: AveragedModel, model: nn.Module, *args: Any, **kwargs: Any) -> None:
        original(self, model, *args, **kwargs)
        updated(self, model)

    setattr(AveragedModel, "update_parameters", update_parameters)  # noqa: B010

    def stop() -> None:
        setattr(AveragedModel, "update_parameters", original)  # noqa: B010

    return stop
