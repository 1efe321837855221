"""Transplant and mutation self-test on a real project, through the command."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

import lab_migrate.self_test
import lab_parity
from lab_migrate.cli import app
from lab_migrate.commands.parity import _table
from lab_migrate.convert import convert_project
from lab_migrate.errors import UsageError
from lab_migrate.output import telling
from lab_migrate.proving import Proof, Runs
from lab_migrate.self_test import Mutation, exit_code, self_test
from lab_parity import Coverage, Verdict
from lab_parity.plant import causes_of, fault_names

PROJECT = Path(__file__).parents[2] / "examples" / "char_model"


def parity(tmp_path: Path, *options: str, steps: int = 3) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of `lab-migrate parity`."""
    command = ["parity", str(PROJECT), "--work", str(tmp_path / "work"), "--json", *options]
    result = CliRunner().invoke(app, [*command, "--", "--bind", f"Trainer.steps = {steps}"])
    assert result.stdout, result
    return result.exit_code, json.loads(result.stdout)


def test_every_fault_names_causes_that_there_are() -> None:
    """A typo would count every naming as wrong."""
    from lab_parity import cause_names

    assert len(fault_names()) >= 10
    for fault in fault_names():
        assert set(causes_of(fault)) <= set(cause_names()), fault


def test_a_planted_fault_is_caught_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Planted in the migrated run of an example, after its proof was identical; and said as soon as it is known.

    The model has no batch norm and its dropout is off: nothing is run for what minds the mode.
    """
    monkeypatch.setattr(lab_migrate.self_test, "fault_names", lambda: ["frozen", "mode"])
    command = ["parity", str(PROJECT), "--work", str(tmp_path / "work"), "--self-test", "--json", "--"]
    with pytest.raises(SystemExit) as left:
        app([*command, "--bind", "Trainer.steps = 3", "--bind", "Activation.dropout = 0.0"])
    printed, told = capfd.readouterr()
    said = json.loads(printed)
    assert (left.value.code, said["rung"]) == (0, "identical")
    caught, nothing = said["self_test"]
    assert caught == {
        "fault": "frozen", "step": 2, "planted": True, "caught": True, "where": "step 2, param", "cause": "frozen",
        "named": True, "untried": "",
    }  # fmt: skip
    assert (nothing["fault"], nothing["planted"], nothing["caught"]) == ("mode", False, False)
    assert not (tmp_path / "work" / "self-test" / "mode").exists()
    assert "self-test: 1 runs of about " in told
    assert "self-test 1/1 frozen: caught at step 2, param, named frozen" in told


class Replayed:
    """Runs whose traces there are already, but for those of faults that end the training."""

    def __init__(self, work: Path, trace: Path) -> None:
        self.work, self.trace = work, trace

    def record(self, side: str, where: str = "", **options: Any) -> Path:
        """The one trace."""
        if where.startswith("self-test/") and where != "self-test/unchanged":
            raise UsageError("the migrated run failed with exit code 1: python train.py\nValueError: not finite")
        return self.trace


@pytest.fixture
def replayed(tmp_path: Path) -> Proof:
    """A proof of two equal runs."""
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lab_parity.record(tmp_path / "a"):
        for _ in range(3):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    runs: Any = Replayed(tmp_path, tmp_path / "a")
    return Proof(runs, tmp_path / "a", tmp_path / "a", Verdict("identical", Coverage()))


def test_a_fault_that_ends_the_training_ends_no_self_test(replayed: Proof) -> None:
    """It ended the command with the first such fault; nothing was told of the others. Nothing tried is no pass."""
    mutations = self_test(replayed)
    assert len(mutations) == len(fault_names())
    assert {mutation.untried for mutation in mutations if mutation.untried} == {"ValueError: not finite"}
    assert exit_code(mutations) == 3


def test_what_became_of_each_fault_stays_on_a_terminal(replayed: Proof) -> None:
    """A line that changes told of it, until the next one did."""
    out = Console(file=io.StringIO(), force_terminal=True, width=80)
    with telling(out, "begun") as say:
        self_test(replayed, say, keep=say.keep, budget=0)
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    kept = [line.rpartition("\x1b[2K")[2] for line in lines if "not tried: no time was left" in line]
    assert [line.partition(":")[0].startswith("self-test ") for line in kept] == [True] * len(kept)
    assert len(kept) > 3


def test_no_run_begins_after_the_budget(replayed: Proof) -> None:
    """What was not tried is said to be so."""
    mutations = self_test(replayed, budget=0)
    assert {mutation.untried for mutation in mutations if mutation.untried} == {"no time was left"}


def test_a_missed_fault_is_worse_than_one_that_was_not_tried() -> None:
    """Exit codes."""
    caught, missed = Mutation("lr", 2, True, True), Mutation("rng", 2, True, False)
    untried = Mutation("ulp", 2, False, False, untried="no time was left")
    assert [exit_code(each) for each in ([caught, untried], [caught, missed, untried], [untried], [])] == [0, 1, 3, 0]


def test_two_planted_bugs_are_named_in_one_run(tmp_path: Path) -> None:
    """The first one, from step 0 on, does not hide the second; as each step starts from the legacy state."""
    code, said = parity(tmp_path, "--plant", "frozen@0,rng@1", "--transplant", "--capture", "never")
    assert code == 1
    assert {cause["name"]: cause["steps"] for cause in said["causes"]} == {"frozen": [0, 1, 2], "rng": [1]}


def test_nothing_is_planted_beside_another_difference(tmp_path: Path) -> None:
    """It could not be told from it."""
    runs = Runs(PROJECT, tmp_path, convert_project(PROJECT, "L1"), "train.py", ())
    with pytest.raises(UsageError, match="expected identical runs, found diverged"):
        self_test(Proof(runs, tmp_path / "a", tmp_path / "b", Verdict("diverged", Coverage())))


def test_the_table_tells_a_missed_fault_from_one_that_had_nothing_to_change() -> None:
    """Only the former is a failure."""
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    console.print(_table([Mutation("lr", 2, True, False), Mutation("mode", 2, False, False)]))
    text = console.export_text()
    assert "0 of 1 planted faults caught" in text
    assert "MISSED" in text
    assert "nothing here to change" in text


def test_with_a_ledger_the_draw_that_is_too_many_is_named(tmp_path: Path) -> None:
    """By function and line, from the first runs on."""
    code, said = parity(tmp_path, "--plant", "rng@1", "--ledger", "--capture", "never")
    assert code == 1
    assert "torch.rand 1 more time" in said["first"]["what"]
