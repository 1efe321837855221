"""Copies of the parameters in dicts and lists of the program's own: found by their bits, followed, and let go."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

import lab_parity
from lab_parity.record.copies import copies
from lab_parity.record.live import Live
from lab_parity.record.naming import wholes
from lab_parity.trace import Step

Shadow = dict[str, Tensor] | list[Tensor]


def in_place(shadow: Any, model: nn.Module, decay: float) -> None:
    """The usual update of a dict."""
    for name, parameter in model.named_parameters():
        shadow[name].mul_(decay).add_(parameter.detach(), alpha=1 - decay)


def anew(shadow: Any, model: nn.Module, decay: float) -> None:
    """New tensors at each step."""
    for name, parameter in model.named_parameters():
        shadow[name] = decay * shadow[name] + (1 - decay) * parameter.detach()


def by_number(shadow: Any, model: nn.Module, decay: float) -> None:
    """A list."""
    for number, parameter in enumerate(model.parameters()):
        shadow[number] = decay * shadow[number] + (1 - decay) * parameter.detach()


def as_dict(model: nn.Module) -> Shadow:
    """Of the trained parameters."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def as_list(model: nn.Module) -> Shadow:
    """In their order."""
    return [parameter.detach().clone() for parameter in model.parameters()]


def train(
    make: Callable[[nn.Module], Any], update: Callable[[Any, nn.Module, float], None], decay: float = 0.9
) -> None:
    """A plain loop with an average of its own."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    shadow = make(model)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(5, 3)).square().mean().backward()
        optimizer.step()
        update(shadow, model, decay)


@pytest.mark.parametrize(
    ("make", "update"),
    [
        (as_dict, in_place),
        (as_dict, anew),
        (as_list, by_number),
        (lambda model: copy.deepcopy(model.state_dict()), in_place),
    ],
)
def test_an_average_of_ones_own_is_followed_and_its_decay_named(
    tmp_path: Path, make: Callable[[nn.Module], Any], update: Callable[[Any, nn.Module, float], None]
) -> None:
    """Changed in place or put anew, by name or by place."""
    for name, decay in (("a", 0.9), ("again", 0.9), ("b", 0.91)):
        with lab_parity.record(tmp_path / name, capture=range(3)):
            train(make, update, decay)
    assert lab_parity.compare(tmp_path / "a", tmp_path / "again").rung == "identical"
    found = lab_parity.compare(tmp_path / "a", tmp_path / "b").first
    assert found is not None
    assert (found.step, found.phase, found.tensor) == (1, "ema", "0.weight")
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert cause is not None
    assert cause.name == "ema"
    assert cause.size == pytest.approx(0.91, abs=1e-4)


class Shell(nn.Module):
    """As a training framework's: it holds the model, another module, and perhaps the average."""

    def __init__(self, model: nn.Module, inside: bool) -> None:
        super().__init__()
        self.net, self.metric = model, nn.Linear(1, 1)
        average = copy.deepcopy(model).requires_grad_(False)
        self.ema = average if inside else None
        self.beside = [average]


@pytest.mark.parametrize("held", ["inside", "beside", "dict"])
def test_the_average_of_a_model_in_a_shell_is_that_of_the_plain_model(tmp_path: Path, held: str) -> None:
    """A copy of the shell's model, not of the shell: in the shell, beside it, or in a dict under the model's names."""

    def in_a_shell(decay: float) -> None:
        torch.manual_seed(0)
        shell = Shell(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)), held == "inside")
        shadow: Any = as_dict(shell.net) if held == "dict" else dict(shell.beside[0].named_parameters())
        if held == "dict":
            shell.beside.clear()
        optimizer = torch.optim.SGD(shell.net.parameters(), lr=0.1)
        torch.manual_seed(1)
        for _ in range(3):
            optimizer.zero_grad()
            shell.net(torch.randn(5, 3)).square().mean().backward()
            optimizer.step()
            with torch.no_grad():
                in_place(shadow, shell.net, decay)

    def plain(decay: float) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        average = copy.deepcopy(model).requires_grad_(False)
        torch.manual_seed(1)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(5, 3)).square().mean().backward()
            optimizer.step()
            in_place(dict(average.named_parameters()), model, decay)

    for name, program, decay in (("a", plain, 0.9), ("b", in_a_shell, 0.9), ("c", in_a_shell, 0.8)):
        with lab_parity.record(tmp_path / name):
            program(decay)
    same = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert same.rung == "identical", same.reasons
    assert "ema" not in same.coverage.not_exercised
    found = lab_parity.compare(tmp_path / "a", tmp_path / "c").first
    assert found is not None
    assert (found.step, found.phase, found.tensor) == (1, "ema", "0.weight")


def test_what_is_no_copy_of_every_parameter_is_none() -> None:
    """The model's own dicts, those of a copied model, a part, other values, gradients, names of something else."""
    model, twin = nn.Linear(3, 2), nn.Linear(3, 2)
    twin.load_state_dict(model.state_dict())
    kept: list[Any] = [
        model._parameters, twin._parameters, list(model.parameters()), model.state_dict(),
        {"weight": model.weight.detach().clone()}, [model.weight.detach().clone(), torch.zeros(2)],
        {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}, {"weight": 1, "bias": 2}, [], {},
    ]  # fmt: skip
    assert copies(wholes([model], ()), Live()) == []
    kept.append(as_dict(model))
    assert [found.container for found in copies(wholes([model], ()), Live())] == [kept[-1]]


def test_a_frozen_parameter_may_be_left_out() -> None:
    """An average is of what is trained."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    kept = {name: parameter.detach().clone() for name, parameter in model.named_parameters() if parameter.requires_grad}
    (found,) = copies(wholes([model], ()), Live())
    assert found.container is kept
    assert [path for path, _ in found.tensors()] == ["1.weight", "1.bias"]


def test_a_copy_that_the_program_drops_is_let_go(tmp_path: Path) -> None:
    """Its memory is free after the next step, and no row tells of it."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    shadow = as_dict(model)
    tensor = weakref.ref(shadow["weight"])  # type: ignore[call-overload]
    with lab_parity.record(tmp_path / "a"):
        for step in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()
            if step == 0:
                del shadow
    gc.collect()
    assert tensor() is None
    steps = [step for step in lab_parity.read(tmp_path / "a").steps() if isinstance(step, Step)]
    assert [sum(key.phase == "ema" for key in step.keys) for step in steps] == [2, 0, 0]


def test_copies_that_nobody_holds_any_more_do_not_count(tmp_path: Path) -> None:
    """A training before this one in the same process leaves cycles behind: neither of two runs has rows of them."""
    for name in ("clean", "littered"):
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        gc.disable()
        try:
            if name == "littered":
                litter: dict[str, Any] = dict(as_dict(model))  # type: ignore[arg-type]
                litter["itself"] = litter
                del litter
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            kept = as_list(model)
            with lab_parity.record(tmp_path / name):
                for _ in range(2):
                    optimizer.zero_grad()
                    model(torch.ones(2, 3)).sum().backward()
                    optimizer.step()
                    by_number(kept, model, 0.9)
        finally:
            gc.enable()
    verdict = lab_parity.compare(tmp_path / "clean", tmp_path / "littered")
    assert (verdict.rung, verdict.notes) == ("identical", ())


def resumed(path: Path, *, held: bool, first: bool = True, update: bool = True, decay: float = 0.9) -> None:
    """Three steps with an average in a dict, recorded; `held` is a checkpoint that the program still has.

    `first`: made before the average.
    """
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    checkpoint = {"model": as_dict(model)} if held and first else {}
    average = SimpleNamespace(shadow=as_dict(model))
    if held and not first:
        checkpoint = {"model": as_dict(model)}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lab_parity.record(path):
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()
            if update:
                in_place(average.shadow, model, decay)
    assert len(checkpoint) == held


def test_a_checkpoint_that_one_run_still_holds_takes_no_averages_place(tmp_path: Path) -> None:
    """It is a copy of the parameters at first, and may be found before the average, which alone the other run has."""
    resumed(tmp_path / "before", held=True)
    resumed(tmp_path / "after", held=True, first=False)
    resumed(tmp_path / "without", held=False)
    notes: list[str] = []
    for pair in (("before", "without"), ("without", "before"), ("after", "without"), ("without", "after")):
        verdict = lab_parity.compare(*(tmp_path / name for name in pair))
        assert verdict.rung == "identical"
        notes += verdict.notes
    assert "averages of the parameters are numbered apart: paired by what they become" in notes


@pytest.mark.parametrize("wrong", [{"update": False}, {"decay": 0.91}])
@pytest.mark.parametrize("held", [(True, False), (False, True), (True, True)])
def test_an_average_that_is_not_updated_is_not_taken_for_a_checkpoint(
    tmp_path: Path, wrong: dict[str, Any], held: tuple[bool, bool]
) -> None:
    """Beside a copy that never changes, whichever run holds it: at most it cannot be told which is which."""
    resumed(tmp_path / "a", held=held[0])
    resumed(tmp_path / "b", held=held[1], **wrong)
    for pair in (("a", "b"), ("b", "a")):
        verdict = lab_parity.compare(*(tmp_path / name for name in pair))
        if verdict.first is not None:
            assert (verdict.first.step, verdict.first.phase) == (1, "ema")
        else:
            assert verdict.rung == "inconclusive"
            assert "an average that changes before step 1 in one run only" in str(verdict.reasons)


class Averaging(nn.Module):
    """Holds a model and torch's average of it, of another class."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
        self.average = AveragedModel(self.net)


@pytest.mark.parametrize("updates", [True, False])
def test_an_averaged_model_inside_a_shell_is_one_average(tmp_path: Path, updates: bool) -> None:
    """Found as a copy of the model, and not once more when it says whom it averages."""

    def train(path: Path, shell: bool, updates: bool = True) -> Path:
        torch.manual_seed(0)
        holder = Averaging() if shell else None
        net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1)) if holder is None else holder.net
        average = AveragedModel(net) if holder is None else holder.average
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with lab_parity.record(path):
            for step in range(4):
                optimizer.zero_grad()
                net(torch.randn(5, 3)).square().mean().backward()
                optimizer.step()
                if step and updates:
                    average.update_parameters(net)
        return path

    verdict = lab_parity.compare(train(tmp_path / "a", shell=False), train(tmp_path / "b", shell=True, updates=updates))
    assert verdict.reasons == ()
    if updates:
        assert (verdict.rung, [note for note in verdict.notes if "an average" in note]) == ("identical", [])
    else:
        assert verdict.first is not None
        assert (verdict.first.step, verdict.first.phase) == (2, "ema")


def with_norm(path: Path, kept: str, copied: bool = True) -> Path:
    """Four steps of a net with batch norm and its average: a module, a state_dict, or a dict of parameters alone."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 1))
    average: dict[str, Tensor]
    buffers: dict[str, Tensor] = {}
    if kept == "module":
        module = copy.deepcopy(net)
        average, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    elif kept == "state":
        average = buffers = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    else:
        average = {name: tensor.detach().clone() for name, tensor in net.named_parameters()}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with lab_parity.record(path, capture=range(4)):
        for _ in range(4):
            optimizer.zero_grad()
            net(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            with torch.no_grad():
                for name, parameter in net.named_parameters():
                    average[name].lerp_(parameter, 0.1)
                for name, buffer in net.named_buffers():
                    if copied and name in buffers:
                        buffers[name].copy_(buffer)
    return path


def test_the_buffers_of_an_average_are_compared(tmp_path: Path) -> None:
    """An average whose batch norm kept its first statistics was identical to one that is given the model's."""
    for kept in ("module", "state"):
        legacy = with_norm(tmp_path / f"{kept}-a", kept)
        assert lab_parity.compare(legacy, with_norm(tmp_path / f"{kept}-b", kept)).rung == "identical"
        migrated = with_norm(tmp_path / f"{kept}-c", kept, copied=False)
        verdict = lab_parity.compare(legacy, migrated)
        assert verdict.first is not None
        assert (verdict.first.step, verdict.first.phase) == (1, "ema")
        found = lab_parity.diagnose(legacy, migrated)
        assert found is not None
        assert found.name == "ema"
        assert (
            "copies of the trained model's in the legacy run, left as they were in the migrated run" in found.sentence
        )


def test_an_average_of_parameters_alone_is_one_of_a_whole_module(tmp_path: Path) -> None:
    """The other side's buffers have no partner, which is noted."""
    verdict = lab_parity.compare(with_norm(tmp_path / "a", "shadow"), with_norm(tmp_path / "b", "module"))
    assert verdict.rung == "identical", verdict.reasons
    assert any("parts of an average are only in the second trace: 1.running_mean" in note for note in verdict.notes)


def test_an_average_that_another_formula_rounds_keeps_as_much(tmp_path: Path) -> None:
    """It was said to keep 0.99 instead of 0.99."""

    def train(path: Path, by_hand: bool) -> Path:
        torch.manual_seed(0)
        net = nn.Linear(8, 8)
        average = copy.deepcopy(net)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with lab_parity.record(path, capture=range(4)):
            for _ in range(4):
                optimizer.zero_grad()
                net(torch.randn(8, 8)).square().mean().backward()
                optimizer.step()
                for mine, other in zip(average.parameters(), net.parameters(), strict=True):
                    if by_hand:
                        mine.data = 0.99 * mine.data + 0.01 * other.data
                    else:
                        mine.data.lerp_(other.data, 0.01)
        return path

    found = lab_parity.diagnose(train(tmp_path / "a", False), train(tmp_path / "b", True))
    if found is not None:  # kernels of some machines round alike
        assert found.name == "rounding", found.sentence


def test_an_average_that_one_run_alone_makes_is_told_apart_from_kept_weights(tmp_path: Path) -> None:
    """A migrated run that had lost its average was as identical as one that keeps no copy of its best weights."""

    def train(path: Path, kept: str) -> Path:
        torch.manual_seed(0)
        net = nn.Linear(4, 4)
        copied = copy.deepcopy(net) if kept else None
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with lab_parity.record(path):
            for step in range(5):
                optimizer.zero_grad()
                net(torch.randn(8, 4)).square().mean().backward()
                if kept == "before" and copied is not None:
                    copied.load_state_dict(net.state_dict())
                optimizer.step()
                if copied is not None and (kept == "average" or (kept == "best" and step in (1, 2))):
                    share = 0.1 if kept == "average" else 1.0
                    for mine, other in zip(copied.parameters(), net.parameters(), strict=True):
                        mine.data.lerp_(other.data, share)
        return path

    plain = train(tmp_path / "plain", "")
    for kept in ("best", "before"):
        verdict = lab_parity.compare(train(tmp_path / kept, kept), plain)
        assert verdict.rung == "identical", verdict
        assert any("an average of the parameters is only in the first trace" in note for note in verdict.notes)
    average = train(tmp_path / "average", "average")
    for which, sides in (("first", (average, plain)), ("second", (plain, average))):
        verdict = lab_parity.compare(*sides)
        if which == "second":  # which may register what the other one makes where nobody sees it
            assert verdict.rung == "identical", verdict
            assert any(
                "only in the second trace: an average of the parameters that goes on" in n for n in verdict.notes
            )
            continue
        assert verdict.rung == "inconclusive", verdict
        assert [
            f"only in the {which} trace: an average of the parameters that goes on changing" in one
            for one in verdict.coverage.unmatched
        ] == [True]
