"""State transplant: one bug does not hide the next."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lab_parity
from lab_parity.compare import differences
from lab_parity.diagnose.every import every_cause
from lab_parity.record import Transplant
from lab_parity.strategies import Loader, Model, OptimizerChoice, Training
from lab_parity.testing import recorded

STEPS = 8
BASE = Training(
    Model(("batch norm", "linear", "dropout", "relu")),
    OptimizerChoice("AdamW", {"lr": 0.01}),
    loader=Loader(samples=24, batch_size=4),
    steps=STEPS,
)


class Shell(nn.Module):
    """What a framework puts around the model, so that all names are longer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner = model

    def forward(self, x: Any) -> Any:
        """As the model."""
        return self.inner(x)


def transplanted(tmp_path: Path, migrated: Callable[[], object], *, gradients: bool = True) -> list[Any]:
    """All causes that are found."""
    legacy = recorded(BASE, tmp_path / "a.trace", capture=range(STEPS))
    runs = []
    for with_gradients in (False, True)[: 1 + gradients]:
        path = tmp_path / f"b{with_gradients}.trace"
        torch.manual_seed(0)
        with lab_parity.record(path, capture=range(STEPS), transplant=Transplant(Path(legacy.path), with_gradients)):
            migrated()
        runs.append(lab_parity.read(path))
    return [(found.cause.name, found.steps) for found in every_cause(legacy, *runs)]


class Mischief:
    """Trains BASE with three bugs: dropout from step 1 on, a draw at step 4, another rate from step 6 on."""

    def __init__(self, base: Training = BASE) -> None:
        self.base = base

    def __call__(self) -> object:
        """Train."""
        return self.base(before_step=self.before_step, wrap_optimizer=self.keep, wrap=Shell)

    def keep(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """The optimizer, at hand for mischief."""
        self.optimizer = optimizer
        return optimizer

    def before_step(self, step: int, model: Any) -> None:
        """The bugs."""
        if step == 1:
            model[2].p = 0.5
        if step == 4:
            torch.rand(3)
        if step == 6:
            self.optimizer.param_groups[0]["lr"] = 0.02


class OneWrongUpdate(Mischief):
    """Twice the rate in step 1."""

    def before_step(self, step: int, model: Any) -> None:
        """Doubled, and put back."""
        self.optimizer.param_groups[0]["lr"] = self.base.optimizer.settings["lr"] * (2 if step == 1 else 1)


def test_three_bugs_are_named_in_one_run(tmp_path: Path) -> None:
    """Each from its own step on, although the first one has parted the runs long before; through a wrapper, too."""
    found = dict(transplanted(tmp_path, Mischief()))
    assert found["module"][0] == 1
    assert found["rng"] == (4,)
    assert found["lr"] == (6, 7)
    assert set(found) == {"module", "rng", "lr"}


def test_without_the_gradients_a_bug_in_the_forward_pass_hides_one_in_the_update(tmp_path: Path) -> None:
    """That is what they are transplanted for."""
    found = dict(transplanted(tmp_path, Mischief(), gradients=False))
    assert set(found) == {"module", "rng"}


def test_a_single_fault_is_seen_once(tmp_path: Path) -> None:
    """A weight that is changed between two steps parts all later steps, unless the state is put back."""

    def once(step: int, model: Any) -> None:
        if step == 3:
            model[1].weight.data.mul_(1.001)

    assert transplanted(tmp_path, lambda: BASE(before_step=once)) == [("between_steps", (3,))]


@pytest.mark.parametrize("kept", ["capture", "states"])
def test_averages_are_put_in_place_and_need_no_batches(tmp_path: Path, kept: str) -> None:
    """After one average too many the next ones are right again; the state alone is enough for it."""

    def averaged(extra: int = -1) -> None:
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        average = copy.deepcopy(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        data = torch.Generator().manual_seed(1)
        for step in range(6):
            optimizer.zero_grad()
            model(torch.randn(5, 3, generator=data)).square().mean().backward()
            optimizer.step()
            for _ in range(1 + (step == extra)):
                with torch.no_grad():
                    for mine, other in zip(average.parameters(), model.parameters(), strict=True):
                        mine.lerp_(other, 0.1)

    options: dict[str, Any] = {kept: range(6)}
    with lab_parity.record(tmp_path / "a.trace", **options):
        averaged()
    with lab_parity.record(tmp_path / "b.trace", transplant=Transplant(tmp_path / "a.trace")):
        averaged(extra=2)
    legacy, migrated = (lab_parity.read(tmp_path / name) for name in ("a.trace", "b.trace"))
    assert [(one.first.step, one.first.phase) for one in differences(legacy, migrated) if one.first] == [(3, "ema")]
    assert bool(list(tmp_path.glob("a.state*"))) == (kept == "states")


def test_equal_runs_have_no_cause(tmp_path: Path) -> None:
    """A transplant into an equal run changes nothing."""
    assert transplanted(tmp_path, lambda: BASE(wrap=Shell)) == []


@pytest.mark.parametrize("optimizer", ["SGD", "RMSprop", "Adagrad"])
def test_the_state_of_every_optimizer_is_put_in_place(tmp_path: Path, optimizer: str) -> None:
    """After one wrong update the next ones are right again."""
    settings: dict[str, Any] = {"lr": 0.05} | ({"momentum": 0.9} if optimizer != "Adagrad" else {})
    base = Training(BASE.model, OptimizerChoice(optimizer, settings), steps=4)
    legacy = recorded(base, tmp_path / "a.trace", capture=range(4))

    with lab_parity.record(tmp_path / "b.trace", capture=range(4), transplant=Transplant(Path(legacy.path))):
        OneWrongUpdate(base)()
    found = every_cause(legacy, lab_parity.read(tmp_path / "b.trace"))
    assert {step for each in found for step in each.steps} == {1}
    assert found[0].cause.name in ("lr", "schedule"), found


def test_a_clip_and_an_average_are_named_behind_another_loss(tmp_path: Path) -> None:
    """The loss differs in every step, and hid both."""

    def train(weight: float, at: float, decay: float) -> None:
        torch.manual_seed(0)
        model = nn.Linear(3, 4)
        average = copy.deepcopy(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            out = model(torch.randn(8, 3))
            (out.square().mean() + weight * out.abs().mean()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), at)
            optimizer.step()
            with torch.no_grad():
                for mine, other in zip(average.parameters(), model.parameters(), strict=True):
                    mine.lerp_(other, decay)

    with lab_parity.record(tmp_path / "a", capture=range(4)):
        train(0.1, 0.2, 0.1)
    runs = []
    for gradients in (False, True):
        path = tmp_path / f"b{gradients}"
        with lab_parity.record(path, capture=range(4), transplant=Transplant(tmp_path / "a", gradients)):
            train(0.3, 0.1, 0.2)
        runs.append(lab_parity.read(path))
    found = {one.cause.name: one for one in every_cause(lab_parity.read(tmp_path / "a"), *runs)}
    # From step 1 on the averages differ, too, which may feed a loss.
    assert found["objective"].steps[0] == 0
    assert (found["clip"].steps, found["ema"].steps) == ((0, 1, 2, 3), (1, 2, 3))
    assert "at 0.2, the migrated one at 0.1" in found["clip"].cause.sentence
