"""Level L3: a training that was at its end goes on for more steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab_migrate.native.checkpoint import convert_to_native
from lab_parity.testing import assert_same_bits

from .settings import GAN
from .states import state_of, trained

PROJECTS: dict[str, tuple[str, ...]] = {
    "two batches a step, evaluated behind the last": ("Adam.accumulate = 2", "Trainer.eval_every = 3"),
    "an endless loader of the project's own": ("Trainer.loader = @DrawnBatches", "DrawnBatches.dataset = @Specks()"),
    "steps by hand": ("Adam.accumulate = @Accumulation()", "Accumulation.every = 2", "Accumulation.leftover = 'drop'"),
    "a generator and its critic": (*GAN, "Adversarial.critic_steps = 2"),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_training_that_was_over_goes_on_for_more_steps(native: Any, tmp_path: Path, name: str) -> None:
    """As one that had them from the beginning; Lightning took its one pass to be over, and ended without a word."""
    root = native.written("Trainer.checkpoint_every = 1", *PROJECTS[name])
    native.train()
    convert_to_native(trained(root, tmp_path / "lab")[-1], tmp_path / "labs.ckpt", root)
    found = []
    for resume in (tmp_path / "run" / "step=00000009.ckpt", tmp_path / "labs.ckpt", None):
        longer = native.train(resume=resume and str(resume), steps=12)
        assert longer.global_step == 12
        found.append(state_of(longer))
    for one in found[:2]:
        assert_same_bits(one, found[2])
