"""Level L3: hooks that are dataclasses."""

from __future__ import annotations

from typing import Any

import pytest

HOOK = '''
from dataclasses import dataclass, field

import gin
import torch
from legacy_lab.train.hooks import Hook


@gin.configurable
@dataclass
class Budget(Hook):
    """Shrinks the weights as long as there is some."""

    most: float = 1000.0
    by: float = 0.99
    seen: list = field(default_factory=list)

    def __post_init__(self):
        self.used = 0.0

    @torch.no_grad()
    def after_step(self, trainer, metrics):
        self.used += float(metrics["loss"])
        self.seen.append(trainer.step)
        if self.used < self.most:
            for parameter in trainer.model.parameters():
                parameter.mul_(self.by)

    def state(self):
        return {"used": self.used, "seen": list(self.seen)}

    def load_state(self, state):
        self.used, self.seen = state["used"], list(state["seen"])
'''
LINES = ("Trainer.hooks = [@Budget()]", "Budget.by = 0.9")


def test_a_hook_that_is_a_dataclass_has_the_bits(native: Any) -> None:
    """The callback is one, too."""
    native.more["budget_of.py"] = HOOK
    with native.registered("budget_of"):
        native.identical(*LINES)
    text = (native.folder / "native" / "blobs" / "callbacks.py").read_text()
    assert "@dataclass\nclass Budget(L.Callback):" in text
    assert "seen: list = field(default_factory=list)" in text


def test_such_a_hook_goes_on(native: Any) -> None:
    """From its own checkpoints, and from Lab's."""
    native.more["budget_on.py"] = HOOK
    with native.registered("budget_on"):
        native.goes_on(*LINES)


REFUSED = {
    "slots": ("@dataclass\n", "@dataclass(slots=True)\n", "has the decorator @dataclass(slots=True)"),
    "a default that may draw": ("default_factory=list", "default_factory=lambda: [torch.randn(1)]", "in its class"),
    "a draw when it is made": ("self.used = 0.0", "self.used = float(torch.randn(1))", "when it is made: it may draw"),
    "another decorator of that name": (
        "from dataclasses import dataclass, field",
        "from dataclasses import field\n\ndef dataclass(cls):\n    return cls\n",
        "has the decorator @dataclass",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_dataclass_that_is_more_is_refused(native: Any, name: str) -> None:
    """Nothing is written."""
    before, after, said = REFUSED[name]
    native.more["budget.py"] = HOOK.replace(before, after, 1)
    conversion = native.converted("Trainer.hooks = [@Budget()]")
    assert any(said in one.message for one in conversion.findings), [one.message for one in conversion.findings]
    assert not conversion.changes
