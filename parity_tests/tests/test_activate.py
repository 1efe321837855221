"""Programs that record themselves: unmodified, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import lab_parity

PROGRAM = dedent(
    """
    import os, signal, sys
    import torch
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(4):
        optimizer.zero_grad()
        model(torch.randn(3, 2)).mean().backward()
        optimizer.step()
        if step == 2 and "boom" in sys.argv:
            sys.excepthook = lambda *error: None
            raise ValueError("boom")
        if step == 2 and "kill" in sys.argv:
            os.kill(os.getpid(), signal.SIGKILL)
    print("user sitecustomize:", "user_was_here" in os.environ)
    """
)


def run(folder: Path, name: str, *command: str, plant: str | None = None) -> subprocess.CompletedProcess[str]:
    """The program, recording itself to <folder>/<name>."""
    (folder / "train.py").write_text(PROGRAM)
    (folder / "sitecustomize.py").write_text("import os\nos.environ['user_was_here'] = '1'\n")
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    environment |= lab_parity.recording_environment(folder / name, plant=plant, environment=environment)
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_script_and_a_module_record_themselves(tmp_path: Path) -> None:
    """`python train.py` and `python -m train`; the user's sitecustomize still runs; no output of ours."""
    script = run(tmp_path, "a.trace", "train.py")
    module = run(tmp_path, "b.trace", "-m", "train")
    for process in (script, module):
        assert (process.returncode, process.stdout, process.stderr) == (0, "user sitecustomize: True\n", "")
    verdict = lab_parity.compare(tmp_path / "a.trace", tmp_path / "b.trace")
    assert (verdict.rung, verdict.coverage.steps, verdict.environment) == ("identical", 4, {})
    assert "train.py" in lab_parity.read(tmp_path / "a.trace").environment["command"]


def test_a_planted_fault_reaches_the_program(tmp_path: Path) -> None:
    """Through the environment, at the given step."""
    run(tmp_path, "a.trace", "train.py")
    run(tmp_path, "b.trace", "train.py", plant="lr@2")
    first = lab_parity.compare(tmp_path / "a.trace", tmp_path / "b.trace").first
    assert first is not None
    assert (first.step, first.phase) == (2, "optimizer")


@pytest.mark.parametrize(("how", "status"), [("boom", "exception"), ("kill", "cut short")])
def test_a_program_that_dies_leaves_its_whole_steps(tmp_path: Path, how: str, status: str) -> None:
    """An exception behind a replaced excepthook; kill -9."""
    process = run(tmp_path, "a.trace", "train.py", how)
    assert process.returncode == (1 if how == "boom" else -signal.SIGKILL)
    trace = lab_parity.read(tmp_path / "a.trace")
    assert (len(trace), trace.end().status) == (3, status)
    assert lab_parity.compare(trace, trace).exit_code == 3


def test_ranks_write_a_trace_each(tmp_path: Path) -> None:
    """torchrun's two children; torchrun itself, which never trains, writes none."""
    process = run(tmp_path, "a.trace", "-m", "torch.distributed.run", "--nproc-per-node=2", "train.py")
    assert process.returncode == 0, process.stderr
    traces = sorted(path.name for path in tmp_path.glob("*.trace"))
    assert traces == ["a.rank1.trace", "a.trace"]
    assert [len(lab_parity.read(tmp_path / name)) for name in traces] == [4, 4]


def test_a_program_without_training_leaves_an_empty_trace(tmp_path: Path) -> None:
    """So that its comparison can say that nothing was compared; one without torch leaves none."""
    run(tmp_path, "a.trace", "-c", "import torch")
    assert len(lab_parity.read(tmp_path / "a.trace")) == 0
    run(tmp_path, "b.trace", "-c", "import sys; assert 'lab_parity' not in sys.modules")
    assert not (tmp_path / "b.trace").exists()
