"""Names of parameters and averages: the same whatever holds the model, however its parameters are grouped."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import lab_parity
from lab_parity.record.live import Live
from lab_parity.trace import Step


def steps_of(path: Path) -> list[Step]:
    """The steps of a trace."""
    return [item for item in lab_parity.read(path).steps() if isinstance(item, Step)]


def names(path: Path, phase: str = "param") -> list[str]:
    """Of the second step."""
    return [key.name for key in steps_of(path)[1].keys if (key.phase, key.field) == (phase, "")]


class Holder(nn.Module):
    """Holds models under names of its own."""

    def __init__(self, **models: nn.Module) -> None:
        super().__init__()
        for name, model in models.items():
            self.add_module(name, model)


def two(optimizer: torch.optim.Optimizer, models: Iterable[nn.Module], after: Callable[[], Any] = lambda: None) -> None:
    """Two steps of models on one input."""
    for _ in range(2):
        optimizer.zero_grad()
        sum((model(torch.ones(3, 2)).square().mean() for model in models), torch.zeros(())).backward()
        optimizer.step()
        after()


def test_one_group_per_parameter_is_looked_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The live objects are gone through for what backward reached, for the optimizer, and for copies at its second one.

    Later ever more rarely, and at the end, for averages that began late.
    """
    looked = []
    original = gc.get_objects
    monkeypatch.setattr(gc, "get_objects", lambda generation: looked.append(generation) or original(generation))
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    with lab_parity.record(tmp_path / "a"):
        optimizer = torch.optim.SGD([{"params": p} for p in model.parameters()], lr=0.1)
        for _ in range(12):
            two(optimizer, [model])
    assert looked == [2, 1, 0] * (len(("backward", "first step", "second step")) + len((5, 20, "the end")))
    assert names(tmp_path / "a") == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_models_of_one_kind_in_groups_of_one_optimizer_are_told_apart(tmp_path: Path) -> None:
    """By the order in which the optimizer has them, whichever was made first."""
    late, early = nn.Linear(2, 1), nn.Linear(2, 1)
    with lab_parity.record(tmp_path / "a"):
        groups = [{"params": early.parameters()}, {"params": late.parameters()}]
        two(torch.optim.SGD(groups, lr=0.1), [early, late])
    first = steps_of(tmp_path / "a")[0]
    assert names(tmp_path / "a") == ["Linear#0.weight", "Linear#0.bias", "Linear#1.weight", "Linear#1.bias"]
    with lab_parity.record(tmp_path / "b"):
        two(torch.optim.SGD(early.parameters(), lr=0.1), [early])
    del first
    assert names(tmp_path / "b") == ["weight", "bias"]


def test_a_group_that_is_added_brings_its_module_along(tmp_path: Path) -> None:
    """Parameters and buffers, from the step on that has them."""
    body, head = nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2))
    optimizer = torch.optim.SGD(body.parameters(), lr=0.1)
    with lab_parity.record(tmp_path / "a"):
        two(optimizer, [body])
        optimizer.add_param_group({"params": list(head.parameters())})
        two(optimizer, [nn.Sequential(body, head)])
    counts = [sum(key.phase == "buffer" for key in step.keys) for step in steps_of(tmp_path / "a")]
    assert counts == [0, 0, 3, 3]


@pytest.mark.parametrize("kind", ["copy", "averaged", "in a holder"])
def test_an_average_is_seen_under_the_parameters_names(tmp_path: Path, kind: str) -> None:
    """A copied model and torch's AveragedModel; also one inside another module."""
    model = nn.Linear(2, 1)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    average: Any = averaged if kind == "averaged" else copy.deepcopy(model)
    holder = Holder(average=average) if kind == "in a holder" else None

    def update() -> None:
        if kind == "averaged":
            averaged.update_parameters(model)
        else:
            with torch.no_grad():
                for mine, other in zip(average.parameters(), model.parameters(), strict=True):
                    mine.lerp_(other, 0.5)

    if kind != "averaged":
        del averaged
    with lab_parity.record(tmp_path / "a"):
        two(torch.optim.SGD(model.parameters(), lr=0.1), [model], update)
    assert names(tmp_path / "a", "ema") == ["weight", "bias"]
    del holder


def test_two_trained_copies_are_no_averages(tmp_path: Path) -> None:
    """An ensemble with one initialisation, an optimizer each: the one that has stepped already is no average."""
    first = nn.Linear(2, 1)
    second = copy.deepcopy(first)
    with lab_parity.record(tmp_path / "a"):
        optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (first, second)]
        for _ in range(2):
            for model, optimizer in zip((first, second), optimizers, strict=True):
                optimizer.zero_grad()
                model(torch.ones(3, 2)).mean().backward()
                optimizer.step()
    later = [step for step in steps_of(tmp_path / "a") if step.optimizer == "opt1"]
    assert not any(key.phase == "ema" for step in later for key in step.keys)


def test_another_decay_is_a_difference_of_the_average_alone(tmp_path: Path) -> None:
    """Found in the step after the update that went wrong, which is where an average is read."""
    for name, decay in (("a", 0.5), ("b", 0.4)):
        torch.manual_seed(0)
        model = nn.Linear(2, 1)
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name):
            for _ in range(4):
                optimizer.zero_grad()
                model(torch.ones(3, 2)).square().mean().backward()
                optimizer.step()
                average.update_parameters(model)
        del average
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert verdict.first is not None
    # torch's first update copies; the second is the first with a decay, and step 2 is the first to see it.
    assert (verdict.first.step, verdict.first.phase, verdict.affected) == (2, "ema", {"ema": 4})


def test_what_only_claims_to_be_a_module_is_no_module() -> None:
    """A proxy whose `__class__` lies, a class without instances, a half-made module: none is taken for a model."""

    class Proxy:
        @property
        def __class__(self) -> Any:  # type: ignore[override]
            return nn.Linear

    class Unfinished(nn.Module):
        def __init__(self) -> None:  # never calls super().__init__
            self.__dict__["x"] = 1

    kept = [Proxy(), Unfinished(), nn.Linear(1, 1)]
    found = Live().outermost
    assert any(kept[2] is module for module in found)
    assert not any(kept[0] is module or kept[1] is module for module in found)


def test_nothing_of_the_program_is_run_to_find_names(tmp_path: Path) -> None:
    """Modules whose attributes raise, and metaclasses that do not like to be compared."""

    class Meta(type):
        def __eq__(cls, other: object) -> bool:
            raise AssertionError("compared")

        __hash__ = None  # type: ignore[assignment]

    class Odd(nn.Linear, metaclass=Meta):
        def __getattr__(self, name: str) -> Tensor:
            if name.startswith("_lab"):
                raise AssertionError(name)
            found: Tensor = super().__getattr__(name)
            return found

    model = Odd(2, 1)
    with lab_parity.record(tmp_path / "a"):
        two(torch.optim.SGD(model.parameters(), lr=0.1), [model])
    assert names(tmp_path / "a") == ["weight", "bias"]
    assert lab_parity.read(tmp_path / "a").end().notes == ()


def gan(path: Path, held: bool, swapped: bool = False) -> Path:
    """Two networks of one kind in one optimizer, beside each other or in a holder; each with buffers."""
    torch.manual_seed(0)
    first, second = (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)) for _ in range(2))
    holder = Holder(maker=first, critic=second) if held else None
    pair = [second, first] if swapped else [first, second]
    with lab_parity.record(path):
        two(torch.optim.SGD([p for model in pair for p in model.parameters()], lr=0.1), [first, second])
    del holder
    return path


def test_models_beside_each_other_match_those_in_a_holder(tmp_path: Path) -> None:
    """By their initial weights, where the paths share nothing; buffers follow their modules."""
    verdict = lab_parity.compare(gan(tmp_path / "a", held=False), gan(tmp_path / "b", held=True))
    assert (verdict.rung, verdict.reasons, verdict.coverage.tensors) == ("identical", (), 14)
    assert any("initial weights" in note for note in verdict.notes)


def test_other_names_in_another_order_are_matched(tmp_path: Path) -> None:
    """The same networks: norms that begin alike are told apart by what lies beside them."""
    verdict = lab_parity.compare(gan(tmp_path / "a", held=False), gan(tmp_path / "b", held=True, swapped=True))
    assert (verdict.rung, verdict.reasons, verdict.coverage.tensors) == ("identical", (), 14)


def test_fabric_wraps_a_model_without_renaming_it(tmp_path: Path) -> None:
    """Fabric's wrapper holds the model twice: its parameters and its buffers keep one name, and are compared."""
    import lightning

    def run(path: Path, wrapped: bool) -> Path:
        torch.manual_seed(0)
        model: Any = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.1)
        if wrapped:
            model, optimizer = lightning.Fabric(accelerator="cpu", devices=1).setup(model, optimizer)
        with lab_parity.record(path):
            two(optimizer, [model])
        return path

    verdict = lab_parity.compare(run(tmp_path / "a", wrapped=False), run(tmp_path / "b", wrapped=True))
    assert (verdict.rung, verdict.reasons, verdict.notes, verdict.coverage.tensors) == ("identical", (), (), 7)
    assert names(tmp_path / "b", "buffer") == names(tmp_path / "a", "buffer")


def one_of_two(path: Path, held: bool) -> Path:
    """Two networks with buffers, of which one trains; in a holder, both are beside each other."""
    torch.manual_seed(0)
    first, second = (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)) for _ in range(2))
    holder = Holder(maker=first, critic=second) if held else None
    optimizer = torch.optim.SGD(first.parameters(), lr=0.1)
    with lab_parity.record(path):
        for _ in range(2):
            optimizer.zero_grad()
            second(first(torch.ones(4, 2))).sum().backward()
            optimizer.step()
    del holder
    return path


def test_buffers_beside_the_trained_module_are_told_of_in_one_line(tmp_path: Path) -> None:
    """A holder's step has the buffers of all that it holds, a step of the network alone has its own."""
    verdict = lab_parity.compare(one_of_two(tmp_path / "a", held=False), one_of_two(tmp_path / "b", held=True))
    assert (verdict.rung, verdict.reasons) == ("identical", ())
    assert [note for note in verdict.notes if "buffers" in note] == [
        "3 buffers outside the module whose step it is, only in the second trace: "
        "critic.1.running_mean, critic.1.running_var, critic.1.num_batches_tracked"
    ]


def sharing(path: Path, held: bool) -> Path:
    """Two networks with one block in common, and one optimizer that is given the weights of both."""
    torch.manual_seed(0)
    shared = nn.Linear(2, 2)
    first, second = nn.Sequential(nn.Linear(2, 2), shared), nn.Sequential(nn.Linear(2, 2), shared)
    holder = Holder(one=first, other=second) if held else None
    with lab_parity.record(path), pytest.warns(UserWarning, match="duplicate parameters"):
        two(torch.optim.Adam([*first.parameters(), *second.parameters()], lr=0.1), [first, second])
    del holder
    return path


def test_weights_that_an_optimizer_holds_twice_are_compared_once(tmp_path: Path) -> None:
    """A shared block of two networks had two rows of one name a step: no comparison was possible."""
    verdict = lab_parity.compare(sharing(tmp_path / "a", held=False), sharing(tmp_path / "b", held=False))
    assert (verdict.rung, verdict.reasons) == ("identical", ())
    assert len(names(tmp_path / "a")) == len(set(names(tmp_path / "a"))) == 6
    verdict = lab_parity.compare(tmp_path / "a", sharing(tmp_path / "b2", held=True))
    assert (verdict.rung, verdict.reasons) == ("identical", ())


class Averages(nn.Module):
    """Buffers, and no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        """Moves its average."""
        with torch.no_grad():
            self.mean += 0.1 * (x.mean(0) - self.mean)
        return x - self.mean


def beside(path: Path, held: bool) -> Path:
    """Two networks of one kind, each with a module that has buffers alone."""
    torch.manual_seed(0)
    first, second = (nn.Sequential(nn.Linear(2, 2), nn.Sequential(Averages())) for _ in range(2))
    holder = Holder(maker=first, critic=second) if held else None
    with lab_parity.record(path):
        two(torch.optim.SGD([*first.parameters(), *second.parameters()], lr=0.1), [first, second])
    del holder
    return path


def test_a_module_with_buffers_alone_follows_its_model(tmp_path: Path) -> None:
    """No parameter lies beside its buffers: the path of the model that it lies in is known from the others."""
    verdict = lab_parity.compare(beside(tmp_path / "a", held=False), beside(tmp_path / "b", held=True))
    assert (verdict.rung, verdict.reasons, verdict.coverage.tensors) == ("identical", (), 6)
