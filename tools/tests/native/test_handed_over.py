"""Level L3: functions that a config hands over as they are, a loader that says how long it is, a rate for all."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

from .settings import COSINE

OWN = '''"""Ours."""

import gin
import torch
from legacy_lab.train.hooks import Hook
from torch.nn import functional as F


@gin.configurable
def contrastive(model, batch, temperature=0.5):
    """Two views of each example agree."""
    views = [F.normalize(model(batch["image"] + 0.1 * torch.randn_like(batch["image"]))[0], dim=1) for _ in range(2)]
    loss = F.cross_entropy(views[0] @ views[1].T / temperature, torch.arange(len(views[0])))
    return loss, {"loss": loss.detach()}


@gin.configurable
def made(temperature=0.5):
    """A function that makes one."""
    return lambda model, batch: (model(batch["image"])[0].mean() / temperature, {})


@gin.configurable
def halved(step, lr=0.1):
    """A schedule."""
    return {"lr": lr * 0.5**step}


@gin.configurable
class Fixed:
    """A loader that says how many batches an evaluation takes."""

    epoch_ended = False

    def __init__(self, dataset, count=3):
        self.dataset, self.batches_per_epoch, self.at = dataset, count, 0

    def next_batch(self):
        """The examples in order, for ever."""
        self.at += 1
        return self.dataset.batch((torch.arange(3) + 3 * self.at) % len(self.dataset))

    def state(self):
        return {"at": self.at}

    def load_state(self, state):
        self.at = state["at"]


@gin.configurable
class Changing(Fixed):
    """One of which nobody knows."""

    def next_batch(self):
        self.batches_per_epoch = self.at % 3 + 1
        return super().next_batch()


@gin.configurable
class Swayed(Hook):
    """Moves weights by the learning rate of the step."""

    def after_step(self, trainer, metrics):
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.mul_(1 - trainer.optimizer.hyper["lr"])
'''
LINES = (
    "Trainer.objective = @contrastive", "contrastive.temperature = 0.2", "Trainer.eval_loader = @Fixed",
    "Fixed.dataset = @test/Specks()", "Changing.dataset = @test/Specks()", "Trainer.hooks = [@Swayed()]", *COSINE,
)  # fmt: skip


def test_a_function_that_is_handed_over_trains_with_the_bits(native: Any) -> None:
    """An objective is called with model and batch; what it returns is a loss, no objective."""
    native.more["handed_over.py"] = OWN
    with native.registered("handed_over"):
        native.identical(*LINES)
    assert "partial(contrastive, temperature=0.2)" in (native.folder / "native" / "blobs" / "module.py").read_text()


def test_each_pass_is_as_long_as_the_loader_says_then(native: Any) -> None:
    """Lab asks it anew for every batch, so that a length that moves ends a pass early."""
    native.more["handed_over.py"] = OWN
    with native.registered("handed_over"):
        native.identical(*LINES, "Trainer.eval_loader = @Changing", "Trainer.eval_every = 2")


REFUSED: dict[str, tuple[str, str]] = {
    "a function that has to be called first": ("Trainer.objective = @made", "found its builder, @made"),
    "what is called with another thing": ("contrastive.batch = 3", "found its builder, @contrastive"),
    "a rate beside multipliers": ("Adam.multipliers = {'*.bias': 2.0}", "as they are before its multipliers"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_as_it_is_is_refused(native: Any, name: str) -> None:
    """And said so."""
    line, said = REFUSED[name]
    root = native.project(*LINES, line)
    (root / "handed_over.py").write_text(OWN)
    conversion = convert_project(root, "L3")
    assert not conversion.changes
    assert any(said in one.message for one in conversion.findings), conversion.findings


def test_an_import_that_nothing_uses_is_said_to_be_in_the_way(native: Any) -> None:
    """It would stay; the next step is to delete the line."""
    root = native.project()
    (root / "own.py").write_text("import gin\nfrom legacy_lab.train.hooks import Hook\n")
    (found,) = convert_project(root, "L3").findings
    assert (found.code, found.path, found.line) == ("LM403", "own.py", 2)
    assert found.next_step.startswith("nothing in the file uses it")
