"""Steps inside steps: subclasses, wrappers, home-grown optimizers around torch's, closures. Each is one step.

One training by sharpness-aware minimisation (SAM) in several shapes: what the update used is recorded, wherever it came
to be.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

import lab_parity
from lab_parity import UpdateSite, Verdict
from lab_parity.trace import Step

SITE = UpdateSite(f"{__name__}:HomeGrown.update")
STEPS = 3


@attrs.frozen
class Ways:
    """What may be wrong from step 1 on: how far it climbs, what the second gradient is multiplied by, …"""

    radius: float = 0.3
    second: float = 1.0
    closure: float = 1.0
    lr: float = 0.1
    clip: float | None = 0.05


class Home(nn.Module):
    """(B, 3) -> (B, 1), with batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, 1))
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        """What it says."""
        said: Tensor = self.body(x)
        return said


def climb(parameters: list[nn.Parameter], radius: float) -> list[tuple[nn.Parameter, Tensor, Tensor]]:
    """Go uphill; each parameter with its value before, and how far it went."""
    found = [parameter for parameter in parameters if parameter.grad is not None]
    norm = torch.stack([parameter.grad.norm() for parameter in found if parameter.grad is not None]).norm()
    climbed = []
    with torch.no_grad():
        for parameter in found:
            assert parameter.grad is not None
            way = parameter.grad * (radius / norm)
            climbed.append((parameter, parameter.detach().clone(), way))
            parameter.add_(way)
    return climbed


def back(climbed: list[tuple[nn.Parameter, Tensor, Tensor]], subtract: bool = False) -> None:
    """To where it came from; by subtracting, to within a rounding."""
    with torch.no_grad():
        for parameter, value, way in climbed:
            if subtract:
                parameter.sub_(way)
            else:
                parameter.copy_(value)


def scale(parameters: list[nn.Parameter], factor: float) -> None:
    """Multiply the gradients."""
    for parameter in parameters if factor != 1 else []:
        if parameter.grad is not None:
            parameter.grad *= factor


class Inherited(torch.optim.SGD):
    """SAM as a subclass, by closure."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr=lr, momentum=0.9)
        self.ways = Ways()

    def step(self, closure: Any = None) -> Any:
        """Climb, come back with the gradient found there, update."""
        parameters = self.param_groups[0]["params"]
        closure()
        climbed = climb(parameters, self.ways.radius)
        loss = closure()
        scale(parameters, self.ways.second)
        back(climbed)
        super().step()
        return loss


class Wrapper(torch.optim.Optimizer):
    """SAM around another optimizer, with groups and a state of its own."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"rho": 0.3, "lr": 7.0})
        self.inner = torch.optim.SGD([dict(group, lr=lr) for group in self.param_groups], lr=lr, momentum=0.9)
        self.ways = Ways()

    def step(self, closure: Any = None) -> Any:
        """Climb, come back with the gradient found there, update."""
        for group, inner in zip(self.param_groups, self.inner.param_groups, strict=True):
            inner["lr"], group["rho"] = self.ways.lr, self.ways.radius
        parameters = self.param_groups[0]["params"]
        closure()
        climbed = climb(parameters, self.ways.radius)
        for parameter, value, _ in climbed:
            self.state[parameter]["old"] = value
        loss = closure()
        scale(parameters, self.ways.second)
        back(climbed)
        self.inner.step()
        return loss


class HomeGrown:
    """One around torch's, as Lab's `Torch` is: its state is a copy of what is inside."""

    def __init__(self, params: Any, **settings: Any) -> None:
        self.groups = [{"params": list(params), "lr": settings["lr"], "multiplier": 1.0}]
        self.inner = torch.optim.SGD(self.groups[0]["params"], **settings)
        self.slots: dict[Any, dict[str, Tensor]] = {}

    def update(self) -> None:
        """Torch's."""
        for inner in self.inner.param_groups:
            inner["lr"] = self.groups[0]["lr"]
        self.inner.step()
        self.slots = {
            parameter: {key: value for key, value in state.items() if isinstance(value, Tensor)}
            for parameter, state in self.inner.state.items()
        }


Evaluate = Callable[[int, Ways], Tensor]


def two_phases(model: nn.Module, ways: Callable[[int], Ways], evaluate: Evaluate, shape: str) -> None:
    """SAM written out around the optimizer's step."""
    parameters = list(model.parameters())
    home_grown = shape == "home-grown"
    make = HomeGrown if home_grown else torch.optim.SGD
    optimizer: Any = make(parameters, lr=0.1, momentum=0.9)
    for step in range(STEPS):
        now = ways(step)
        (optimizer.groups if home_grown else optimizer.param_groups)[0]["lr"] = now.lr
        evaluate(step, attrs.evolve(now, closure=1.0))
        climbed = climb(parameters, now.radius)
        evaluate(step, now)
        scale(parameters, now.second)
        back(climbed, subtract=shape == "subtracting")
        if now.clip is not None:
            clip_grad_norm_(parameters, now.clip)
        with torch.no_grad():
            (optimizer.update if home_grown else optimizer.step)()


def by_closure(optimizer: Any, ways: Callable[[int], Ways], evaluate: Evaluate) -> None:
    """SAM in an optimizer's step; its second phase alone is clipped, in the closure."""
    for step in range(STEPS):
        optimizer.ways = now = ways(step)
        optimizer.param_groups[0]["lr"] = now.lr
        calls: list[Tensor] = []

        def closure(step: int = step, now: Ways = now, calls: list[Tensor] = calls) -> Tensor:
            calls.append(evaluate(step, now if calls else attrs.evolve(now, closure=1.0)))
            if len(calls) == 2 and now.clip is not None:
                clip_grad_norm_(optimizer.param_groups[0]["params"], now.clip)
            return calls[-1]

        optimizer.step(closure)


def sam(path: Path, shape: str, ways: Callable[[int], Ways] = lambda step: Ways(), **recorded: Any) -> Path:
    """Three steps, recorded."""
    model = Home()
    data = torch.randn(STEPS, 8, 3, generator=torch.Generator().manual_seed(1))

    def evaluate(step: int, now: Ways) -> Tensor:
        model.zero_grad()
        loss: Tensor = model(data[step]).square().mean() * now.closure
        loss.backward()
        return loss

    with lab_parity.record(path, [SITE], **recorded):
        if shape in ("inherited", "wrapped"):
            make = Inherited if shape == "inherited" else Wrapper
            by_closure(make(model.parameters(), lr=0.1), ways, evaluate)
        else:
            two_phases(model, ways, evaluate, shape)
    return path


def steps_of(path: Path) -> list[Step]:
    """The steps of a trace."""
    return [item for item in lab_parity.read(path).steps() if isinstance(item, Step)]


def identical(a: Path, b: Path) -> Verdict:
    """Demand it, over all steps."""
    verdict = lab_parity.compare(a, b)
    assert (verdict.rung, verdict.reasons) == ("identical", ()), verdict.first
    assert (verdict.coverage.steps, verdict.coverage.micro_steps) == (STEPS, 2 * STEPS)
    return verdict


SHAPES = ("written out", "home-grown", "inherited", "wrapped")


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("shape", SHAPES)
def test_sam_is_one_training_in_every_shape(tmp_path: Path, shape: str, clip: float | None) -> None:
    """Two micro-steps a step, the second gradient, clipped, the momentum of the optimizer inside."""
    ways = Ways(clip=clip)
    written = sam(tmp_path / "a", "written out", lambda step: ways)
    other = sam(tmp_path / "b", shape, lambda step: ways)
    identical(written, other)
    for step in steps_of(other):
        assert {(key.phase, key.name, key.field) for key in step.keys} >= {
            ("grad", "unused", ""), ("optimizer", "body.0.weight", "momentum_buffer"),
        }  # fmt: skip
        assert [float(value) for key, value in zip(step.keys, step.values, strict=True) if key.field == "hyper"] == (
            [0.1] * 7
        )


def test_a_climb_that_is_taken_back_to_within_a_rounding_is_no_update(tmp_path: Path) -> None:
    """Many programs subtract what they have added."""
    assert len(steps_of(sam(tmp_path / "a", "subtracting"))) == STEPS
    identical(tmp_path / "a", sam(tmp_path / "b", "subtracting"))


#: What is wrong -> where it is seen, in the words of a first difference, and what it is called.
WRONG: dict[str, tuple[Ways, tuple[Any, ...], str]] = {
    "how far it climbs": (Ways(radius=0.31, clip=None), (1, 1, "loss", "loss"), "between_evaluations"),
    "the loss of its second evaluation": (Ways(closure=1.01, clip=None), (1, 1, "loss", "loss"), "scale"),
    "the second gradient": (Ways(second=1.01, clip=None), (1, None, "grad", "body.0.weight"), "scale"),
    "the learning rate": (Ways(lr=0.101, clip=None), (1, None, "optimizer", "unused lr"), "lr"),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_in_sam_is_found_at_its_step_and_called_by_its_name(
    tmp_path: Path, shape: str, wrong: str
) -> None:
    """Beside the training that is written out, from step 1 on."""
    ways, place, name = WRONG[wrong]
    right = attrs.evolve(Ways(), clip=None)
    a = sam(tmp_path / "a", "written out", lambda step: right, capture=range(STEPS))
    b = sam(tmp_path / "b", shape, lambda step: ways if step else right, capture=range(STEPS))
    first = lab_parity.compare(a, b).first
    assert first is not None
    assert (first.step, first.micro_step, first.phase, first.tensor) == place
    cause = lab_parity.diagnose(a, b)
    assert cause is not None
    assert cause.name == name, cause.sentence
    if name == "between_evaluations":
        assert cause.size == pytest.approx(0.31 / 0.3, rel=1e-3)


def test_another_clip_of_the_second_gradient_is_found_as_one(tmp_path: Path) -> None:
    """In the phase of clipping, whatever clips."""
    a = sam(tmp_path / "a", "written out")
    for number, shape in enumerate(SHAPES):
        first = lab_parity.compare(a, sam(tmp_path / f"b{number}", shape, lambda step: Ways(clip=0.06))).first
        assert first is not None
        assert (first.step, first.phase, first.tensor) == (0, "clip", "clip_grad_norm_ max_norm")
