"""Level L3: methods of a hook's own that it hands Lab's trainer to."""

from __future__ import annotations

from typing import Any

import pytest

HOOKS = '''
import gin
import torch
from legacy_lab.train.hooks import Hook


class Every(Hook):
    """`now` every so many steps, and behind evaluations."""

    def __init__(self, every=2):
        self.every, self.seen = every, []

    def after_step(self, trainer, metrics):
        if trainer.step % self.every == 0 or trainer.step == trainer.steps:
            self.now(trainer, float(metrics["loss"]))

    def after_eval(self, owner, metrics):
        self.now(owner, value=metrics["eval/loss"])

    def now(self, trainer, value):
        self.seen.append(value)

    def state(self):
        return {"seen": list(self.seen)}

    def load_state(self, state):
        self.seen = list(state["seen"])


@gin.configurable
class Pressed(Every):
    """Moves weights by what was seen, and logs."""

    def before_step(self, trainer):
        self._clamp(owner=trainer)

    @torch.no_grad()
    def _clamp(self, owner):
        for parameter in owner.model.parameters():
            parameter.clamp_(-1.0, 1.0 + owner.step)

    @torch.no_grad()
    def now(self, owner, value):
        super().now(owner, value)
        for parameter in owner.model.parameters():
            parameter.mul_(1.0 - 1e-3 * value * self.mean())
        self._told(owner, {"mean": self.mean()})

    def _told(self, trainer, found):
        trainer.log(found | {"seen": len(self.state()["seen"])})

    def mean(self):
        return sum(self.seen) / len(self.seen)
'''
LINES = ("Trainer.hooks = [@Pressed()]",)


@pytest.mark.parametrize("more", [(), ("Adam.accumulate = 2", "Pressed.every = 3")])
def test_a_hook_that_hands_the_trainer_to_its_methods_has_the_bits(native: Any, more: tuple[str, ...]) -> None:
    """They are handed Lightning's, and the module; a base's too, which it asks by `super()`."""
    name = f"pressed_{len(more)}"
    native.more[f"{name}.py"] = HOOKS
    with native.registered(name):
        native.identical(*LINES, *more)
    text = (native.folder / "native" / "blobs" / "callbacks.py").read_text()
    assert "def now(self, trainer: L.Trainer, pl_module: L.LightningModule, value):" in text
    assert "self._clamp(trainer=trainer, pl_module=pl_module)" in text
    assert 'len(self.state_dict()["seen"])' in text


def test_such_a_hook_goes_on(native: Any) -> None:
    """From its own checkpoints, and from Lab's."""
    native.more["pressed_on.py"] = HOOKS
    with native.registered("pressed_on"):
        native.goes_on(*LINES)


REFUSED = {
    "handed on with stars": ("self._told(owner, {", "self._told(*[owner], {", "hands Lab's trainer on"),
    "a method that is called without it": (
        "return sum(self.seen)", "self._told(None, {})\n        return sum(self.seen)", "hands Lab's trainer on",
    ),
    "a method that is handed on": ("self.seen = every, []", "self.seen = every, [self.now]", "hands Lab's trainer on"),
    "a method that asks for more": ("trainer.log(found |", "trainer.loader.log(found |", "loader"),
    "a method that keeps it": ("trainer.log(found", "print(trainer, found", "hands Lab's"),
    "a rate before a step": (
        "for parameter in owner.model.parameters():\n            parameter.clamp_(-1.0, 1.0 + owner.step)",
        "owner.model.parameters()\n        self.rate = owner.optimizer.groups[0]['lr']",
        "asks for the optimizer in _clamp, before a step as well",
    ),
    "a draw before a step": ("parameter.clamp_(-1.0, 1.0 + owner.step)", "torch.randn(1)", "calls torch.randn"),
    "a function inside": ("super().now(owner, value)", "f = lambda: owner.step", "defines a function in now"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_such_a_method_does_otherwise_is_refused_at_its_line(native: Any, name: str) -> None:
    """Nothing is written."""
    before, after, said = REFUSED[name]
    assert before in HOOKS
    native.more["pressed.py"] = HOOKS.replace(before, after, 1)
    conversion = native.converted(*LINES)
    assert any(said in one.message and one.path == "pressed.py" and one.line for one in conversion.findings), [
        one.message for one in conversion.findings
    ]
    assert not conversion.changes
