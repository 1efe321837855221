"""Averages of the parameters, as the step found them: an average is updated after the step that it belongs to.

Seen are modules that were bitwise copies of the trained one when its optimizer first stepped (torch's AveragedModel, a
copied model, a target network), not averages that a program keeps in dicts of its own or loads from a checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from lab_parity.keys import Key
from lab_parity.record.fingerprint import Fingerprint
from lab_parity.record.naming import parameters
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Row

__all__ = ["average_rows", "averages"]


def average_rows(view: OptimizerView, fingerprint: Fingerprint) -> list[Row]:
    """One row per averaged parameter, under the parameter's own name; of a second average with its number."""
    return [fingerprint(Key("ema", -1, name, ""), average) for name, average in averages(view)]


def averages(view: OptimizerView) -> Iterator[tuple[str, Tensor]]:
    """(name, averaged parameter)."""
    for number, module in enumerate(view.averages):
        for name, parameter in parameters(module):
            yield (f"{name}@{number}" if number else name), parameter
