"""Level L3: hooks that are built on classes of the project's own, and ask them by super()."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

BASE = '''
from legacy_lab.train.hooks import Hook


def strength(calls):
    return 1e-2 / calls


class Counting(Hook):
    """Counts what it did."""

    def __init__(self, every=1):
        self.every = every
        self.calls = 0

    def due(self, step):
        self.calls += 1
        return step % self.every == 0

    def after_train(self, trainer):
        print(strength(self.calls))

    def state(self):
        return {"calls": self.calls}

    def load_state(self, state):
        self.calls = state["calls"]
'''
HOOKS = '''
import gin
import torch

from family_base import Counting, strength


@gin.configurable
class Noisy(Counting):
    """Noise from a generator of its own, less with each call."""

    def __init__(self, every=2):
        super().__init__(every)
        self.generator = torch.Generator().manual_seed(3)

    def before_step(self, trainer):
        self.noise = torch.randn(3, generator=self.generator)

    def after_step(self, trainer, metrics):
        if self.due(trainer.step):
            with torch.no_grad():
                for parameter in trainer.model.parameters():
                    parameter.add_(strength(self.calls) * self.noise.mean())

    def state(self):
        return {**super().state(), "generator": self.generator.get_state()}

    def load_state(self, state):
        super().load_state(state)
        self.generator.set_state(state["generator"])


@gin.configurable
class Rising(Counting):
    """Moves weights of the first layer."""

    def before_step(self, trainer):
        if self.due(trainer.step):
            with torch.no_grad():
                for parameter in trainer.model.parameters():
                    parameter.mul_(1 + strength(self.calls))
'''
FAMILY = ("Trainer.hooks = [@Noisy(), @Rising()]", "Rising.every = 3")
ASKING = '''
import copy

import gin
import torch
from legacy_lab.train.hooks import Hook


class Acting(Hook):
    """Does something behind each step with what that found."""

    def __init__(self, by=0.1):
        self.by, self.kept, self.rate = by, None, 1.0

    def before_step(self, trainer):
        self.rate = 1.0 / (1 + trainer.step)

    def after_step(self, trainer, metrics):
        super().after_step(trainer, metrics)
        self.act(trainer.model, found=metrics)

    def act(self, model, found):
        raise NotImplementedError


@gin.configurable
class Pulled(Acting):
    """Weights are pulled to a copy of what they were, the more the greater the loss."""

    def before_train(self, trainer):
        super().before_train(trainer)
        self.kept = copy.deepcopy(trainer.model).eval().requires_grad_(False)

    def before_step(self, trainer):
        super().before_step(trainer)
        self.rate = self.rate * self.by

    def after_step(self, trainer, found):
        super().after_step(trainer, found)
        self.by = self.by * 0.9

    def act(self, model, found):
        with torch.no_grad():
            for mine, theirs in zip(model.parameters(), self.kept.parameters()):
                mine.lerp_(theirs, self.rate * min(1.0, float(found["loss"])))
'''


def test_hooks_of_one_family_have_the_bits_as_callbacks(native: Any) -> None:
    """Their base moves along, once."""
    native.more.update({"family_base.py": BASE, "family.py": HOOKS})
    with native.registered("family_base", "family"):
        native.identical(*FAMILY)
    text = (native.folder / "native" / "blobs" / "callbacks.py").read_text()
    assert text.count("class Counting(L.Callback):") == 1
    assert "class Noisy(Counting):" in text
    assert "**super().state_dict()" in text
    left = (native.folder / "native" / "family_base.py").read_text()
    assert "def strength" in left
    assert "legacy_lab" not in left


def test_hooks_of_one_family_go_on(native: Any) -> None:
    """From their own checkpoints and from Lab's."""
    native.more.update({"family_base.py": BASE, "family.py": HOOKS})
    with native.registered("family_base", "family"):
        native.goes_on(*FAMILY)


@pytest.mark.parametrize("more", [(), ("Adam.accumulate = 2",)])
def test_a_hook_that_asks_its_base_for_the_same_method_has_the_bits(native: Any, more: tuple[str, ...]) -> None:
    """`super().after_step(trainer, metrics)`; the metrics may be handed to its own methods, which look at them."""
    name = f"asking_{len(more)}"
    native.more[f"{name}.py"] = ASKING
    with native.registered(name):
        native.identical("Trainer.hooks = [@Pulled()]", *more)


ASKED = {
    "another method": ("super().before_train(trainer)", "super().after_train(trainer)", "hands Lab's trainer on"),
    "with something else": ("super().after_step(trainer, found)", "super().after_step(trainer, {})", "hands Lab's"),
    "metrics that are changed there": ('found["loss"]', 'found.pop("loss")', "does more with its metrics"),
    "gradients of the model itself": ("copy.deepcopy(trainer.model)", "trainer.model", "asks for requires_grad_"),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_a_hook_asks_its_base_for_otherwise_is_refused(native: Any, name: str) -> None:
    """Nothing is written."""
    before, after, said = ASKED[name]
    assert before in ASKING
    native.more["asking.py"] = ASKING.replace(before, after)
    conversion = native.converted("Trainer.hooks = [@Pulled()]")
    assert any(said in one.message for one in conversion.findings), [one.message for one in conversion.findings]
    assert not conversion.changes


REFUSED: dict[str, tuple[str, str, str]] = {
    "two bases": ("class Noisy(Counting):", "class Noisy(Counting, object):", "is not built on"),
    "a base that the project still uses": ("import gin\n", "import gin\n\nKINDS = (Counting,)\n", "uses Counting"),
    "a base under another name": (
        "import Counting, strength", "import Counting as Base, Counting, strength", "is called Base elsewhere",
    ),
    "a generator that is given away": (
        "        self.noise =",
        "        self.generator = torch.default_generator\n        self.noise =",
        "calls torch.randn",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_family_that_cannot_move_is_refused(native: Any, name: str) -> None:
    """Nothing is written."""
    before, after, said = REFUSED[name]
    hooks = HOOKS.replace(before, after, 1)
    if name == "a base under another name":
        hooks = hooks.replace("class Noisy(Counting)", "class Noisy(Base)")
    native.more.update({"family_base.py": BASE, "family.py": hooks})
    conversion = convert_project(native.project(*FAMILY), "L3")
    assert any(said in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes


def test_a_base_that_draws_when_it_is_made_is_refused_at_its_line(native: Any) -> None:
    """In the file that it stands in."""
    base = "import torch\n" + BASE.replace("self.calls = 0", "self.calls = int(torch.randint(3, ()))")
    native.more.update({"family_base.py": base, "family.py": HOOKS})
    conversion = convert_project(native.project(*FAMILY), "L3")
    (found,) = {(one.path, one.line) for one in conversion.findings if "when it is made" in one.message}
    assert found == ("family_base.py", base.splitlines().index("        self.calls = int(torch.randint(3, ()))") + 1)
