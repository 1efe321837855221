"""The ledger: every draw is booked to the line that made it, and no number changes because somebody looks."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import lab_parity
from lab_parity import Scope
from lab_parity.ledger import Drawn, drawn_differently
from lab_parity.record import ledger as recorded
from lab_parity.record.ledger import Ledger
from lab_parity.record.notes import Notes
from lab_parity.trace import Step

HERE = "test_ledger.py"


@contextmanager
def booked(micro: Callable[[], int] = lambda: 0) -> Iterator[list[Drawn]]:
    """A list that holds what was drawn inside, once it has ended."""
    notes = Notes()
    ledger = Ledger(notes, micro)
    undo = ledger.watch()
    found: list[Drawn] = []
    try:
        yield found
    finally:
        found += recorded.drawn(ledger.take())
        for action in reversed(undo):
            action()
    assert notes.take() == []


def one(entries: list[Drawn]) -> Drawn:
    """The only entry."""
    assert len(entries) == 1, entries
    return entries[0]


@pytest.mark.parametrize(
    ("draw", "what", "words"),
    [
        (lambda: torch.rand(3), "torch.rand", 3),
        (lambda: torch.empty(2).uniform_(), "Tensor.uniform_", 2),
        (lambda: nn.Dropout(0.5)(torch.ones(8)), "torch.nn.functional.dropout", None),
        (lambda: torch.randperm(4), "torch.randperm", None),
        (lambda: nn.init.normal_(torch.empty(5)), "torch.nn.init.normal_", None),
        (lambda: list(DataLoader(TensorDataset(torch.ones(2)))), "Tensor.random_", None),
    ],
)
def test_a_draw_of_torch_is_booked(draw: Callable[[], Any], what: str, words: int | None) -> None:
    """By what drew, the line that led to it, and how many words where that is known beforehand."""
    with booked() as found:
        draw()
    entry = one(found)
    assert (entry.generator, entry.what, entry.calls) == ("torch", what, 1)
    assert entry.words == words or words is None
    assert HERE in entry.line


def test_what_draws_nothing_is_not_booked() -> None:
    """Arithmetic, dropout of nothing, an evaluation."""
    with booked() as found:
        (torch.ones(3) + 1).sum().item()
        nn.Dropout(0.5).eval()(torch.ones(3))
        random.getstate()
        np.random.get_state()
    assert found == []


@pytest.mark.parametrize(
    ("draw", "generator", "what", "words"),
    [
        (lambda: random.random(), "python", "random.random", 2),
        (lambda: random.getrandbits(33), "python", "random.getrandbits", 2),
        (lambda: random.shuffle([1, 2]), "python", "random.shuffle", None),
        (lambda: random.gauss(0, 1), "python", "random.gauss", None),
        (lambda: np.random.rand(3), "numpy", "numpy.random.rand", 6),
        (lambda: np.random.permutation(3), "numpy", "numpy.random.permutation", None),
    ],
)
def test_draws_of_python_and_numpy_are_booked(
    draw: Callable[[], Any], generator: str, what: str, words: int | None
) -> None:
    """Under the function that the program called."""
    with booked() as found:
        draw()
    entry = one(found)
    assert (entry.generator, entry.what) == (generator, what)
    assert entry.words == words or words is None
    assert HERE in entry.line


def test_a_generator_of_the_programs_own_is_told_apart() -> None:
    """Its draws are no draws from the global one."""
    own = torch.Generator().manual_seed(1)
    with booked() as found:
        torch.rand(2, generator=own)
    assert (one(found).generator, one(found).words) == ("a generator of its own", 2)


def test_a_draw_that_nobody_saw_is_found_at_the_next_call() -> None:
    """A function imported before the recording, a seed: booked as elsewhere, without a line."""
    early = np.random.rand
    with booked() as found:
        early(1)
        np.random.rand(1)
        torch.manual_seed(3)
    assert [(entry.what, entry.line == "") for entry in found] == [
        ("elsewhere", True), ("numpy.random.rand", False), ("elsewhere", True)
    ]  # fmt: skip


def test_a_draw_inside_a_model_names_the_module() -> None:
    """Its path from the outermost module that was called."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Dropout(0.5)))
    with booked() as found:
        model(torch.ones(3, 2))
    assert one(found).module == "1.1"


def test_a_function_that_the_program_put_in_place_of_torchs_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its caller is: a wrapper would be named for every draw, and say nothing."""
    original = torch.rand

    @functools.wraps(original)
    def on_the_cpu(*args: Any, **kwargs: Any) -> torch.Tensor:
        return original(*args, **kwargs)

    monkeypatch.setattr(torch, "rand", on_the_cpu)
    with booked() as found:
        torch.rand(1)
    assert "in test_a_function_that_the_program_put" in one(found).line


def test_everything_is_put_back() -> None:
    """The functions of random, numpy.random and torch are what they were."""

    def functions() -> list[Any]:
        named = [random.random, random.getrandbits, np.random.rand, np.random.shuffle]
        return [*named, torch.overrides.has_torch_function, vars(random._inst)]  # type: ignore[attr-defined]

    before = functions()
    with booked():
        pass
    assert all(a == b for a, b in zip(before, functions(), strict=True))
    assert torch._C._len_torch_function_stack() == 0


def evaluated() -> torch.Tensor:
    """A transformer's evaluation: torch takes a fast path of its own when nobody overrides its functions."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    with torch.no_grad():
        found: torch.Tensor = model(torch.randn(3, 5, 16))
    return found


def test_looking_on_changes_no_bit() -> None:
    """Also where torch's modules ask whether somebody looks on."""
    plain = evaluated()
    with booked():
        watched = evaluated()
    assert torch.equal(plain, watched)


def test_a_compiled_model_is_compiled_as_ever() -> None:
    """One graph, no break, and its draws are booked."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    torch._dynamo.reset()
    torch.manual_seed(0)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    plain = compiled(torch.ones(3, 2))
    torch.manual_seed(0)
    with booked() as found:
        watched = compiled(torch.ones(3, 2))
    assert torch.equal(plain, watched)
    assert any(entry.generator == "torch" for entry in found)


def trained(path: Path, extra: int | None = None, ledger: bool = True) -> list[Step]:
    """Four steps; after step `extra` one number more is drawn."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lab_parity.record(path, scope=Scope(ledger=ledger)):
        for step in range(4):
            optimizer.zero_grad()
            for _ in range(2):
                model(torch.randn(3, 2)).mean().backward()
            optimizer.step()
            if step == extra:
                torch.rand(1)
    return [item for item in lab_parity.read(path).steps() if isinstance(item, Step)]


def test_a_trace_keeps_its_ledger_by_micro_step(tmp_path: Path) -> None:
    """The batch and the dropout of each; nothing where nobody asked."""
    for step in trained(tmp_path / "a"):
        assert [(entry.micro, entry.what) for entry in step.ledger] == [
            (0, "torch.randn"), (0, "torch.nn.functional.dropout"),
            (1, "torch.randn"), (1, "torch.nn.functional.dropout"),
        ]  # fmt: skip
        assert step.ledger[1].module == "1"
    assert all(step.ledger == () or step.ledger == [] for step in trained(tmp_path / "b", ledger=False))
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical"


def test_who_drew_once_more_is_named(tmp_path: Path) -> None:
    """By the comparison and by the diagnosis, from the traces alone."""
    trained(tmp_path / "a")
    trained(tmp_path / "b", extra=1)
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert verdict.first is not None
    assert (verdict.first.step, verdict.first.phase) == (2, "rng")
    assert "The migrated run called torch.rand 1 more time, at " in verdict.first.sentence()
    assert f"{HERE}:" in verdict.first.sentence()
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert cause is not None
    assert cause.name == "rng"
    assert cause.sentence.startswith("The migrated run called torch.rand 1 more time")
    back = lab_parity.compare(tmp_path / "b", tmp_path / "a").first
    assert back is not None
    assert "The legacy run called torch.rand 1 more time" in back.what


def drawn(what: str, line: str, calls: int = 1, words: int | None = 1) -> Drawn:
    """An entry."""
    return Drawn(0, "torch", what, line, "", calls, words)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([drawn("r", "a.py:1")], [drawn("r", "b.py:9")], []),
        ([drawn("r", "a.py:1")], [drawn("r", "a.py:1"), drawn("r", "a.py:5")], ["migrated", "1 more time", "a.py:5"]),
        ([drawn("r", "a.py:1", 3)], [drawn("r", "b.py:1")], ["legacy", "2 more times", "a.py:1"]),
        ([drawn("r", "a.py:1", 1, 4)], [drawn("r", "b.py:1", 1, 6)], ["6 numbers", "instead of 4", "b.py:1"]),
        ([], [drawn("elsewhere", "")], []),
    ],
)
def test_ledgers_differ_in_what_drew_not_in_where(a: list[Drawn], b: list[Drawn], said: list[str]) -> None:
    """Two programs have other lines; the line is told, never compared."""
    found = " ".join(drawn_differently(a, b, "torch"))
    assert bool(found) == bool(said)
    assert all(part in found for part in said)


def test_a_line_that_only_one_side_has_is_told_before_one_that_draws_more_often() -> None:
    """An augmentation that draws again where a first number says so draws more often because of the extra draw."""
    both = [drawn("randint", "crop.py:14", 2), drawn("rand", "crop.py:11", 4)]
    more = [drawn("randint", "crop.py:14", 3), drawn("rand", "crop.py:11", 4), drawn("rand", "train.py:9")]
    found = drawn_differently(both, more, "torch")
    assert [sentence.split(" ")[4] for sentence in found] == ["rand", "randint"]
    assert "train.py:9" in found[0]


def test_a_draw_after_the_last_look_of_a_step_is_named_in_the_next(tmp_path: Path) -> None:
    """An update by hand has no look of its own: the draw is booked in the step before the one that differs."""
    for name in "ab":
        torch.manual_seed(0)
        model = nn.Linear(2, 1)
        with lab_parity.record(tmp_path / name, scope=Scope(ledger=True)):
            for step in range(3):
                model.zero_grad()
                loss = model(torch.randn(3, 2)).mean()
                if step == 1 and name == "b":
                    torch.rand(1)
                loss.backward()
                for parameter in model.parameters():
                    assert parameter.grad is not None
                    parameter.data -= 0.1 * parameter.grad
    first = lab_parity.compare(tmp_path / "a", tmp_path / "b").first
    assert first is not None
    assert (first.step, first.phase) == (2, "rng")
    assert "The migrated run called torch.rand 1 more time" in first.what
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert cause is not None
    assert cause.name == "rng"
