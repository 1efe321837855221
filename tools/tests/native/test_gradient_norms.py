"""Level L3: hooks that look at the norm of a step's gradients, which clipping found."""

from __future__ import annotations

from typing import Any

import pytest

from .settings import GAN, LABS_SCALE, SAM

NORMS = '''
import gin
import torch
from legacy_lab.train.hooks import Hook


@gin.configurable
class Damping(Hook):
    """Shrinks the weights where the gradients were large, and logs their norm."""

    def after_step(self, trainer, metrics):
        if trainer.optimizer.last_norm is None:
            return
        self._damp(trainer)
        trainer.log({"norm": trainer.optimizer.last_norm})

    @torch.no_grad()
    def _damp(self, trainer):
        for parameter in trainer.model.parameters():
            parameter.mul_(1.0 - 1e-2 * min(1.0, trainer.optimizer.last_norm))
'''
HOOK = "Trainer.hooks = [@Damping()]"
CLIP = ("Adam.gradients = @Gradients()",)
PROJECTS: dict[str, tuple[str, ...]] = {
    "by Lab's norm": ("Adam.clip_norm = 0.5", "Adam.accumulate = 2"),
    "by torch's norm": (*CLIP, "Gradients.clip = @ClipTorchNorm()", "ClipTorchNorm.limit = 0.5"),
    "by one of the project's own": (*CLIP, "Gradients.clip = @Soft()", "Soft.limit = 0.01"),
    "by hand": ("Adam.clip_norm = 0.5", "Trainer.stepper = @Plain()", "Plain.skip_nan = True"),
    "of updates that a scale skips": (*LABS_SCALE, "Adam.clip_norm = 0.5", "Trainer.steps = 12"),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_hook_that_looks_at_the_norm_has_the_bits(native: Any, name: str) -> None:
    """It moves the weights by it, over nine steps."""
    module = f"norms_{list(PROJECTS).index(name)}"
    native.more[f"{module}.py"] = NORMS
    with native.registered(module):
        native.identical(HOOK, *PROJECTS[name])
    assert "self.gradient_norm: float | None = None" in (native.folder / "native" / "blobs" / "module.py").read_text()


def test_a_training_with_such_a_hook_goes_on(native: Any) -> None:
    """From its own checkpoints, and from Lab's."""
    native.more["norms_on.py"] = NORMS
    with native.registered("norms_on"):
        native.goes_on(HOOK, *PROJECTS["by Lab's norm"])


REFUSED: dict[str, tuple[str, ...]] = {
    "nothing clips": (),
    "values are clipped": (*CLIP, "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.5"),
    "each block is clipped": (*CLIP, "Gradients.clip = @ClipPerBlock()", "ClipPerBlock.limit = 0.5"),
    "an optimizer around another": (*SAM, "Trainer.stepper = @TwoPhase()", "SGD.clip_norm = 0.5"),
    "a generator and its critic": (*GAN, "critic/Adam.clip_norm = 0.3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_norm_that_is_not_there_is_refused(native: Any, name: str) -> None:
    """Nothing is written."""
    native.more["norms.py"] = NORMS
    conversion = native.converted(HOOK, *REFUSED[name])
    assert any("last_norm" in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes


def test_a_norm_before_a_step_is_refused(native: Any) -> None:
    """Lab has that of the step before; a resumed run has none."""
    native.more["norms.py"] = NORMS.replace("after_step(self, trainer, metrics)", "before_step(self, trainer)")
    conversion = native.converted(HOOK, *PROJECTS["by Lab's norm"])
    assert any("asks Lab's trainer for optimizer" in one.message for one in conversion.findings), conversion.findings
