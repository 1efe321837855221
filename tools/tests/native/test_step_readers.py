"""Level L3: loaders that read the training's step, which Lab shows its trainer."""

from __future__ import annotations

from typing import Any

import pytest

GROWING = """
import gin
import torch


@gin.configurable
class Growing:
    '''More of a data set with every step.'''

    epoch_ended = False

    def __init__(self, dataset, size=4, seed=0):
        self.dataset, self.size = dataset, size
        self.generator = torch.Generator().manual_seed(seed)
        self.owner = None

    def attach(self, trainer):
        '''Whose step is read.'''
        self.owner = trainer

    def next_batch(self):
        if self.owner is None:
            raise RuntimeError("no trainer")
        known = min(len(self.dataset), self.size + self.owner.step)
        return self.dataset.batch(torch.randint(known, (self.size,), generator=self.generator))

    def state(self):
        return {"generator": self.generator.get_state()}

    def load_state(self, state):
        self.generator.set_state(state["generator"])
"""
OWN = ("Trainer.loader = @Growing", "Growing.dataset = @Specks()")
MIXTURE = (
    "Trainer.loader = @Mixture", "Mixture.loaders = [@train/Loader(), @other/Loader()]", "Mixture.start = [1.0, 0.2]",
    "Mixture.end = [0.1, 1.0]", "Mixture.steps = 6", "other/Loader.dataset = @other/Specks()",
    "other/Loader.batch_size = 3", "other/Specks.seed = 7",
)  # fmt: skip
PROJECTS: dict[str, tuple[str, ...]] = {
    "of the project's own": OWN,
    "of the project's own, three batches a step": (*OWN, "Adam.accumulate = 3"),
    "of the project's own, steps by hand": (*OWN, "Trainer.stepper = @Plain()", "Plain.skip_nan = True"),
    "a mixture": MIXTURE,
    "a mixture, two batches a step": (*MIXTURE, "Adam.accumulate = 2"),
}


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_loader_that_reads_the_step_has_the_bits(native: Any, name: str) -> None:
    """All batches of a step are dealt out at the same number of steps."""
    module = f"growing_{list(PROJECTS).index(name)}"
    native.more[f"{module}.py"] = GROWING
    with native.registered(module):
        native.identical(*PROJECTS[name])


def test_a_training_with_a_mixture_goes_on(native: Any) -> None:
    """From its own checkpoints, and from Lab's."""
    native.goes_on(*MIXTURE)


REFUSED = {
    "another setting": ("self.owner.step)", "self.owner.step + self.owner.seed)", "more than its step"),
    "the trainer handed on": ("self.owner.step)", "int(repr(self.owner)[0]))", "more than its step"),
    "more in attach": ("self.owner = trainer\n", "self.owner = trainer\n        self.size += 1\n", "more in attach"),
    "by any name": ("self.owner.step)", "getattr(self, 'owner').step)", "by getattr"),
    "a base": ("class Growing:", "class Growing(dict):", "built on another class"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_loader_that_asks_for_more_is_refused_at_its_line(native: Any, name: str) -> None:
    """Nothing is written."""
    before, after, said = REFUSED[name]
    native.more["growing.py"] = GROWING.replace(before, after)
    conversion = native.converted(*OWN)
    (found,) = conversion.findings
    assert (found.code, found.path, bool(found.line)) == ("LM405", "growing.py", True), found
    assert said in found.message
    assert not conversion.changes
