"""Transplant and mutation self-test on a real project, through the command."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import lab_migrate.self_test
from lab_migrate.cli import app
from lab_migrate.commands.parity import _table
from lab_migrate.convert import convert_project
from lab_migrate.errors import UsageError
from lab_migrate.proving import Proof, Runs
from lab_migrate.self_test import Mutation, self_test
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


def test_a_planted_fault_is_caught_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted in the migrated run of an example, after its proof was identical."""
    monkeypatch.setattr(lab_migrate.self_test, "fault_names", lambda: ["frozen"])
    code, said = parity(tmp_path, "--self-test")
    assert (code, said["rung"]) == (0, "identical")
    (mutation,) = said["self_test"]
    assert mutation == {
        "fault": "frozen", "step": 2, "planted": True, "caught": True, "where": "step 2, param", "cause": "frozen",
        "named": True,
    }  # fmt: skip


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
