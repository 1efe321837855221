"""LBFGS evaluates its loss as often as it likes: plain, in a wrapper, in a home-grown optimizer, it is one training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn

import lab_parity
from lab_parity.trace import Step

STEPS = 3


@attrs.frozen
class Right:
    """What may be wrong: factors of the second loss and of the last gradient, how much is remembered."""

    closure: float = 1.0
    second: float = 1.0
    history: int = 5


class Home(nn.Module):
    """(B, 3) -> (B, 1)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1))
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        """What it says."""
        said: Tensor = self.body(x)
        return said


class HomeGrown:
    """One around torch's, as Lab's `Torch` is: its state is a copy of what is inside, without the numbers."""

    def __init__(self, params: Any, **settings: Any) -> None:
        self.groups = [{"params": list(params), "lr": settings["lr"], "multiplier": 1.0}]
        self.inner = torch.optim.LBFGS(self.groups[0]["params"], **settings)
        self.slots: dict[Any, dict[str, Tensor]] = {}
        for parameter in self.groups[0]["params"]:
            parameter.grad = torch.zeros_like(parameter)

    @lab_parity.updates()
    def update(self, closure: Any) -> None:
        """Torch's."""
        self.inner.step(closure)
        self.slots = {
            parameter: {key: value for key, value in state.items() if isinstance(value, Tensor)}
            for parameter, state in self.inner.state.items()
        }


def steps_of(path: Path) -> list[Step]:
    """The steps of a trace."""
    return [item for item in lab_parity.read(path).steps() if isinstance(item, Step)]


def lbfgs(
    path: Path, shape: str, ways: Callable[[int], Right] = lambda step: Right(), steps: int = STEPS, **recorded: Any
) -> Path:
    """Three steps by closure, of up to four evaluations."""
    model = Home()
    data = torch.randn(STEPS, 8, 3, generator=torch.Generator().manual_seed(1))
    settings: dict[str, Any] = {"lr": 0.1, "max_iter": 4, "history_size": ways(0).history}
    with lab_parity.record(path, **recorded):
        inner = torch.optim.LBFGS
        optimizer: Any
        if shape == "home-grown":
            optimizer = HomeGrown(model.parameters(), **settings)
        elif shape == "wrapped":
            optimizer = Around(inner(model.parameters(), **settings))
        else:
            optimizer = inner(model.parameters(), **settings)
        for step in range(steps):
            now, calls = ways(step), [0]

            def closure(now: Right = now, calls: list[int] = calls, step: int = step) -> Tensor:
                model.zero_grad(set_to_none=False)
                calls[0] += 1
                factor = now.closure if calls[0] == 2 else 1.0
                loss: Tensor = (model(data[step]).square().mean() + model.unused.sum() * 0) * factor
                loss.backward()
                if calls[0] == 4:
                    for parameter in model.parameters():
                        parameter.grad *= now.second
                return loss

            (optimizer.update if shape == "home-grown" else optimizer.step)(closure)
    return path


class Around(torch.optim.Optimizer):
    """Hands everything on, the closure too."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        super().__init__(inner.param_groups[0]["params"], {})
        self.inner = inner

    def step(self, closure: Any = None) -> Any:
        """The inner one's."""
        return self.inner.step(closure)


@pytest.mark.parametrize("shape", ["home-grown", "wrapped"])
def test_lbfgs_is_one_training_whatever_holds_it(tmp_path: Path, shape: str) -> None:
    """Its settings and its whole state are compared, numbers included, and the gradients of its last evaluation."""
    verdict = lab_parity.compare(lbfgs(tmp_path / "a", "plain"), lbfgs(tmp_path / "b", shape))
    assert (verdict.rung, verdict.reasons) == ("identical", ()), verdict.first
    assert (verdict.coverage.steps, verdict.coverage.micro_steps) == (STEPS, 4 * STEPS)
    fields = {key.field for key in steps_of(tmp_path / "b")[0].keys if key.phase == "optimizer"}
    assert fields >= {"hyper", "func_evals", "n_iter", "d", "t"}
    gradients = [
        digest.tobytes()
        for step in steps_of(tmp_path / "b")
        for key, digest in zip(step.keys, step.digests, strict=True)
        if (key.phase, key.name) == ("grad", "body.0.weight")
    ]
    assert len(set(gradients)) == STEPS


@pytest.mark.parametrize("shape", ["plain", "home-grown", "wrapped"])
@pytest.mark.parametrize(
    ("wrong", "place", "name"),
    [
        (Right(history=4), (0, None, "optimizer", "unused history_size"), "setting"),
        (Right(closure=1.01), (1, 1, "loss", "loss"), "scale"),
        (Right(second=1.01), (1, None, "grad", "body.0.weight"), "scale"),
    ],
)
def test_what_is_wrong_in_lbfgs_is_found_at_its_step_and_called_by_its_name(
    tmp_path: Path, shape: str, wrong: Right, place: tuple[Any, ...], name: str
) -> None:
    """The history, one evaluation, the last gradient; the captured tensors are of the run that was compared."""
    a = lbfgs(tmp_path / "a", "plain", capture=range(STEPS))
    b = lbfgs(
        tmp_path / "b", shape, lambda step: wrong if step or wrong.history == 4 else Right(), capture=range(STEPS)
    )
    first = lab_parity.compare(a, b).first
    assert first is not None
    assert (first.step, first.micro_step, first.phase, first.tensor) == place
    cause = lab_parity.diagnose(a, b)
    assert cause is not None
    assert cause.name == name, cause.sentence


def test_a_run_that_ends_before_the_other_is_called_that(tmp_path: Path) -> None:
    """There are no settings of the step that it does not take."""
    a = lbfgs(tmp_path / "a", "plain", steps=2, capture=range(STEPS))
    cause = lab_parity.diagnose(a, lbfgs(tmp_path / "b", "plain", capture=range(STEPS)))
    assert cause is not None
    assert cause.name == "steps", cause.sentence
