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
    with pytest.raises(ValueError, match=r"Trainer\.update: expected one of foreach, loop, fused, found 'quick'"):
        build(Trainer, "digits_vae", "x", update="quick")


SETTINGS = {
    "as the example has it": (),
    "gradients left as none": ("Adam.gradients = @Gradients()", "Gradients.left_as = 'none'"),
    "fp32 masters": ("Adam.gradients = @Gradients()", "Gradients.masters = True"),
    "a loss scaler that skips": (
        "Adam.gradients = @Gradients()",
        "Gradients.scaler = @DynamicScaler()",
        "DynamicScaler.scale_by = 1e38",
    ),
    "three groups, one of them left out": (
        "Adam.multipliers = {'blocks.7.*': 0.5, 'blocks.3.*': 3.0, 'blocks.0.*': None}",
    ),
    "no decay": ("Adam.decay = 0.0",),
    "SGD": ("Trainer.optimizer = @SGD", "SGD.decay = 0.01", "SGD.lr = 1e-2"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_drop_in_keeps_labs_bits_through_foreach(build: Callable[..., Any], name: str) -> None:
    """Every parameter, state tensor and gradient after ten steps, whatever else the optimizer was told to do."""
    few = ("Trainer.steps = 10", "Trainer.eval_every = 0", *SETTINGS[name])
    states = []
    for update in ("loop", "foreach"):
        trainer = build(Trainer, "digits_vae", update, *few, update=update)
        trainer.train()
        state = trainer.state()
        states.append(_flat({part: state[part] for part in ("step", "model", "optimizer", "ema")}))
        assert hasattr(trainer.optimizer, "_foreach_plan") == (update == "foreach")
    assert states[0].keys() == states[1].keys()
    assert [key for key in states[0] if not _same(states[0][key], states[1][key])] == []


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: leaf for name, inner in value.items() for key, leaf in _flat(inner, f"{path}/{name}").items()}
    if isinstance(value, list | tuple):
        return _flat(dict(enumerate(value)), path)
    return {path: value}


def _same(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else bool(a == b)
