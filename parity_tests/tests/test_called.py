"""Clipping, schedules and reduction: seen where the program calls torch's functions, compared by what comes of them."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_  # before any recording begins
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel

import lab_parity
from lab_parity.trace import Step

Clip = Callable[[nn.Module], Any]


def train(
    clip: Clip = lambda model: None,
    schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
    after: Callable[[Any], Any] = lambda schedule: schedule.step(),
    average_from: int = 99,
    steps: int = 4,
) -> None:
    """A plain loop with what is asked for around its updates."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduled = None if schedule is None else schedule(optimizer)
    averaged = None
    for step in range(steps):
        optimizer.zero_grad()
        loss = model(torch.randn(5, 4)).square().mean()
        loss.backward()
        clip(model)
        optimizer.step()
        if scheduled is not None:
            after(scheduled)
        if step == average_from:
            averaged = AveragedModel(model)
        if averaged is not None:
            averaged.update_parameters(model)


def rows(path: Path, phase: str) -> list[dict[tuple[str, str], float]]:
    """Of each step: (name, field) -> value, in the trace's order."""
    return [
        {(key.name, key.field): float(value)
         for key, value in zip(step.keys, step.values, strict=True) if key.phase == phase}
        for step in lab_parity.read(path).steps() if isinstance(step, Step)
    ]  # fmt: skip


@pytest.fixture
def verdict(tmp_path: Path) -> Callable[[dict[str, Any], dict[str, Any]], lab_parity.Verdict]:
    """Of two trainings, recorded as a and b."""

    def of(a: dict[str, Any], b: dict[str, Any]) -> lab_parity.Verdict:
        for name, how in (("a", a), ("b", b)):
            with lab_parity.record(tmp_path / name):
                train(**how)
        return lab_parity.compare(tmp_path / "a", tmp_path / "b")

    return of


def by_norm(threshold: float, **more: Any) -> Clip:
    """Clips the whole model."""
    return lambda model: clip_grad_norm_(model.parameters(), threshold, **more)


def scaled_by(factor: float, then: Clip = lambda model: None) -> Clip:
    """Multiplies the gradients, and goes on."""

    def clip(model: nn.Module) -> None:
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.grad *= factor
        then(model)

    return clip


def ahead(schedule: lr_scheduler.LRScheduler) -> lr_scheduler.LRScheduler:
    """Stands one further on than its constructor left it."""
    schedule.last_epoch += 1
    return schedule


def test_a_clip_is_seen_however_it_was_imported(tmp_path: Path) -> None:
    """With its arguments, the gradients that it leaves out, and the norm before it; of two calls each."""
    with lab_parity.record(tmp_path / "a"):
        train(lambda model: (by_norm(0.05)(model), clip_grad_value_(model[0].weight, clip_value=0.01)), steps=1)
    (found,) = rows(tmp_path / "a", "clip")
    norm = found.pop(("clip_grad_norm_", "total_norm"))
    assert norm > 0.05
    assert found == {
        ("clip_grad_norm_", "max_norm"): 0.05, ("clip_grad_norm_", "norm_type"): 2,
        ("clip_grad_norm_", "left_out"): 0, ("clip_grad_norm_", "outside"): 0,
        ("clip_grad_value_", "clip_value"): 0.01, ("clip_grad_value_", "left_out"): 3,
        ("clip_grad_value_", "outside"): 0,
    }  # fmt: skip
    with lab_parity.record(tmp_path / "b"):
        train(lambda model: [by_norm(0.05, norm_type=1)(part) for part in (model[0], model[2])], steps=1)
    assert [name for name, field in rows(tmp_path / "b", "clip")[0] if field == "norm_type"] == [
        "clip_grad_norm_", "clip_grad_norm_ 1",
    ]  # fmt: skip


def test_torchs_functions_are_what_they_were_and_warn_as_they_did(tmp_path: Path) -> None:
    """Also of a generator that is empty; classes have their own methods back."""

    def functions() -> list[Any]:
        wrapped = [function.__closure__[0].cell_contents for function in (clip_grad_norm_, clip_grad_value_)]  # type: ignore[attr-defined]
        steps = [vars(cls)["step"] for cls in (lr_scheduler.LRScheduler, lr_scheduler.ReduceLROnPlateau)]
        return [*wrapped, *steps, torch.distributed.all_reduce, AveragedModel.update_parameters]

    before = functions()
    with lab_parity.record(tmp_path / "a"), pytest.warns(UserWarning, match="empty generator"):
        clip_grad_norm_((parameter for parameter in ()), 1.0)
    assert functions() == before


def test_a_function_that_has_taken_torchs_place_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And put back."""
    stand_in = functools.partial(clip_grad_norm_, norm_type=1.0)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", stand_in)
    with lab_parity.record(tmp_path / "a"):
        train(lambda model: torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05), steps=1)
    assert rows(tmp_path / "a", "clip")[0]["clip_grad_norm_", "max_norm"] == 0.05
    assert torch.nn.utils.clip_grad_norm_ is stand_in


def wider(model: nn.Module) -> None:
    """Clips another one's gradient, too."""
    other = nn.Parameter(torch.ones(1))
    other.grad = torch.ones(1)
    clip_grad_norm_([*model.parameters(), other], 0.05)


@pytest.mark.parametrize(
    ("a", "b", "field"),
    [
        (by_norm(0.05), by_norm(0.0501), "max_norm"),
        (by_norm(100.0), by_norm(200.0), "max_norm"),
        (by_norm(0.05), lambda model: clip_grad_norm_(model[0].parameters(), 0.05), "left_out"),
        (by_norm(0.05), wider, "outside"),
        (by_norm(0.05), by_norm(0.05, norm_type=1.0), "norm_type"),
        (
            lambda model: clip_grad_value_(model.parameters(), 0.01),
            lambda model: clip_grad_value_(model.parameters(), 0.02),
            "clip_value",
        ),
    ],
)
def test_a_wrong_clip_is_found_in_its_own_phase_and_named(
    verdict: Callable[..., lab_parity.Verdict], tmp_path: Path, a: Clip, b: Clip, field: str
) -> None:
    """Also a threshold that no norm has reached yet; no tensor was captured."""
    found = verdict({"clip": a}, {"clip": b})
    assert found.first is not None
    assert (found.first.step, found.first.phase) == (0, "clip")
    assert found.first.tensor.endswith(f" {field}")
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "b", verdict=found)
    assert cause is not None
    assert (cause.name, cause.confidence) == ("clip", "read")


def test_gradients_that_differed_before_the_clip_are_found_as_gradients(
    verdict: Callable[..., lab_parity.Verdict],
) -> None:
    """Although the norm differs, too."""

    found = verdict({"clip": by_norm(100.0)}, {"clip": scaled_by(2, by_norm(100.0))})
    assert found.first is not None
    assert found.first.phase == "grad"


def test_without_captured_tensors_the_cause_of_other_gradients_is_unknown(
    verdict: Callable[..., lab_parity.Verdict], tmp_path: Path
) -> None:
    """It says what to record."""
    verdict({}, {"clip": scaled_by(2)})
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert cause is not None
    assert cause.name == "unknown"
    assert "--capture" in cause.setting


def test_a_frozen_parameter_is_found_as_one(verdict: Callable[..., lab_parity.Verdict], tmp_path: Path) -> None:
    """And not as a clip of one gradient less."""

    def frozen(model: nn.Module) -> None:
        model[0].bias.grad = None
        by_norm(100.0)(model)

    found = verdict({"clip": by_norm(100.0)}, {"clip": frozen})
    assert found.first is not None
    assert (found.first.phase, found.first.tensor) == ("grad", "0.bias")


def test_a_clip_on_another_scale_with_the_same_result_is_the_same_training(
    verdict: Callable[..., lab_parity.Verdict],
) -> None:
    """Clipped before it is divided by the loss scale, at a threshold to match; it is noted."""
    early = scaled_by(64, by_norm(64 * 100.0))
    found = verdict({"clip": by_norm(100.0)}, {"clip": lambda model: (early(model), scaled_by(1 / 64)(model))})
    assert found.rung == "identical"
    assert "clip_grad_norm_ max_norm is 100 against 6400, to no consequence in the steps compared" in found.notes


def test_a_clip_by_a_formula_of_ones_own_is_no_difference_by_itself(verdict: Callable[..., lab_parity.Verdict]) -> None:
    """What comes of it is compared, and one side's calls are noted."""

    def own(model: nn.Module) -> None:
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        for gradient in gradients:
            gradient.mul_(torch.clamp(0.05 / (norm + 1e-6), max=1.0))

    found = verdict({"clip": by_norm(0.05)}, {"clip": own})
    assert found.rung == "identical"
    assert "clip by clip_grad_norm_ is only in the first trace" in found.notes
    assert "clip" in found.coverage.not_exercised


def test_an_update_by_hand_saw_clipped_gradients(tmp_path: Path) -> None:
    """Its gradients are looked at when backward ends, and again when they have been clipped."""

    def by_hand() -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
        for _ in range(4):
            model.zero_grad()
            model(torch.randn(5, 4)).square().mean().backward()
            clip_grad_norm_(model.parameters(), 0.05)
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter.data.add_(parameter.grad, alpha=-0.1)

    with lab_parity.record(tmp_path / "a"):
        train(by_norm(0.05))
    with lab_parity.record(tmp_path / "b"):
        by_hand()
    found = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert found.rung == "identical", found
    assert "clip" not in found.coverage.not_exercised


def test_a_schedule_is_seen_as_the_next_update_finds_it(tmp_path: Path) -> None:
    """Its first step, in the constructor, is none; a schedule made of others is one; two of a class are told apart."""

    def several(optimizer: torch.optim.Optimizer) -> list[Any]:
        parts = [lr_scheduler.ConstantLR(optimizer, 0.5, 2), lr_scheduler.ExponentialLR(optimizer, 0.9)]
        return [lr_scheduler.SequentialLR(optimizer, parts, [2]), lr_scheduler.StepLR(optimizer, 1, 0.5)]

    with lab_parity.record(tmp_path / "a"):
        train(schedule=several, after=lambda schedules: [each.step() for each in schedules], steps=3)
    first, second, third = rows(tmp_path / "a", "schedule")
    assert first == {}
    assert second == {
        ("SequentialLR", "last_epoch"): 1, ("SequentialLR", "lr"): 0.05,
        ("StepLR", "last_epoch"): 1, ("StepLR", "lr"): 0.025,
    }  # fmt: skip
    assert third["StepLR", "last_epoch"] == 2


@pytest.mark.parametrize(
    ("legacy", "migrated", "field"),
    [
        (lambda o: lr_scheduler.ExponentialLR(o, 0.9), lambda o: lr_scheduler.ExponentialLR(o, 0.91), "lr"),
        (lambda o: lr_scheduler.StepLR(o, 9), lambda o: ahead(lr_scheduler.StepLR(o, 9)), "last_epoch"),
    ],
)  # fmt: skip
def test_a_wrong_schedule_is_found_in_its_own_phase(
    verdict: Callable[..., lab_parity.Verdict],
    tmp_path: Path,
    legacy: Any,
    migrated: Any,
    field: str,
) -> None:
    """Its rates, or where it stands, which no rate may show yet."""
    found = verdict({"schedule": legacy}, {"schedule": migrated})
    assert found.first is not None
    assert (found.first.step, found.first.phase) == (1, "schedule")
    assert found.first.tensor.endswith(field)
    named = lab_parity.diagnose(tmp_path / "a", tmp_path / "b", verdict=found)
    assert named is not None
    assert named.name == "schedule"


def test_a_schedule_written_by_hand_is_no_difference_by_itself(verdict: Callable[..., lab_parity.Verdict]) -> None:
    """The rates that the update saw are compared; a wrong one is the optimizer's."""

    class Own:
        def __init__(self, optimizer: torch.optim.Optimizer) -> None:
            self.optimizer = optimizer

        def step(self) -> None:
            for group in self.optimizer.param_groups:
                group["lr"] *= 0.9

    found = verdict({"schedule": lambda o: lr_scheduler.ExponentialLR(o, 0.9)}, {"schedule": Own})
    assert (found.rung, found.first) == ("identical", None)
    assert "schedule by ExponentialLR is only in the first trace" in found.notes


@pytest.mark.parametrize(("patience", "rung"), [(99, "identical"), (0, "diverged")])
def test_what_a_plateau_heeds_counts_where_rates_come_of_it(
    verdict: Callable[..., lab_parity.Verdict], patience: int, rung: str
) -> None:
    """Another evaluation that leads to the same rates is noted."""
    plateau: dict[str, Any] = {"schedule": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=patience)}
    legacy = plateau | {"after": lambda schedule: schedule.step(1.0)}
    numbers = iter((1.0, 0.9, 0.8, 0.7))
    found = verdict(legacy, plateau | {"after": lambda schedule: schedule.step(next(numbers))})
    assert found.rung == rung
    if found.first is None:
        assert any("monitored" in note for note in found.notes)
    else:
        assert (found.first.step, found.first.phase) == (2, "metric")


def test_an_average_that_is_made_late_is_seen(tmp_path: Path) -> None:
    """From the step after its first update."""
    with lab_parity.record(tmp_path / "a"):
        train(average_from=1)
    found = [[field for _, field in step] for step in rows(tmp_path / "a", "ema")]
    assert found == [[], [], [""] * 4 + ["at forward"] * 4, [""] * 4 + ["at forward"] * 4]


RANK = """
import sys, torch, torch.distributed as dist
from torch import nn
import lab_parity

rank, way, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{folder}/meet{way.replace(' ', '')}", rank=rank, world_size=2)
torch.manual_seed(0)
model = nn.Linear(3, 1)
wrapped = model
if "wrapped" in way:
    wrapped = nn.parallel.DistributedDataParallel(model, broadcast_buffers="quiet" not in way)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = torch.Generator().manual_seed(rank)
with lab_parity.record(f"{folder}/{way.replace(' ', '')}.trace"):
    for _ in range(2):
        optimizer.zero_grad()
        loss = wrapped(torch.randn(4, 3, generator=data)).square().mean()
        loss.backward()
        if "own" in way:
            for parameter in model.parameters():
                dist.all_reduce(parameter.grad, op=dist.ReduceOp.SUM)
                parameter.grad /= 2 if "sum" not in way else 1
        dist.all_reduce(loss.detach())
        optimizer.step()
dist.barrier()  # without it gloo aborts now and then where the other rank is gone first
dist.destroy_process_group()
"""


def on_two_ranks(way: str, folder: Path) -> Path:
    """The trace of rank 0."""
    ranks = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", RANK, str(rank), way, str(folder)]) for rank in (0, 1)
    ]
    assert [rank.wait(120) for rank in ranks] == [0, 0]
    return folder / f"{way.replace(' ', '')}.trace"


def test_reduction_is_seen_on_every_rank(tmp_path: Path) -> None:
    """By a wrapper its settings, by hand the local gradients; a loss that is reduced for a log is neither."""
    wrapped, quiet, own = (on_two_ranks(way, tmp_path) for way in ("wrapped", "wrapped quiet", "own"))
    found = rows(wrapped, "reduce")[0]
    assert found["DistributedDataParallel", "synchronized"] == 1
    assert {name for name, _ in found} == {"DistributedDataParallel"}
    by_hand = rows(own, "reduce")[0]
    assert {name for name, field in by_hand if field == "local"} == {"weight", "bias"}
    assert by_hand["all_reduce", "ranks"] == 2
    same = lab_parity.compare(wrapped, own)
    assert same.rung == "identical"
    assert any(note.startswith("reduce by DistributedDataParallel") for note in same.notes)
    told = lab_parity.compare(wrapped, quiet)
    assert told.rung == "identical"
    assert any("broadcast_buffers" in note for note in told.notes)


def test_a_gradient_that_lies_where_a_reduced_activation_lay_was_not_reduced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Freed memory is given to the next tensor; which one gets it differs from run to run."""
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor, *_: None)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda group: 1)
    for name, gone in (("a", True), ("b", False)):
        parameter = nn.Parameter(torch.ones(4))
        optimizer = torch.optim.SGD([parameter], lr=0.1)
        with lab_parity.record(tmp_path / name):
            memory = numpy.ones(4, dtype="float32")
            tensor = torch.from_numpy(memory)
            torch.distributed.all_reduce(tensor)
            if gone:
                del tensor
                tensor = torch.from_numpy(memory)
            parameter.grad = tensor
            optimizer.step()
    assert not any(rows(tmp_path / "a", "reduce"))
    assert {name for name, _ in rows(tmp_path / "b", "reduce")[0]} == {"unnamed.0", "all_reduce"}


def test_a_rate_that_begins_at_zero_is_a_schedule_and_no_frozen_parameter(tmp_path: Path) -> None:
    """Nothing moves in the first step, for a reason that the settings show."""
    for name, first in (("a", 1), ("b", 0)):

        def warm(step: int, first: int = first) -> float:
            return min(1.0, (step + first) / 4)

        with lab_parity.record(tmp_path / name, capture=range(6)):
            train(schedule=functools.partial(lr_scheduler.LambdaLR, lr_lambda=warm), steps=6)
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert cause is not None
    assert cause.name == "schedule"
    assert "behind by 1" in cause.sentence


def test_a_schedules_last_step_is_not_taken_for_that_of_a_later_optimizer(tmp_path: Path) -> None:
    """Of trainings one after the other: Python gives an optimizer's address to another once it is gone."""
    with lab_parity.record(tmp_path / "a"):
        for _ in range(40):
            train(schedule=lambda optimizer: lr_scheduler.StepLR(optimizer, 1), steps=2)
    found = rows(tmp_path / "a", "schedule")
    assert len(found) == 80
    assert not any(found[0::2])
    assert all(found[1::2])


def test_what_a_schedule_is_told_at_each_step_is_one_note(
    verdict: Callable[[dict[str, Any], dict[str, Any]], lab_parity.Verdict],
) -> None:
    """Of many other losses that change no rate."""
    told = [{"schedule": lambda optimizer: lr_scheduler.ReduceLROnPlateau(optimizer, patience=99),
             "after": lambda schedule, loss=loss: schedule.step(loss + schedule.last_epoch)}
            for loss in (1.0, 2.0)]  # fmt: skip
    found = verdict(told[0], told[1])
    assert found.rung == "identical"
    assert len([note for note in found.notes if "monitored" in note]) == 1
