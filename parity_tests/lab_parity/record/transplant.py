"""State transplant: after each step the running program is given the state that another run had there.

The other run's states (see capture_file.py) lie beside its trace. Put in place are parameters, buffers, the optimizer's
state, averages of the parameters and the generators; with `gradients` the gradients, too, right before the update. A
later bug is then seen at its own step, although an earlier one has long parted the runs.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab_parity.canonical import prefix_of
from lab_parity.keys import Key
from lab_parity.record.by_hand import ByHand
from lab_parity.record.capture_file import CapturedStep, read_capture, states_beside
from lab_parity.record.own import own
from lab_parity.record.phases.ema import averages
from lab_parity.record.view import OptimizerView

__all__ = ["Transplant"]

_BY_HAND = f"{ByHand.__module__}.{ByHand.__qualname__}"


class Transplant:
    """Gives a program the state of the run whose trace is `source`, wherever that run has kept it."""

    def __init__(self, source: Path, gradients: bool = False) -> None:
        self._paths = states_beside(source)
        self._gradients = gradients
        self._prefixes: dict[str, tuple[str, str]] = {}

    @property
    def steps(self) -> list[int]:
        """The steps after which a state is put in place."""
        return sorted(self._paths)

    def by_hand(self, step: int) -> bool:
        """Whether the other run is known to have updated by hand in that step."""
        return step in self._paths and read_capture(self._paths[step]).kind == _BY_HAND

    def before_update(self, step: int, label: str, view: OptimizerView, evaluations: int | None = None) -> None:
        """Step `step` is about to change the parameters: put the other run's gradients in place.

        `evaluations` are the backward passes so far where further ones may come, of which the last gives the gradients.
        """
        if not self._gradients or step not in self._paths:
            return
        other = _read(self._paths[step])
        if other.optimizer != label or (evaluations is not None and evaluations < other.micro_steps):
            return
        found = self._of(other, view, "grad", "before")
        with torch.no_grad():
            for name, parameter in view.parameters():
                gradient = found.get(self._own(other, name))
                if gradient is not None and parameter.grad is not None and parameter.grad.shape == gradient.shape:
                    parameter.grad.copy_(gradient)

    def ended(self, step: int, label: str, view: OptimizerView) -> None:
        """Step `step` has been recorded: put the state in place that the other run had at its end."""
        if step not in self._paths:
            return
        other = _read(self._paths[step])
        if other.optimizer != label:
            return
        with torch.no_grad():
            parameters = self._of(other, view, "param", "after")
            for name, parameter in view.parameters():
                _put(parameter, parameters.get(self._own(other, name)))
            found = self._of(other, view, "buffer", "after")
            for name, buffer in view.buffers():
                _put(buffer, found.get(self._own(other, name)))
            found = self._of(other, view, "ema", "after")
            for name, average in averages(view):
                _put(average, found.get(self._own(other, name)))
            self._state(other, view)
        for key, state in other.tensors.items():
            if (key.phase, key.micro, key.moment) == ("rng", -1, "after"):
                _seed(key.name, state)

    def _state(self, other: CapturedStep, view: OptimizerView) -> None:
        for name, fields in view.state.items():
            for field, mine in fields.items():
                value = self._of(other, view, "optimizer", "after", str(field)).get(self._own(other, name))
                if value is None:
                    continue
                if isinstance(mine, Tensor):
                    _put(mine, value)
                elif isinstance(mine, (int, float)) and isinstance(fields, MutableMapping) and value.numel() == 1:
                    fields[field] = type(mine)(value.item())

    def _of(
        self, other: CapturedStep, view: OptimizerView, phase: str, moment: str, field: str = ""
    ) -> Mapping[str, Tensor]:
        """Canonical name -> tensor of the other run."""
        if other.optimizer not in self._prefixes:
            names = [name for name, _ in view.parameters()]
            self._prefixes[other.optimizer] = _prefix(names), _prefix(other.hyper)
        prefix = self._prefixes[other.optimizer][1]
        return {
            _short(key.name, prefix): tensor
            for key, tensor in other.tensors.items()
            if (key.phase, key.micro, key.field, key.moment) == (phase, -1, field, moment)
        }

    def _own(self, other: CapturedStep, name: str) -> str:
        return _short(name, self._prefixes[other.optimizer][0])


def _read(path: Path) -> CapturedStep:
    captured = read_capture(path)
    for tensor in captured.tensors.values():
        own(tensor)
    return captured


def _prefix(names: Any) -> str:
    return prefix_of(Key("config", -1, name, "") for name in names)


def _short(name: str, prefix: str) -> str:
    return "|".join(sorted(part.removeprefix(prefix) for part in name.split("|")))


def _put(mine: Tensor, other: Tensor | None) -> None:
    if other is not None and other.shape == mine.shape:
        mine.copy_(other)


def _seed(name: str, state: Tensor) -> None:
    if name == "torch":
        torch.set_rng_state(state)
    elif name.startswith("cuda:"):
        torch.cuda.set_rng_state(state, int(name.partition(":")[2]))
    elif name == "python":
        version, _, gauss = random.getstate()
        random.setstate((version, tuple(int(word) for word in state), gauss))
    elif name == "numpy":
        words = state.numpy()
        np.random.set_state(("MT19937", words[:-1].astype(np.uint32), int(words[-1]), 0, 0.0))
