"""Two programs of anybody's: their recorded commands are run again to name the cause."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab_migrate.cli import app
from lab_migrate.commands import diagnose, report
from lab_migrate.errors import UsageError
from lab_migrate.explaining import Explained, all_causes, explained_by_reruns, recorded_again
from lab_migrate.recording import record_command
from lab_parity import compare, record
from lab_parity.diagnose import Cause

PROGRAM = """
import sys
import torch

torch.manual_seed(0)
net = torch.nn.Linear(4, 4)
optimizer = torch.optim.SGD(net.parameters(), lr=float((sys.argv + ["0.1"])[2]))
for step in range(4):
    optimizer.zero_grad()
    loss = net(torch.randn(3, 4)).square().mean()
    if step == 2:
        loss = loss * float(sys.argv[1])
    loss.backward()
    optimizer.step()
"""


def recorded(folder: Path, factor: str, *more: str) -> Path:
    """The trace of the program, run with its arguments in a folder of its own."""
    folder.mkdir()
    (folder / "train.py").write_text(PROGRAM)
    trace = folder.parent / f"{folder.name}.trace"
    assert record_command([sys.executable, "train.py", factor, *more], trace, cwd=folder, capture=True).exit_code == 0
    return trace


def test_the_recorded_commands_are_run_again_to_name_the_cause(tmp_path: Path) -> None:
    """With their arguments, in their folders, up to the first difference."""
    legacy, migrated = recorded(tmp_path / "legacy", "2.0"), recorded(tmp_path / "migrated", "3.0")
    said: list[str] = []
    again = recorded_again(legacy, migrated, tmp_path / "work", said.append)
    cause, drill = explained_by_reruns(legacy, migrated, compare(legacy, migrated), again)
    assert cause is not None
    assert drill is not None
    assert (cause.name, round(cause.size or 0, 4)) == ("scale", 1.5)
    assert drill.what == "aten.mul.Tensor with other 2.0 against 3.0"
    assert said[1].endswith("train.py 3.0")
    assert sorted(path.name for path in (tmp_path / "legacy").iterdir()) == ["train.py"]


def test_a_report_and_the_terminal_have_the_cause_that_reruns_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report was without it; on the terminal it stands right behind the difference."""
    traces = [tmp_path / "a.trace", tmp_path / "b.trace"]
    for trace, factor in zip(traces, ("2.0", "3.0"), strict=True):
        monkeypatch.setattr(sys, "argv", ["train.py", factor])
        with record(trace):
            exec(PROGRAM, {})
    told = Explained(Cause("scale", "The loss is scaled.", "scale of the loss"), None)
    for command in (report, diagnose):
        monkeypatch.setattr(command, "recorded_again", lambda *given: None)
        monkeypatch.setattr(command, "explained_by_reruns", lambda *given: told)
    out = tmp_path / "report.html"
    ran = CliRunner().invoke(app, ["report", *map(str, traces), "-o", str(out), "--rerun"])
    assert ran.exit_code == 1, ran.output
    assert told.cause is not None
    assert told.cause.sentence in out.read_text(encoding="utf-8")
    lines = CliRunner().invoke(app, ["diagnose", *map(str, traces), "--rerun"]).stdout.splitlines()
    assert lines[1].startswith("First difference at step 2")
    assert lines[2] == f"Cause  {told.cause.sentence}"
    assert "--transplant" in lines[-1]


def test_all_causes_of_two_programs_are_named_from_the_legacy_states(tmp_path: Path) -> None:
    """Another rate from the beginning hid the loss of one step; a program of anybody's had to be converted for it."""
    legacy, migrated = recorded(tmp_path / "legacy", "2.0"), recorded(tmp_path / "migrated", "3.0", "0.2")
    found = all_causes(legacy, migrated, compare(legacy, migrated), tmp_path / "work")
    assert {one.cause.name: one.steps for one in found} == {"lr": (0, 1, 2, 3), "scale": (2,)}


def test_a_trace_that_was_made_inside_python_says_no_command(tmp_path: Path) -> None:
    """A notebook, a test: nobody knows how to make it again."""
    with record(tmp_path / "a.trace"):
        pass
    with pytest.raises(UsageError, match=r"a\.trace: expected a trace that `lab-migrate record` has made"):
        recorded_again(tmp_path / "a.trace", tmp_path / "a.trace", tmp_path, print)


def test_how_a_trace_was_made_is_no_difference_of_the_environments(tmp_path: Path) -> None:
    """Two commands are what is compared."""
    verdict = compare(recorded(tmp_path / "legacy", "1.0"), recorded(tmp_path / "migrated", "1.0"))
    assert verdict.rung == "identical"
    assert not json.dumps(dict(verdict.environment)).count("recorded")
