"""Level L3: what has no native form yet is refused, and says which setting stands in the way."""

from __future__ import annotations

from typing import Any

import pytest

from .settings import ACCUMULATE, GAN, GRADIENTS, LBFGS, SAM

REFUSED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "SAM that clips by what may look at the weights": (
        "LM405",
        "ClipAdaptive",
        (
            *SAM,
            "Trainer.stepper = @TwoPhase()",
            "SGD.gradients = @Gradients()",
            "Gradients.clip = @ClipAdaptive()",
            "ClipAdaptive.limit = 0.1",
        ),
    ),
    "SAM that divides gradients": (
        "LM405",
        "dividing gradients",
        (
            *SAM,
            "Trainer.stepper = @TwoPhase()",
            "SGD.accumulate = @Accumulation()",
            "Accumulation.every = 2",
            "Accumulation.form = 'grads'",
        ),
    ),
    "LBFGS that clips by a class of the project's own": (
        "LM402",
        "Closure",
        (*LBFGS, "Torch.gradients = @Gradients()", "Gradients.clip = @Slow()", "Slow.limit = 0.1"),
    ),
    "clipping the whole model": (
        "LM402",
        "whole model",
        (*GRADIENTS, "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.1", "ClipValue.reach = 'model'"),
    ),
    "a moving clip value": (
        "LM402",
        "clip",
        (
            "Adam.clip_norm = 1.0",
            "Adam.schedule = @Ramp()",
            "Ramp.of = 'clip'",
            "Ramp.start = 0.1",
            "Ramp.end = 0.2",
            "Ramp.steps = 3",
        ),
    ),
    "an evaluation before step 0 and no other": (
        "LM405",
        "eval_every is 0",
        ("Trainer.evaluation = @Evaluation()", "Evaluation.at_start = True", "Trainer.eval_every = 0"),
    ),
    "the best since before step 0": (
        "LM405",
        "Keep.best",
        (
            "Trainer.evaluation = @Evaluation()",
            "Evaluation.at_start = True",
            "Trainer.hooks = [@Keep()]",
            "Keep.best = 'eval/loss'",
        ),
    ),
    "an adversarial training in mixed precision": ("LM405", "precision", (*GAN, "Trainer.precision = @Autocast()")),
    "an adversarial training with fp32 copies": (
        "LM405",
        "fp32",
        (*GAN, "critic/Adam.gradients = @c/Gradients()", "c/Gradients.masters = True"),
    ),
    "SAM with fp32 copies": (
        "LM405",
        "fp32 copies",
        (*SAM, "Trainer.stepper = @TwoPhase()", "SGD.gradients = @Gradients()", "Gradients.masters = True"),
    ),
    "LBFGS with fp32 copies": (
        "LM402",
        "Closure",
        (*LBFGS, "Torch.gradients = @Gradients()", "Gradients.masters = True"),
    ),
    "an adversarial training that accumulates": ("LM402", "accumulates", (*GAN, "critic/Adam.accumulate = 2")),
    "settings of what Lab's code makes itself": (
        "LM405",
        "Gradients.clip",
        ("Gradients.clip = @ClipValue()", "ClipValue.limit = 0.1"),
    ),
    "settings of what Lab's code makes for one optimizer": (
        "LM405",
        "Gradients.clip",
        (*GAN, "critic/Adam.gradients = @Gradients()", "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.1"),
    ),
    "the time of a schedule that is not Timed": (
        "LM405",
        "Timed.when",
        (
            "Adam.schedule = @Ramp()",
            "Ramp.of = 'lr'",
            "Ramp.start = 0.1",
            "Ramp.end = 0.2",
            "Ramp.steps = 3",
            "Timed.when = 'after'",
        ),
    ),
    "how steps are taken where no stepper is": ("LM405", "Plain.skip_nan", ("Plain.skip_nan = True",)),
    "how it is accumulated, next to a number": (
        "LM405",
        "Accumulation.form",
        (ACCUMULATE, "Accumulation.form = 'sum'"),
    ),
    "two policies of what to keep": (
        "LM405",
        "two Keep",
        (
            "Trainer.checkpoint_every = 4",
            "Trainer.hooks = [@Keep(), @b/Keep()]",
            "Keep.last = 1",
            "b/Keep.best = 'eval/loss'",
        ),
    ),
    "a misspelt setting": ("LM405", "Adm", ("Adm.lr = 1.0",)),
}


def test_all_that_stands_against_sam_is_said_at_once(native: Any) -> None:
    """Beside what stands against the rest of the training."""
    clip = ("SGD.gradients = @Gradients()", "Gradients.clip = @ClipAdaptive()", "ClipAdaptive.limit = 0.1")
    rest = ("Gradients.masters = True", "ClipAdaptive.reach = 'model'")
    conversion = native.converted(*SAM, "Trainer.stepper = @TwoPhase()", *clip, *rest)
    said = " ".join(one.message for one in conversion.findings)
    assert [one.code for one in conversion.findings] == ["LM402", "LM405", "LM405"], conversion.findings
    assert all(words in said for words in ("whole model", "ClipAdaptive", "fp32 copies"))


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_native_form_is_refused(native: Any, name: str) -> None:
    """The finding says which setting stands in the way, and nothing is written."""
    code, said, bindings = REFUSED[name]
    conversion = native.converted(*bindings)
    assert conversion.needs_hand
    assert not conversion.changes
    assert any(finding.code == code and said in finding.message for finding in conversion.findings), conversion.findings
