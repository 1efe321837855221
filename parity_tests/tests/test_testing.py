"""Assertions and strategies: what is the same passes, what is not fails with its cause first, on a screen."""

from __future__ import annotations

import copy
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import lab_parity
from lab_parity import assert_same_bits, assert_same_training
from lab_parity.digest import digest_tensor
from lab_parity.strategies import Model, OptimizerChoice, Training, tensors, trainings
from lab_parity.testing import TrainingsDifferError

PLAIN = Training(Model(("linear", "relu")), OptimizerChoice("SGD", {"lr": 0.1, "momentum": 0.9}))


class Shell(nn.Module):
    """What a framework puts around a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner = model

    def forward(self, x: Tensor) -> Tensor:
        """As the model."""
        y: Tensor = self.inner(x)
        return y


@given(training=trainings(most_steps=3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_generated_training_equals_itself_in_a_shell(training: Training) -> None:
    """No false alarm, whatever model, optimizer, schedule and loader."""
    verdict = assert_same_training(training, lambda: training(wrap=Shell))
    assert verdict.coverage.steps == training.steps


@given(training=trainings(most_steps=3), data=st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_one_draw_more_in_a_generated_training_is_named(training: Training, data: st.DataObject) -> None:
    """At any step; the message names the generator and the count before anything else."""
    at = data.draw(st.integers(0, training.steps - 1), "at")

    def draw(step: int, model: nn.Module) -> None:
        torch.rand(1 if step == at else 0)

    with pytest.raises(TrainingsDifferError) as failure:
        assert_same_training(training, lambda: training(before_step=draw))
    first, *_ = str(failure.value).splitlines()
    assert first.startswith("The migrated run drew 1 32-bit word more from torch's global generator")
    assert "[rng, read]" in first


def test_a_failure_says_the_cause_first_and_fits_a_screen() -> None:
    """A learning rate 0.1 % off."""
    wrong = Training(PLAIN.model, OptimizerChoice("SGD", {"lr": 0.1001, "momentum": 0.9}))
    with pytest.raises(AssertionError, match=r"learning rate is 1\.001 times") as failure:
        assert_same_training(PLAIN, wrong)
    lines = str(failure.value).splitlines()
    assert lines[0].startswith("The learning rate is 1.001 times the legacy one")
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 320


def test_a_training_of_nothing_is_no_pass() -> None:
    """Two functions that train nothing agree on nothing."""
    with pytest.raises(TrainingsDifferError, match="INCONCLUSIVE"):
        assert_same_training(lambda: None, lambda: None)


def test_both_sides_start_from_the_same_generators_and_leave_them_alone() -> None:
    """Also a training that seeds nothing equals itself, and the test's own generators stay where they are."""

    def unseeded() -> None:
        model = nn.Linear(2, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1 + random.random() + np.random.rand())
        model(torch.randn(3, 2)).sum().backward()
        optimizer.step()

    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    assert assert_same_training(unseeded, unseeded).rung == "identical"
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert before[2] == np.random.get_state()[1].tolist()  # type: ignore[union-attr]


def test_an_exception_of_the_training_passes_through() -> None:
    """It is the program's, and no verdict."""

    def fails() -> None:
        raise ZeroDivisionError("the training's own")

    with pytest.raises(ZeroDivisionError, match="own"):
        assert_same_training(PLAIN, fails)


def test_traces_can_be_compared_as_well(tmp_path: Path) -> None:
    """A recorded run against a function."""
    with lab_parity.record(tmp_path / "a.trace"):
        PLAIN()
    assert_same_training(tmp_path / "a.trace", PLAIN)
    with pytest.raises(TrainingsDifferError, match="First difference at step 0"):
        assert_same_training(tmp_path / "a.trace", Training(PLAIN.model, OptimizerChoice("SGD", {"lr": 0.2})))


@given(tensor=tensors())
@settings(max_examples=200, deadline=None)
def test_a_tensor_has_the_bits_of_its_copy(tensor: Tensor) -> None:
    """Whatever its values, shape, dtype and strides."""
    assert_same_bits({"x": [tensor]}, {"x": [tensor.clone(memory_format=torch.contiguous_format)]})


@given(tensor=tensors(dtypes=[torch.float32, torch.bfloat16, torch.float64]), data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_changed_sign_is_seen(tensor: Tensor, data: st.DataObject) -> None:
    """Zeros included: -0.0 is not 0.0."""
    if tensor.numel() == 0:
        return
    changed = tensor.contiguous().clone().view(-1)
    place = data.draw(st.integers(0, changed.numel() - 1))
    changed[place] = -changed[place]
    if math.isnan(float(changed[place])):
        return
    with pytest.raises(AssertionError, match="tensors differ"):
        assert_same_bits([tensor], [changed.reshape(tensor.shape)])


@pytest.mark.parametrize(
    "wanted",
    [
        lambda t: t.numel() == 0, lambda t: t.ndim == 0, lambda t: not t.is_contiguous(),
        lambda t: t.is_floating_point() and bool(t.isnan().any()),
        lambda t: t.is_floating_point() and bool((t == 0).logical_and(t.signbit()).any()),
        lambda t: t.dtype == torch.bfloat16 and bool(t.isinf().any()),
    ],
)  # fmt: skip
def test_tensors_come_with_the_values_that_break_comparisons(wanted: Any) -> None:
    """Empty, 0-d, strided, NaN, minus zero, infinity."""
    assert digest_tensor(find(tensors(), wanted, settings=settings(deadline=None, max_examples=5000)))


def test_a_long_difference_is_cut() -> None:
    """Thousands of differing tensors make twelve lines."""
    a = {f"w{n}": torch.zeros(2) for n in range(3000)}
    b = {f"w{n}": torch.ones(2) for n in range(3000)}
    with pytest.raises(AssertionError) as failure:
        assert_same_bits(a, b)
    assert len(str(failure.value).splitlines()) == 12
    assert "and 2989 more" in str(failure.value)


def test_a_failure_names_what_became_of_an_average_since_its_optimizers_own_last_step() -> None:
    """Several optimizers take turns: the step before was another's, and the cause was unknown."""

    def train(kept: float) -> None:
        torch.manual_seed(0)
        nets = [torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)]
        optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in nets]
        average = copy.deepcopy(nets[0])
        for step in range(6):
            net, optimizer = nets[step % 2], optimizers[step % 2]
            optimizer.zero_grad()
            net(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()
            if step % 2 == 0:
                with torch.no_grad():
                    for mine, old in zip(net.parameters(), average.parameters(), strict=True):
                        old.mul_(0.9).add_(mine, alpha=kept)

    with pytest.raises(TrainingsDifferError, match=r"keeps 0\.9 of its old value and takes in 0\.0[09]") as said:
        assert_same_training(lambda: train(0.1), lambda: train(0.01))
    assert "[ema, " in str(said.value)


def test_a_training_that_does_nothing_is_told_as_that_and_no_line_of_ours_is_shown() -> None:
    """It was said to update with the same gradients since step -1; a call of the assertion's stood in the stack."""
    with pytest.raises(TrainingsDifferError, match="3 steps fewer") as nothing:
        assert_same_training(lambda: train_plainly(0.1), lambda: None)
    assert "nothing is trained" in str(nothing.value)
    assert "without a backward pass" not in str(nothing.value)
    with pytest.raises(TrainingsDifferError, match="learning rate is") as faster:
        assert_same_training(lambda: train_plainly(0.1), lambda: train_plainly(0.2))
    assert "in train_plainly" in str(faster.value)
    assert "testing.py:" not in str(faster.value).replace("test_testing.py:", "")


def train_plainly(rate: float) -> None:
    """Three steps."""
    torch.manual_seed(0)
    net = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.randn(4, 3)).square().mean().backward()
        optimizer.step()
