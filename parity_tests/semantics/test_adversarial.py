"""Several optimizers in one step: a generator and its critic."""

from __future__ import annotations

import pytest

from semantics.harness import Parity

GAN = [
    "Trainer.model = @Adversaries",
    "Trainer.objective = @Realness()",
    "Trainer.stepper = @Adversarial()",
    "Trainer.optimizer = @Several",
    "Several.optimizers = {'critic': @critic/Adam, 'generator': @generator/SGD}",
    "Adversaries.generator = @generator/Model",
    "Adversaries.critic = @critic/Model",
    "generator/Model.input_shape = (3,)",
    "generator/Model.blocks = [@hidden/Linear(), @Norm(), @Activation(), @image/Linear()]",
    "critic/Model.input_shape = (6,)",
    "critic/Model.blocks = [@hidden/Linear(), @Activation(), @logit/Linear()]",
    "hidden/Linear.features = 8",
    "image/Linear.features = 6",
    "logit/Linear.features = 1",
]


@pytest.mark.parametrize("count", [1, 3])
def test_several_critic_steps(parity: Parity, count: int) -> None:
    """Several updates of the critic, each with a batch of its own, before one of the generator.

    Seam: a step is the legacy trainer's step; Lightning, which would count every optimizer's, counts one.

    Twin: one critic update more.
    """
    right = [*GAN, f"Adversarial.critic_steps = {count}"]
    run = parity.identical(*right)
    assert run.trainer.optimizer["critic"].steps == 9 * count
    parity.diverges(right, [*right, f"Adversarial.critic_steps = {count + 1}"])


@pytest.mark.parametrize("sharing", ["forward", "graph"])
def test_a_shared_forward_pass(parity: Parity, sharing: str) -> None:
    """One forward pass of the generator serves both: detached for the critic, or its graph retained.

    Seam: both backward passes lie inside the legacy step; nothing is toggled.

    Twin: a forward pass each.
    """
    right = [*GAN, f"Adversarial.sharing = '{sharing}'"]
    parity.identical(*right)
    parity.diverges(right, [*right, "Adversarial.sharing = 'none'"])


def test_delayed_start(parity: Parity) -> None:
    """The critic starts at step 3.

    Seam: the legacy step decides.

    Twin: it starts at step 4.
    """
    right = [*GAN, "Adversarial.start = 3"]
    parity.identical(*right)
    parity.diverges(right, [*right, "Adversarial.start = 4"], step=3)


@pytest.mark.parametrize("every", [1, 3])
def test_double_backward(parity: Parity, every: int) -> None:
    """The R1 penalty, at every or every third critic update: a gradient of a gradient.

    Seam: the legacy step differentiates twice; inputs that require gradients never pass through Lightning.

    Twin: no penalty.
    """
    right = [*GAN, "Adversarial.penalty = 2.0", f"Adversarial.penalty_every = {every}"]
    parity.identical(*right)
    parity.diverges(right, GAN, phase="loss", step=0)


def test_clipping_and_schedules_of_their_own(parity: Parity) -> None:
    """Each optimizer clips and schedules by itself.

    Seam: each is a legacy optimizer, complete.

    Twin: the generator's clip value for both.
    """
    right = [
        *GAN,
        "critic/Adam.clip_norm = 0.1",
        "generator/SGD.clip_norm = 0.3",
        "critic/Adam.schedule = @Ramp()",
        "Ramp.of = 'lr'",
        "Ramp.start = 0.01",
        "Ramp.end = 0.001",
        "Ramp.steps = 5",
    ]
    parity.identical(*right)
    parity.diverges(right, [*right, "critic/Adam.clip_norm = 0.3"], phase="grad", step=0)
