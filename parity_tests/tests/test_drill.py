"""Drill-down: the operation that makes the difference is named, with its line on both sides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn

import lab_parity
from lab_parity.drill import Drill, drill_down
from lab_parity.record.operations import operations_path, read_operations
from lab_parity.strategies import Model, OptimizerChoice, Training

BASE = Training(
    Model(("batch norm", "linear", "dropout", "relu")), OptimizerChoice("AdamW", {"lr": 0.01}), clip=0.5, accumulate=2
)


def drilled(tmp_path: Path, migrated: Callable[[], object]) -> Drill | None:
    """Compare BASE with it, and drill into the first step that differs."""
    sides = {"a": BASE, "b": migrated}
    for name, side in sides.items():
        with lab_parity.record(tmp_path / f"{name}.trace"):
            side()
    verdict = lab_parity.compare(tmp_path / "a.trace", tmp_path / "b.trace")
    assert verdict.first is not None
    for name, side in sides.items():
        again = tmp_path / f"{name}2.trace"
        with lab_parity.record(again, operations=verdict.first.step):
            side()
        assert lab_parity.compare(tmp_path / f"{name}.trace", again).rung == "identical"
    traces = lab_parity.read(tmp_path / "a2.trace"), lab_parity.read(tmp_path / "b2.trace")
    return drill_down(traces, verdict.first)


def changed(**changes: Any) -> Callable[[], object]:
    """BASE with other settings."""
    return attrs.evolve(BASE, **changes)


def draw(step: int, model: nn.Module) -> None:
    """One number too many, in step 1."""
    torch.rand(1 if step == 1 else 0)


def grow(step: int, model: Any) -> None:
    """A weight is changed between two steps."""
    if step == 2:
        model[1].weight.data.mul_(1.001)


class Shell(nn.Module):
    """What a framework puts around the model, so that all names are longer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner = model

    def forward(self, x: Tensor) -> Tensor:
        """As the model."""
        y: Tensor = self.inner(x)
        return y


def grow_inside(step: int, model: Any) -> None:
    """Once the gradients are there: seen in a parameter alone."""

    def change(parameter: Tensor) -> None:
        parameter.data.mul_(1.001)

    if step == 2:
        model[1].weight.register_post_accumulate_grad_hook(change)


class Rounded(nn.Module):
    """Gives the model inputs that went through bfloat16."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """As the model."""
        y: Tensor = self.model(x.bfloat16().float())
        return y


class Doubled(torch.autograd.Function):
    """The identity with another gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """x."""
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        """Twice."""
        return gradient * 2


class Twice(nn.Module):
    """Doubles the gradient of the model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """As the model."""
        y: Tensor = Doubled.apply(self.model(x))
        return y


@pytest.mark.parametrize(
    ("migrated", "said", "names"),
    [
        (changed(optimizer=OptimizerChoice("AdamW", {"lr": 0.0101})), "other 0.9999 against 0.999899",
         ("aten.mul_.Tensor", "aten.mul_.Tensor")),
        (changed(clip=0.25), "other 0.5 against 0.25", ("aten.mul.Tensor", "aten.mul.Tensor")),
        (changed(model=attrs.evolve(BASE.model, parts=("batch norm", "linear", "dropout", "gelu"))), "aten.relu",
         ("aten.relu.default", "aten.gelu.default")),
        (lambda: BASE(before_step=draw), "only the migrated run computes aten.rand", (None, "aten.rand.default")),
        (lambda: BASE(before_step=grow), "only the migrated run computes aten.mul_.Tensor(other=1.001)",
         (None, "aten.mul_.Tensor")),
        (lambda: BASE(wrap=Rounded), "only the migrated run computes aten._to_copy.default(dtype=torch.bfloat16)",
         (None, "aten._to_copy.default")),
        (lambda: BASE(wrap=Shell, before_step=grow_inside),
         "only the migrated run computes aten.mul_.Tensor(other=1.001)", (None, "aten.mul_.Tensor")),
        (lambda: BASE(wrap=Twice), "only the migrated run computes aten.mul.Tensor(other=2)",
         (None, "aten.mul.Tensor")),
    ],
)  # fmt: skip
def test_the_operation_that_differs_is_named(
    tmp_path: Path, migrated: Callable[[], object], said: str, names: tuple[str | None, str | None]
) -> None:
    """In the update, the clipping, the forward and the backward pass, between steps, and in a generator."""
    drill = drilled(tmp_path, migrated)
    assert drill is not None
    assert said in drill.sentence()
    assert (getattr(drill.legacy, "name", None), getattr(drill.migrated, "name", None)) == names
    here = f"{Path(__file__).name}:"
    operation = drill.migrated
    assert operation is not None
    assert any(here in line for line in (*operation.stack, *operation.forward))
    assert len(drill.lines()) <= 5


def test_a_line_of_the_program_is_named_for_the_extra_operation(tmp_path: Path) -> None:
    """The very line."""
    drill = drilled(tmp_path, lambda: BASE(before_step=grow))
    assert drill is not None
    assert drill.migrated is not None
    line = next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "mul_(1.001)" in text)
    assert f"{Path(__file__).name}:{line} in grow" in drill.migrated.stack[0]


def test_an_operation_of_the_backward_pass_has_the_line_of_its_forward_call(tmp_path: Path) -> None:
    """Its own stack ends at backward(), which says nothing."""
    path = tmp_path / "a.trace"

    def train() -> None:
        torch.manual_seed(0)
        weight = nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([weight], lr=0.1)
        hidden = weight.exp()  # forward
        hidden.sum().backward()
        optimizer.step()

    with lab_parity.record(path, operations=0):
        train()
    lines = Path(__file__).read_text().splitlines()
    forward = next(n for n, text in enumerate(lines, 1) if text.endswith("# forward"))
    found = [op for op in read_operations(operations_path(path, 0)) if op.forward and op.name == "aten.mul.Tensor"]
    assert any(f"{Path(__file__).name}:{forward} in train" in op.forward[0] for op in found)


def test_operations_of_another_step_or_none_are_an_error(tmp_path: Path) -> None:
    """With the path."""
    with pytest.raises(lab_parity.TraceError, match=r"a\.step3\.operations\.json"):
        read_operations(operations_path(tmp_path / "a.trace", 3))
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(lab_parity.TraceError, match=r"b\.json"):
        read_operations(tmp_path / "b.json")


def small(loss: Callable[[Tensor, nn.Module], Tensor], net: Callable[[], nn.Module]) -> Callable[[], object]:
    """One step of a plain loop."""

    def train() -> None:
        torch.manual_seed(0)
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss(torch.randn(5, 3, 4), model).backward()
        optimizer.step()

    return train


def between(tmp_path: Path, legacy: Callable[[], object], migrated: Callable[[], object]) -> Drill:
    """The first operation that differs in step 0 of two such loops."""
    for name, side in (("a", legacy), ("b", migrated)):
        with lab_parity.record(tmp_path / f"{name}.trace", operations=0):
            side()
    a, b = (lab_parity.read(tmp_path / f"{name}.trace") for name in "ab")
    first = lab_parity.compare(a, b).first
    assert first is not None
    found = drill_down((a, b), first)
    assert found is not None
    return found


def test_a_setting_that_one_side_leaves_at_its_default_is_named(tmp_path: Path) -> None:
    """It was said that inputs and settings are the same: an unbiased deviation against a biased one."""
    linear = lambda: nn.Linear(4, 4)  # noqa: E731
    a = small(lambda x, net: net(x).add(net(x), alpha=2).mean(), linear)
    b = small(lambda x, net: net(x).add(net(x)).mean(), linear)
    found = between(tmp_path, a, b)
    assert found.what == "aten.add.Tensor with alpha 2 against its default"


def test_what_one_side_does_behind_the_others_last_operation_is_its_own(tmp_path: Path) -> None:
    """The legacy loss is a value that both have: it was told as an operation that differs."""
    linear = lambda: nn.Linear(4, 4)  # noqa: E731
    found = between(
        tmp_path, small(lambda x, net: net(x).mean(), linear), small(lambda x, net: net(x).mean() * 3, linear)
    )
    assert (found.legacy, found.what) == (None, "only the migrated run computes aten.mul.Tensor(other=3) there")


def test_the_workspace_of_a_recurrent_kernel_is_no_result(tmp_path: Path) -> None:
    """Parts of it are never written, and two equal calls were said to differ."""

    def loss(x: Tensor, net: nn.Module, detach: bool) -> Tensor:
        said, (state, _) = net(x)
        made: Tensor = said.square().mean() + (state.detach() if detach else state).square().mean()
        return made

    lstm = lambda: nn.LSTM(4, 4)  # noqa: E731
    found = between(
        tmp_path, small(lambda x, net: loss(x, net, False), lstm), small(lambda x, net: loss(x, net, True), lstm)
    )
    assert "same inputs and settings" not in found.what


def test_what_comes_of_gradients_is_no_first_operation_that_differs(tmp_path: Path) -> None:
    """They add to what was not zeroed, by no operation: Adam's average of the legacy ones was told, which both have."""

    def train(zero: bool) -> None:
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(2):
            if zero:
                optimizer.zero_grad()
            model(torch.randn(3, 4)).square().mean().backward()
            optimizer.step()

    for name, zero in (("a", True), ("b", False)):
        with lab_parity.record(tmp_path / f"{name}.trace", operations=1):
            train(zero)
    a, b = (lab_parity.read(tmp_path / f"{name}.trace") for name in "ab")
    first = lab_parity.compare(a, b).first
    assert first is not None
    assert (first.step, first.phase) == (1, "grad")
    assert drill_down((a, b), first) is None


def test_whose_update_a_step_is_stands_in_a_note(tmp_path: Path) -> None:
    """Of two optimizers that take turns, `step 3` is the second update of one, and both have a `weight`."""
    for name in "ab":
        torch.manual_seed(0)
        models = [nn.Linear(4, 1), nn.Linear(4, 1)]
        optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
        with lab_parity.record(tmp_path / name):
            for step in range(4):
                optimizers[step % 2].zero_grad()
                loss = models[step % 2](torch.randn(3, 4)).square().mean()
                (loss * 2 if name == "b" and step == 3 else loss).backward()
                optimizers[step % 2].step()
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert verdict.first is not None
    assert any("step 3 is one of opt1" in note for note in verdict.notes), verdict.notes
