"""Which of Lab's optimizers the drop-in lets update through foreach."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lab_adapters.foreach_rules import adam_eps_under_root, sgd_lr_in_momentum
from lab_bridge import Trainer
from lab_bridge.update import choose_update, rule_of
from legacy_lab.optim.adam import Adam
from legacy_lab.optim.optimizer import Optimizer
from legacy_lab.optim.sgd import SGD


class Renamed(Adam):
    """Lab's Adam under another name, with its own clipping."""

    def clip(self) -> None:
        """None at all."""


class Changed(Adam):
    """Somebody's own formula."""

    def update(self) -> None:
        """Backwards."""


def test_the_rules_are_written_after_the_updates_as_they_stand() -> None:
    """Whoever changes `update` of Lab's Adam or SGD checks its rule, and puts the new fingerprint into the table."""
    assert rule_of(Adam) is adam_eps_under_root
    assert rule_of(SGD) is sgd_lr_in_momentum


def test_a_subclass_has_the_rule_of_the_update_it_inherits() -> None:
    """Not of the class that it derives from."""
    assert rule_of(Renamed) is adam_eps_under_root
    assert rule_of(Changed) is None
    assert rule_of(Optimizer) is None


def test_a_patched_update_has_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule was written after another."""
    monkeypatch.setattr(Adam, "update", Changed.update)
    assert rule_of(Adam) is None


@pytest.mark.parametrize(
    ("cls", "parameters", "shape", "said"),
    [
        (Adam, 40, (8, 8), None),
        (Changed, 40, (8, 8), "no rule is known"),
        (Adam, 4, (8, 8), "too few small parameters"),
        (Adam, 40, (256, 256), "too few small parameters"),
    ],
)
def test_the_loop_stays_where_foreach_gains_nothing(
    cls: type, parameters: int, shape: tuple[int, ...], said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """And a log line says why."""
    caplog.set_level(logging.INFO, "lab_bridge.update")
    optimizer = cls(nn.ParameterList([nn.Parameter(torch.zeros(shape)) for _ in range(parameters)]))
    choose_update(optimizer, "foreach")
    assert (type(optimizer) is cls) == (said is not None)
    assert said is None or said in caplog.text


def test_the_loop_can_be_chosen(build: Callable[..., Any]) -> None:
    """By an argument of the drop-in; a word that is none is refused."""
    assert type(build(Trainer, "digits_vae", "loop", update="loop").optimizer) is Adam
    assert type(build(Trainer, "digits_vae", "foreach").optimizer) is not Adam
    with pytest.raises(ValueError, match=r"Trainer\.update: expected one of foreach, loop.*found 'quick'"):
        build(Trainer, "digits_vae", "x", update="quick")
