"""Averages of the parameters, as the step found them: an average is updated after the step that it belongs to.

Seen are modules that were bitwise copies of the trained one when its optimizer first stepped (torch's AveragedModel, a
copied model, a target network), or of the part of it that holds all that is trained; dicts and lists that held such
copies (see copies.py); and an AveragedModel that is made later, once it has been updated; not averages of one's own
that are made later or loaded from a checkpoint.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lab_parity.digest import digest_bytes, digest_tensor
from lab_parity.evaluated import AVERAGES
from lab_parity.keys import Key
from lab_parity.record.copies import Copy
from lab_parity.record.fingerprint import Fingerprint
from lab_parity.record.naming import Twin
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Row

__all__ = ["average_rows", "averages", "left_averages", "watch_averages"]


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
            yield (f"{name}@{number}" if number else name), tensor


def left_averages(found: Iterable[tuple[str, Sequence[Twin | Copy]]]) -> dict[str, str]:
    """Of each optimizer's averages, as the run leaves them, a digest each in hex: of parameters, whatever their names.

    An average that is updated before a step instead of behind it is the same at each step's end, and not here.
    """
    return {AVERAGES + label: " ".join(sorted(map(_digest, several))) for label, several in found}


def _digest(average: Twin | Copy) -> str:
    digests = sorted(digest_tensor(tensor.detach()) for _, tensor in average.tensors())
    return digest_bytes(b"".join(digests)).hex()


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
