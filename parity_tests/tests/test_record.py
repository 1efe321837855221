"""Recording plain loops: nothing changes, everything is seen, evaluations do not confuse it."""

from __future__ import annotations

import contextlib
import gc
import random
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lab_parity
from lab_parity.digest import digest_tensor
from lab_parity.trace import Step


def steps_of(path: Path) -> list[Step]:
    """The steps of a trace."""
    return [item for item in lab_parity.read(path).steps() if isinstance(item, Step)]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"closure": True},
        {"optimizer": torch.optim.LBFGS, "closure": True},
        {"evaluate": "with graph"},
        {"optimizer": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9)},
    ],
)
def test_a_recorded_run_ends_with_the_bits_of_an_unrecorded_one(
    train: Callable[..., Any], tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Weights, buffers and all generator states afterwards."""
    outcomes = []
    for record in (False, True):
        random.seed(1)
        np.random.seed(1)
        if record:
            with lab_parity.record(tmp_path / "a"):
                state = train(**settings)
        else:
            state = train(**settings)
        outcomes.append((state, torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()))
    plain, recorded = outcomes
    assert all(torch.equal(plain[0][name], recorded[0][name]) for name in plain[0])
    assert torch.equal(plain[1], recorded[1])
    assert plain[2:] == recorded[2:]
    assert lab_parity.read(tmp_path / "a").end().notes == ()


def test_each_step_holds_its_phases_in_causal_order(recorded: Callable[..., Path]) -> None:
    """Two micro-steps, then gradients, hyperparameters and state, parameters, buffers, generators."""
    second = steps_of(recorded("a"))[1]
    order = list(dict.fromkeys((key.phase, key.micro) for key in second.keys))
    assert order == [
        ("rng", 0), ("batch", 0), ("loss", 0), ("rng", 1), ("batch", 1), ("loss", 1),
        ("grad", -1), ("optimizer", -1), ("param", -1), ("buffer", -1), ("rng", -1),
    ]  # fmt: skip
    names = [key.name for key in second.keys if key.phase == "param"]
    assert names == ["body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias", "head.weight", "head.bias"]
    assert {key.field for key in second.keys if key.phase == "optimizer"} == {"hyper", "step", "exp_avg", "exp_avg_sq"}


@pytest.mark.parametrize("evaluate", ["no_grad", "with graph"])
def test_an_evaluation_between_steps_adds_no_batch(recorded: Callable[..., Path], evaluate: str) -> None:
    """Also one that builds a graph which nobody differentiates."""
    for step in steps_of(recorded("a", evaluate=evaluate)):
        assert [key.micro for key in step.keys if key.phase == "batch"] == [0, 1]


@pytest.mark.parametrize(
    "settings",
    [{"closure": True}, {"shell": True}, {"evaluate": "no_grad"}, {"wrap": lambda m: nn.parallel.DataParallel(m)}],
)
def test_the_same_training_in_another_shape_is_identical(
    recorded: Callable[..., Path], settings: dict[str, Any]
) -> None:
    """A closure, another holder of the model, an evaluation in between, a wrapper: names and steps still match."""
    verdict = lab_parity.compare(recorded("legacy"), recorded("migrated", **settings))
    assert (verdict.rung, verdict.reasons) == ("identical", ())
    assert verdict.coverage.steps == 3
    assert verdict.coverage.micro_steps == 6
    assert verdict.coverage.tensors == 9


def test_nothing_is_kept_alive(train: Callable[..., Any], tmp_path: Path) -> None:
    """A model that the program drops is gone, although the recording goes on."""
    seen = []

    def keep(model: nn.Module) -> nn.Module:
        seen.append(weakref.ref(model))
        return model

    with lab_parity.record(tmp_path / "a"):
        train(wrap=keep)
        gc.collect()
        assert seen[0]() is None


def test_an_exception_passes_through_and_is_written_down(train: Callable[..., Any], tmp_path: Path) -> None:
    """Its whole steps are readable."""
    with pytest.raises(RuntimeError, match="disk is full"), lab_parity.record(tmp_path / "a"):
        train(stop_at=2)
    trace = lab_parity.read(tmp_path / "a")
    assert (len(trace), trace.end().status) == (2, "exception")
    assert "disk is full" in trace.end().detail


def test_every_hook_is_taken_away(train: Callable[..., Any], tmp_path: Path) -> None:
    """Training after the recording writes nothing more."""
    before = torch.autograd.backward
    with lab_parity.record(tmp_path / "a"):
        train(1)
    size = (tmp_path / "a").stat().st_size
    train(1)
    assert (tmp_path / "a").stat().st_size == size
    assert torch.autograd.backward is before


def test_what_cannot_be_recorded_is_noted_and_no_pass(tmp_path: Path) -> None:
    """A batch without bytes (quantised) does not stop the program, and the verdict is inconclusive."""

    class Dequantise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.w * x.to(device="cpu").sum() if not x.is_meta else self.w * 1.0

    for name in "ab":
        with lab_parity.record(tmp_path / name):
            model = Dequantise()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            model(torch.empty(2, device="meta")).sum().backward()
            optimizer.step()
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert verdict.rung == "inconclusive"
    assert any("meta" in reason for reason in verdict.reasons)


def test_tied_weights_carry_all_their_names(tmp_path: Path) -> None:
    """Untying them in one run is no longer the same model."""
    with lab_parity.record(tmp_path / "a"):
        model = nn.ModuleDict({"embed": nn.Embedding(3, 2), "head": nn.Linear(2, 3, bias=False)})
        model["head"].weight = model["embed"].weight
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model["head"](model["embed"](torch.tensor([1]))).sum().backward()
        optimizer.step()
    names = {key.name for key in steps_of(tmp_path / "a")[0].keys if key.phase == "param"}
    assert names == {"embed.weight|head.weight"}


def test_two_optimizers_are_told_apart(tmp_path: Path) -> None:
    """A generator and a critic that take turns; a forward call that both losses share counts once."""
    holders = []
    for name in "ab":
        torch.manual_seed(0)
        maker, critic = nn.Linear(2, 2), nn.Linear(2, 1)
        if name == "b":
            holders.append(nn.ModuleDict({"maker": maker, "critic": critic}))
        steppers = [torch.optim.Adam(maker.parameters()), torch.optim.SGD(critic.parameters(), lr=0.1)]
        with lab_parity.record(tmp_path / name):
            for _ in range(2):
                fake = maker(torch.randn(4, 2))
                critic(fake.detach()).mean().backward()
                steppers[1].step()
                steppers[1].zero_grad()
                critic(fake).mean().neg().backward()
                steppers[0].step()
                steppers[0].zero_grad()
    assert [step.optimizer for step in steps_of(tmp_path / "a")] == ["opt0", "opt1", "opt0", "opt1"]
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert (verdict.rung, verdict.reasons) == ("identical", ())


def test_recording_goes_on_after_a_forward_call_that_failed(tmp_path: Path) -> None:
    """A program may catch it (out of memory, a batch of one) and train on: later batches are recorded."""

    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            if len(x) == 1:
                raise ValueError("a batch of one")
            y: Tensor = self.inner(x)
            return y

    with lab_parity.record(tmp_path / "a.trace"):
        model = Picky()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with contextlib.suppress(ValueError):
            model(torch.ones(1, 2))
        model(torch.ones(3, 2)).sum().backward()
        optimizer.step()
    (step,) = [item for item in lab_parity.read(tmp_path / "a.trace").steps() if isinstance(item, Step)]
    assert [key.name for key in step.keys if key.phase == "batch"] == ["call 0 argument 0"]


class Decayed(torch.optim.SGD):
    """An SGD with a decay of its own around its parent's step."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Decay after the update."""
        result = super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(0.9)
        return result


def test_a_step_inside_the_step_of_a_subclass_is_no_step_of_its_own(tmp_path: Path) -> None:
    """Whether torch has hooked the parent's class, which takes an instance of it, makes no difference."""
    torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    with lab_parity.record(tmp_path / "a.trace"):
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        optimizer = Decayed(model.parameters(), lr=0.1)
        for broken in (False, True, False, False):
            optimizer.zero_grad()
            model(torch.randn(5, 3)).square().mean().backward()

            def closure(broken: bool = broken) -> None:
                if broken:
                    raise ArithmeticError

            with contextlib.suppress(ArithmeticError):
                optimizer.step(closure)
    steps = steps_of(tmp_path / "a.trace")
    assert len(steps) == 3
    names = [key.name for key in steps[-1].keys if key.phase == "param"]
    place = next(n for n, key in enumerate(steps[-1].keys) if key.phase == "param" and key.name.endswith("weight"))
    assert sorted(names) == ["bias", "weight"]
    assert steps[-1].digests[place].tobytes() == digest_tensor(model.weight)
