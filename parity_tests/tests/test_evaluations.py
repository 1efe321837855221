"""Evaluations: recorded, compared, and never a difference of the training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

import lab_parity
from lab_parity.golden import compare_with_golden, export_golden
from lab_parity.trace import Step

BETWEEN, BEHIND = "before the update of step 2", "behind the last step"


@attrs.frozen
class Evaluation:
    """How the model is evaluated: when, whether eval() is forgotten, with which data, by which loss."""

    at: tuple[int, ...] = (2, 4)
    forgets: bool = False
    restores: bool = True
    shift: float = 0.0
    calls: int = 3
    loss: Callable[[Tensor], Tensor] = torch.mean
    mode: Callable[[], Any] = torch.no_grad

    def __call__(self, model: nn.Module) -> None:
        """Evaluate, and leave buffers, modes and, as a rule, generators as they were."""
        state, buffers = torch.get_rng_state(), [buffer.clone() for buffer in model.buffers()]
        if not self.forgets:
            model.eval()
        with self.mode():
            for number in range(self.calls):
                self.loss(model(torch.full((2, 4), number + 0.5 + self.shift)))
        model.train()
        if self.restores:
            torch.set_rng_state(state)
        for buffer, value in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(value)


class Outer(nn.Module):
    """A module without parameters, as losses and metrics are."""

    def forward(self, x: Tensor) -> Tensor:
        """The mean."""
        return x.mean()


def train(evaluation: Evaluation | None) -> None:
    """Four steps with batch norm and dropout."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(5):
        if evaluation is not None and step in evaluation.at:
            evaluation(model)
        if step < 4:
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()


def recorded(path: Path, evaluation: Evaluation | None, every: int = 1) -> Path:
    """The trace of such a training."""
    with lab_parity.record(path, scope=lab_parity.Scope(every=every)):
        train(evaluation)
    return path


def told(folder: Path, migrated: Evaluation | None, legacy: Evaluation | None = Evaluation()) -> list[str]:
    """What the verdict notes on evaluations; it is `identical`."""
    verdict = lab_parity.compare(recorded(folder / "a", legacy), recorded(folder / "b", migrated))
    assert (verdict.rung, verdict.exit_code) == ("identical", 0), verdict.reasons
    return [note for note in verdict.notes if "evaluation" in note]


@pytest.mark.parametrize(
    ("migrated", "said"),
    [
        (Evaluation(forgets=True), "other outputs for the same inputs"),
        (Evaluation(shift=1.0), "other inputs"),
        (Evaluation(calls=4), "3 times without a graph against 4, not compared"),
    ],
)
@pytest.mark.parametrize(("at", "where"), [((2, 4), BETWEEN), ((4,), BEHIND)])
def test_an_evaluation_that_differs_is_noted_where_it_is_first(
    tmp_path: Path, migrated: Evaluation, said: str, at: tuple[int, ...], where: str
) -> None:
    """Between two steps, and behind the last one, which nothing else sees."""
    (note,) = told(tmp_path, attrs.evolve(migrated, at=at), Evaluation(at=at))
    assert where in note
    assert said in note
    assert ("1 more places" in note) == (len(at) == 2)


@pytest.mark.parametrize(
    "migrated",
    [Evaluation(), Evaluation(loss=Outer()), Evaluation(mode=torch.inference_mode)],
    ids=["the same", "the loss is a module", "inference mode"],
)
def test_the_same_evaluation_is_not_noted(tmp_path: Path, migrated: Evaluation) -> None:
    """Also with a loss that is a module on one side, or in another mode without a graph; and it counts as exercised."""
    assert told(tmp_path, migrated) == []
    assert "evaluation" not in lab_parity.compare(tmp_path / "a", tmp_path / "b").coverage.not_exercised


@pytest.mark.parametrize(
    ("at", "said"), [((2,), "only in the first trace"), ((4,), "3 times without a graph against 0")]
)
def test_a_run_that_does_not_evaluate_is_noted(tmp_path: Path, at: tuple[int, ...], said: str) -> None:
    """It may do so in another process."""
    (note,) = told(tmp_path, None, Evaluation(at=at))
    assert said in note


def test_a_training_that_differs_is_told_first(tmp_path: Path) -> None:
    """A forgotten eval() that moves the generator: the next step's dropout is another one."""
    recorded(tmp_path / "a", Evaluation(restores=False))
    recorded(tmp_path / "b", Evaluation(restores=False, forgets=True))
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert verdict.first is not None
    assert (verdict.first.step, verdict.first.phase) == (2, "rng")


@pytest.mark.parametrize("level", ["phase", "tensor"])
def test_a_golden_knows_its_evaluations(tmp_path: Path, level: str) -> None:
    """Those behind the last step, too."""
    golden = tmp_path / "golden.json"
    export_golden(lab_parity.read(recorded(tmp_path / "a", Evaluation())), golden, level)
    same, other = recorded(tmp_path / "b", Evaluation()), recorded(tmp_path / "c", Evaluation(forgets=True))
    assert not any("evaluation" in note for note in compare_with_golden(golden, lab_parity.read(same)).notes)
    (note,) = [n for n in compare_with_golden(golden, lab_parity.read(other)).notes if "evaluation" in n]
    assert "1 more places" in note


def test_of_skipped_steps_no_evaluation_is_kept(tmp_path: Path) -> None:
    """Only what precedes a step that is recorded: step 2 of 0, 2; and step 4 would be the next."""
    steps = [
        item
        for item in lab_parity.read(recorded(tmp_path / "a", Evaluation(at=(1, 2)), every=2)).steps()
        if isinstance(item, Step)
    ]
    counts = {
        step.step: float(value)
        for step in steps
        for key, value in zip(step.keys, step.values, strict=True)
        if key.phase == "evaluation" and key.field == "count"
    }
    assert counts == {2: 3.0}


def test_thousands_of_calls_are_counted_and_the_first_ones_looked_at(tmp_path: Path) -> None:
    """As a sampler makes them."""
    (note,) = told(tmp_path, Evaluation(at=(2,), calls=1100), Evaluation(at=(2,), calls=1101))
    assert "1101 times without a graph against 1100" in note


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("graph", [True, False])
def test_a_rehearsal_is_neither_training_nor_evaluation(tmp_path: Path, graph: bool) -> None:
    """Shapes on fake tensors and a traced model: nothing warns, is noted, or becomes a part of what is traced."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def rehearse() -> list[str]:
        with torch.set_grad_enabled(graph):
            with FakeTensorMode(allow_non_fake_inputs=True):
                model.eval()(torch.empty(3, 4))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                traced: Any = torch.jit.trace(model, torch.ones(3, 4), check_trace=False)  # type: ignore[no-untyped-call]
        model.train()
        return [node.kind() for node in traced.inlined_graph.nodes()]

    expected = rehearse()
    for name in ("a", "b"):
        with lab_parity.record(tmp_path / name):
            train(Evaluation())
            assert name == "a" or rehearse() == expected
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert (verdict.rung, [note for note in verdict.notes if "evaluation" in note]) == ("identical", [])


def test_calls_in_several_threads_are_told_apart(tmp_path: Path) -> None:
    """What one thread's call consists of does not count by itself where another thread's call ends meanwhile."""

    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            if threads and not started:
                started.append(True)
                threads[0].start()
                threads[0].join()
            found: Tensor = self.inner(x)
            return found

    model, started = Slow(), list[bool]()

    def call() -> None:
        with torch.no_grad():
            model(torch.ones(2, 4))

    threads = [Thread(target=call)]
    with lab_parity.record(tmp_path / "a"):
        train(None)
        call()
    end = lab_parity.read(tmp_path / "a").index()
    assert end is not None
    assert end.end.evaluated["count"] == "2"


def test_weights_that_are_loaded_behind_the_last_step_are_noted(tmp_path: Path) -> None:
    """An average in their place, say: `identical` without a word, and another model was saved."""

    def train(name: str, loads: bool) -> nn.Module:
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name):
            first = {name: p.detach().clone() for name, p in model.named_parameters()}
            for _ in range(3):
                optimizer.zero_grad()
                model(torch.randn(4, 3)).square().mean().backward()
                optimizer.step()
            if loads:
                model.load_state_dict(first)
        return model

    kept = [train("a", False), train("b", False), train("c", True)]
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").notes == ()
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "c")
    assert any("parameters that the runs leave differ" in note for note in verdict.notes), verdict
    assert len(kept) == 3
