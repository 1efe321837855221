"""Level L3: hooks that look at the optimizer's learning rates, or at data that they are given."""

from __future__ import annotations

from typing import Any

import pytest

from .settings import COSINE, FP16, GAN, LOOKAHEAD

SWAYED = '''
import gin
import torch
from legacy_lab.train.hooks import Hook


@gin.configurable
class Swayed(Hook):
    """Moves weights by the learning rates that the step's update had."""

    def after_step(self, trainer, metrics):
        first = trainer.optimizer.groups[0]["lr"]
        outputs = max(group["lr"] for group in trainer.optimizer.groups)
        with torch.no_grad():
            for group in trainer.optimizer.groups:
                print(group["lr"])
            for parameter in trainer.model.parameters():
                parameter.add_(first * 0.1 + outputs * 0.01)
'''
HOOK = ("Trainer.hooks = [@Swayed()]",)
AFTER = ("Adam.schedule = @Timed()", "Timed.schedule = @WarmupCosine()", "Timed.when = 'after'", *COSINE[1:])
#: The test's number names the module, which Python imports once.
RATES: dict[str, tuple[str, ...]] = {
    "a schedule, accumulation, groups": (
        *HOOK, *COSINE, "Adam.accumulate = 2", "Adam.multipliers = {'blocks.0.*': 0.3, 'blocks.4.*': 2.0}",
    ),
    "behind updates": (*HOOK, *AFTER),
    "none": (*HOOK, *LOOKAHEAD),
    "steps that a scaler skips": (*HOOK, *FP16, *COSINE, "TorchScaler.scale_by = 1e9"),
    "steps by hand": (*HOOK, *COSINE, "Adam.accumulate = @Accumulation()", "Accumulation.every = 3",
                      "Accumulation.leftover = 'count'"),
}  # fmt: skip


@pytest.mark.parametrize("name", RATES)
def test_a_hook_sees_the_learning_rates_of_the_steps_update(native: Any, name: str) -> None:
    """Not those of the next, to which Lightning's schedule has moved on."""
    module = f"swayed_{list(RATES).index(name)}"
    native.more[f"{module}.py"] = SWAYED
    with native.registered(module):
        native.identical(*RATES[name])


EARLY = '''
import gin
import torch
from legacy_lab.train.hooks import Hook


@gin.configurable
class Early(Hook):
    """Moves weights before a step by the learning rates of the update before, and behind it by those of its own."""

    def before_step(self, trainer):
        self.rate = trainer.optimizer.groups[-1]["lr"]
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.mul_(1 - self.rate)

    def after_step(self, trainer, metrics):
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.add_(trainer.optimizer.groups[0]["lr"] * 0.1 + self.rate)
'''
EARLY_RATES = {name: ("Trainer.hooks = [@Early()]", *lines[1:]) for name, lines in RATES.items()}
EARLY_RATES["no schedule"] = ("Trainer.hooks = [@Early()]", "Adam.multipliers = {'blocks.0.*': 0.3}")


@pytest.mark.parametrize("name", EARLY_RATES)
def test_a_hook_sees_the_learning_rates_of_the_update_before(native: Any, name: str) -> None:
    """Before a step; before the first, those that the optimizer was made with."""
    module = f"early_{list(EARLY_RATES).index(name)}"
    native.more[f"{module}.py"] = EARLY
    with native.registered(module):
        native.identical(*EARLY_RATES[name])


@pytest.mark.parametrize("name", ["a schedule, accumulation, groups", "behind updates", "steps that a scaler skips"])
def test_a_training_with_such_a_hook_goes_on(native: Any, name: str) -> None:
    """A checkpoint holds the rates of the last update, also one of Lab's that was converted."""
    module = f"goes_on_{list(EARLY_RATES).index(name)}"
    native.more[f"{module}.py"] = EARLY
    with native.registered(module):
        native.goes_on(*EARLY_RATES[name])


OF_PARTS = '''
import gin
import torch
from legacy_lab.train.hooks import Hook


@gin.configurable
class OfParts(Hook):
    """Moves weights by the learning rates that both updates had."""

    def after_step(self, trainer, metrics):
        rates = {part: trainer.optimizer[part].groups[0]["lr"] for part in ("critic", "generator")}
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.add_(rates["critic"] * 0.1 + rates["generator"])
            for group in trainer.optimizer["critic"].groups:
                print(group["lr"])
'''
EARLY_PARTS = OF_PARTS.replace(
    "    def after_step", '''    def before_step(self, trainer):
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.mul_(1 - trainer.optimizer["critic"].groups[0]["lr"])
                parameter.sub_(trainer.optimizer["generator"].groups[-1]["lr"])

    def after_step''', 1,
)  # fmt: skip
PARTS: dict[str, tuple[str, ...]] = {
    "of schedules": (
        "generator/Adam.schedule = @WarmupCosine()", *COSINE[1:], "critic/Adam.schedule = @Ramp()",
        "Ramp.of = 'lr'", "Ramp.start = 1e-2", "Ramp.end = 1e-3", "Ramp.steps = 7",
    ),
    "one of which starts later": (
        "critic/Adam.schedule = @WarmupCosine()", *COSINE[1:], "Adversarial.start = 3", "Adversarial.critic_steps = 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_a_hook_sees_the_learning_rates_of_several_optimizers(native: Any, name: str) -> None:
    """Each one's last update's."""
    module = f"of_parts_{list(PARTS).index(name)}"
    native.more[f"{module}.py"] = OF_PARTS
    with native.registered(module):
        native.identical(*GAN, "Trainer.hooks = [@OfParts()]", *PARTS[name])


def test_a_hook_sees_the_learning_rates_of_several_before_a_step(native: Any) -> None:
    """Those of each one's update before."""
    native.more["early_parts.py"] = EARLY_PARTS
    with native.registered("early_parts"):
        native.identical(*GAN, "Trainer.hooks = [@OfParts()]", *PARTS["one of which starts later"])


def test_a_training_whose_hook_sees_several_rates_goes_on(native: Any) -> None:
    """From its own checkpoints and from Lab's."""
    native.more["of_parts_on.py"] = EARLY_PARTS
    with native.registered("of_parts_on"):
        native.goes_on(*GAN, "Trainer.hooks = [@OfParts()]", *PARTS["one of which starts later"])


@pytest.mark.parametrize(
    ("lines", "before", "after"),
    [
        (("critic/Adam.gradients = @c/Gradients()", "c/Gradients.scaler = @StaticScaler()"), "", ""),
        ((), 'trainer.optimizer["critic"].groups:', "trainer.optimizer.groups:"),
        (("critic/Adam.schedule = @Timed()", *AFTER[1:]), "", ""),
    ],
)  # fmt: skip
def test_rates_of_several_optimizers_that_cannot_be_told_are_refused(
    native: Any, lines: tuple[str, ...], before: str, after: str
) -> None:
    """Nothing is written."""
    native.more["of_parts.py"] = OF_PARTS.replace(before, after) if before else OF_PARTS
    conversion = native.converted(*GAN, "Trainer.hooks = [@OfParts()]", *lines)
    assert any(one.code == "LM405" and "optimizer" in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes


def test_rates_that_cannot_be_told_are_refused(native: Any) -> None:
    """Asked by losses, a schedule has moved on where Lab's has not; nothing is written."""
    native.more["swayed.py"] = SWAYED
    timed = ("Adam.schedule = @Timed()", "Timed.schedule = @WarmupCosine()", "Timed.per = 'loss'", *COSINE[1:])
    conversion = native.converted(*HOOK, *timed)
    assert any(one.code == "LM405" and "by losses" in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes


LOOKING = '''
import gin
import torch
from legacy_lab.train.hooks import Hook


@gin.configurable
class Dots:
    """A data set that is made with a generator of its own."""

    def __init__(self, size=6, seed=2):
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.randn(size, 6, generator=generator)

    def __len__(self):
        return len(self.images)

    def batch(self, indices):
        return {"image": self.images[indices]}


def doubled(value):
    return 2 * value


@gin.configurable
class Looking(Hook):
    """Moves weights by what the model says of data that no loader deals out."""

    def __init__(self, dataset, digits=None, count=4):
        self.dataset, self.digits, self.count = dataset, digits, count
        self.first = dataset.batch(torch.arange(2))["image"].mean()

    def before_step(self, trainer):
        self.mean = self.dataset.batch(torch.arange(self.count))["image"].mean() + doubled(self.first)

    def after_step(self, trainer, metrics):
        batch = self.dataset.batch(torch.arange(self.count))
        more = self.digits.batch(torch.arange(3))["image"].mean()
        with torch.no_grad():
            said = trainer.model(batch["image"])[0].mean() + self.mean + more
            for parameter in trainer.model.parameters():
                parameter.add_(said * 1e-3)
'''
GIVEN = ("Trainer.hooks = [@Looking()]", "Looking.dataset = @Dots()", "Looking.digits = @Digits()")


def test_a_hook_looks_at_data_that_it_is_given(native: Any) -> None:
    """The project's own and Lab's, which a callback asks for batches as a hook does."""
    native.more["looking.py"] = LOOKING
    with native.registered("looking"):
        native.identical(*GIVEN, "Digits.split = 'test'")


DRAWING: dict[str, tuple[str, str, str]] = {
    "when it is made": ("generator=generator)", ")", "torch.randn"),
    "by a generator that is everybody's": ("torch.Generator()", "torch.default_generator", "manual_seed"),
    "when it is asked": ('{"image": self.images[indices]}', '{"image": torch.rand(2, 6)}', "dataset.batch"),
    "by a function beside it": ("return 2 * value", "return value * torch.rand(())", "calls doubled"),
    "by something that it was given": ("self.images[indices]}", "self.noise(indices)}", "dataset.batch"),
}


@pytest.mark.parametrize("name", DRAWING)
def test_data_that_may_draw_is_refused(native: Any, name: str) -> None:
    """Where it is made, and where it is asked before a step's first batch."""
    before, after, said = DRAWING[name]
    native.more["looking.py"] = LOOKING.replace(before, after)
    conversion = native.converted(*GIVEN)
    assert any(one.code == "LM405" and said in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes


AROUND = '''
import gin


@gin.configurable
class Around:
    """Digits as the training's points."""

    def __init__(self, inner):
        self.inner = inner

    def __len__(self):
        return len(self.inner) // 9

    def batch(self, indices):
        digits = self.inner.batch(indices * 9)
        return {"image": digits["image"][:, 0, 3, :6], "label": digits["label"] % 3}
'''


def test_data_of_the_projects_may_be_given_labs(native: Any) -> None:
    """It asks that for batches, as a DataLoader would not: the native training failed."""
    native.more["around.py"] = AROUND
    with native.registered("around"):
        native.identical("train/Loader.dataset = @Around()", "Around.inner = @Digits()")
