"""What people get wrong when they move a loop to a framework: one mistake a training, and what it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, ReduceLROnPlateau

import lab_parity

Training = Callable[[bool], None]


def numbers(count: int, *shape: int, seed: int = 5) -> Tensor:
    """Numbers of their own generator."""
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def labels(count: int, classes: int = 3, seed: int = 6) -> Tensor:
    """Classes of their own generator."""
    return torch.randint(0, classes, (count,), generator=torch.Generator().manual_seed(seed))


def network() -> nn.Module:
    """(B, 4) -> (B, 3)."""
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def resumed_schedule(bug: bool) -> None:
    """The optimizer's state is loaded, the schedule's is not."""
    model, x, y = network(), numbers(8, 4), labels(8)
    state: dict[str, dict[str, object]] = {}
    for _ in range(2):
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
        schedule = CosineAnnealingLR(optimizer, 12)
        if state:
            optimizer.load_state_dict(state["optimizer"])
            if bug:
                optimizer.param_groups[0]["lr"] = 1e-2
            else:
                schedule.load_state_dict(state["schedule"])
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
        state = {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}


def schedule_of_micro_steps(bug: bool) -> None:
    """The schedule is stepped for every batch, of which two make a step."""
    model, x, y = network(), numbers(8, 4), labels(8)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = LinearLR(optimizer, 0.1, 1.0, 8)
    for batch in range(12):
        (F.cross_entropy(model(x), y) / 2).backward()
        if batch % 2:
            optimizer.step()
            optimizer.zero_grad()
        if bug or batch % 2:
            schedule.step()


def twice_as_long(bug: bool) -> None:
    """T_max counts batches of two ranks."""
    model, x, y = network(), numbers(8, 4), labels(8)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = CosineAnnealingLR(optimizer, 16 if bug else 8)
    for _ in range(6):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        schedule.step()


def another_metric(bug: bool) -> None:
    """The plateau is that of another number."""
    model, x, y = network(), numbers(8, 4), labels(8)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = ReduceLROnPlateau(optimizer, patience=0)
    for epoch in range(4):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        schedule.step(1.5 + epoch * (0.5 if bug else -0.25))


def unequal_micro_steps(bug: bool) -> None:
    """The mean over two micro-batches of unequal size, or of their means."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step in range(2):
        optimizer.zero_grad()
        for size in (4, 8):
            loss = F.cross_entropy(model(numbers(size, 4, seed=step)), labels(size), reduction="sum")
            (loss / (size * 2 if bug else 12)).backward()
        optimizer.step()


def ignored_targets(bug: bool) -> None:
    """Half of the second batch's targets are ignored; the mean is taken over all."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step in range(2):
        targets = labels(8)
        targets[: 4 * step] = -100
        optimizer.zero_grad()
        if bug:
            loss = F.cross_entropy(model(numbers(8, 4)), targets, reduction="sum") / 8
        else:
            loss = F.cross_entropy(model(numbers(8, 4)), targets)
        loss.backward()
        optimizer.step()


def penalty(bug: bool) -> None:
    """A penalty on the weights was a part of the loss."""
    model, x, y = network(), numbers(8, 4), labels(8)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        if not bug:
            loss = loss + 0.01 * torch.stack([p.square().sum() for p in model.parameters()]).sum()
        loss.backward()
        optimizer.step()


def images(change: Callable[[Tensor], Tensor]) -> Training:
    """Images that the migrated run prepares otherwise."""

    def train(bug: bool) -> None:
        model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for step in range(2):
            x = numbers(6, 3, 5, 5, seed=step)
            optimizer.zero_grad()
            F.cross_entropy(model(change(x) if bug else x), labels(6)).backward()
            optimizer.step()

    return train


def some_flipped(x: Tensor) -> Tensor:
    """Every other image."""
    return torch.stack([image.flip(2) if place % 2 else image for place, image in enumerate(x)])


def clipped(bug: bool) -> None:
    """The norm is clipped, or nothing."""
    model, x, y = network(), numbers(8, 4), labels(8)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        if not bug:
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()


class OwnAdam:
    """Adam, of which nobody sees settings or state."""

    def __init__(self, model: nn.Module, betas: tuple[float, float], eps: float, corrected: bool) -> None:
        self._parameters = list(model.parameters())
        self._first = [torch.zeros_like(p) for p in self._parameters]
        self._second = [torch.zeros_like(p) for p in self._parameters]
        self._betas, self._eps, self._corrected, self._count = betas, eps, corrected, 0

    @torch.no_grad()
    def step(self) -> None:
        """Kingma and Ba's algorithm 1."""
        self._count += 1
        one, two = self._betas
        c1, c2 = (1 - one**self._count, 1 - two**self._count) if self._corrected else (1.0, 1.0)
        for p, m, v in zip(self._parameters, self._first, self._second, strict=True):
            assert p.grad is not None
            m.mul_(one).add_(p.grad, alpha=1 - one)
            v.mul_(two).addcmul_(p.grad, p.grad, value=1 - two)
            p.addcdiv_(m, (v / c2).sqrt() + self._eps, value=-1e-2 / c1)
            p.grad = None


def own_adam(
    betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, corrected: bool = True, by_torch: bool = False
) -> Training:
    """The migrated settings of such an optimizer; the legacy ones are torch's defaults, or no correction `by_torch`."""

    def train(bug: bool) -> None:
        model, x, y = network(), numbers(8, 4), labels(8)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                nn.init.zeros_(parameter)  # so that last bits of the update are seen
        if bug and by_torch:
            optimizer: OwnAdam | torch.optim.Adam = torch.optim.Adam(model.parameters(), 1e-2)
        elif bug:
            optimizer = OwnAdam(model, betas, eps, corrected)
        else:
            optimizer = OwnAdam(model, (0.9, 0.999), 1e-8, not by_torch)
        for _ in range(2):
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            model.zero_grad()

    return train


CASES: dict[str, tuple[Training, str, int, str, str]] = {
    "schedule anew": (resumed_schedule, "schedule", 4, "optimizer", "From step 4 on lr is what the legacy run has "
     "from its first step on"),
    "of micro-steps": (schedule_of_micro_steps, "schedule", 0, "optimizer", "2 times as fast, once a micro-step"),
    "schedule is longer": (twice_as_long, "schedule", 1, "schedule", "takes 2 steps for each of the legacy run's"),
    "another metric": (another_metric, "metric", 2, "metric", "ReduceLROnPlateau is given 2 instead of 1.25;"),
    "mean of means": (unequal_micro_steps, "accumulation", 0, "loss", "the micro-steps have 4, 8 samples, and the "
     "migrated run gives every micro-step the same weight"),
    "ignored targets": (ignored_targets, "scale", 1, "loss", "legacy run takes the mean over 4 of the batch of 8"),
    "penalty": (penalty, "decay", 0, "loss", "The legacy loss has a penalty of 0.01 times the squares of all"),
    "flipped": (images(some_flipped), "batches", 0, "batch", "reversed along axis 3 (call 0 argument 0): 3 of 6"),
    "channels": (images(lambda x: x.flip(1)), "batches", 0, "batch", "reversed along axis 1"),
    "transposed": (images(lambda x: x.transpose(2, 3)), "batches", 0, "batch", "transposed (axes 0, 1, 3, 2)"),
    "clipped": (clipped, "clip", 0, "grad", "clips the global norm at 0.1, the migrated one does not clip"),
    "no correction": (own_adam(corrected=False), "bias_correction", 0, "param", "The migrated update leaves out"),
    "torch's correction": (own_adam(by_torch=True), "bias_correction", 0, "param", "The legacy update leaves out"),
    "own epsilon": (own_adam(eps=1e-4), "epsilon", 0, "param", "epsilon is 0.0001 instead of"),
    "own betas": (own_adam(betas=(0.95, 0.98)), "rounding", 0, "param", "so they may differ"),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize(("train", "name", "step", "phase", "said"), CASES.values(), ids=CASES)
def test_a_mistake_of_a_migration_is_called_by_its_name(
    train: Training, name: str, step: int, phase: str, said: str, tmp_path: Path
) -> None:
    """These were unknown, the learning rate's, no more than a factor, or told at a step of another count."""
    for side in (False, True):
        torch.manual_seed(0)
        with lab_parity.record(tmp_path / f"{side}.trace", capture=range(10)):
            train(side)
    verdict = lab_parity.compare(tmp_path / "False.trace", tmp_path / "True.trace")
    assert verdict.first is not None, verdict
    assert (verdict.first.step, verdict.first.phase) == (step, phase)
    found = lab_parity.diagnose(tmp_path / "False.trace", tmp_path / "True.trace", verdict=verdict)
    assert found is not None
    assert (found.name, said in found.sentence) == (name, True), found.sentence
