"""Programs that record themselves: unmodified, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import xxhash

import lab_parity
from lab_parity.trace import Step

PROGRAM = dedent(
    """
    import os, random, signal, sys
    random.seed(1)
    drawn = random.getstate()
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
        if step == 2 and "leave" in sys.argv:
            os._exit(0)
    print("user sitecustomize:", "user_was_here" in os.environ)
    assert random.getstate() == drawn and "rich" not in sys.modules, "the recorder drew, or keeps rich from it"
    """
)


def run(
    folder: Path, name: str, *command: str, plant: str | None = None, program: str = PROGRAM
) -> subprocess.CompletedProcess[str]:
    """The program, recording itself to <folder>/<name>."""
    (folder / "train.py").write_text(program)
    (folder / "sitecustomize.py").write_text("import os\nos.environ['user_was_here'] = '1'\n")
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    environment |= lab_parity.recording_environment(folder / name, plant=plant, environment=environment)
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_script_and_a_module_record_themselves(tmp_path: Path) -> None:
    """`python train.py` and `python -m train`; the user's sitecustomize still runs; no output of ours.

    Nothing is drawn, and nothing imported that draws when it is imported: a program that imports rich itself, as
    scikit-learn does, would draw otherwise than unrecorded.
    """
    script = run(tmp_path, "a.trace", "train.py")
    module = run(tmp_path, "b.trace", "-m", "train")
    for process in (script, module):
        assert (process.returncode, process.stdout, process.stderr) == (0, "user sitecustomize: True\n", "")
    verdict = lab_parity.compare(tmp_path / "a.trace", tmp_path / "b.trace")
    assert (verdict.rung, verdict.coverage.steps, verdict.environment) == ("identical", 4, {})
    assert "train.py" in lab_parity.read(tmp_path / "a.trace").environment["command"]


def test_a_program_whose_python_starts_with_torch_records_itself(tmp_path: Path) -> None:
    """A sitecustomize of the user's own, or a .pth file, may import torch before the program does."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import torch\n")
    (tmp_path / "train.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "own"), "OMP_NUM_THREADS": "1"}
    environment |= lab_parity.recording_environment(tmp_path / "a.trace", environment=environment)
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert len(lab_parity.read(tmp_path / "a.trace")) == 4


def test_a_planted_fault_reaches_the_program(tmp_path: Path) -> None:
    """Through the environment, at the given step."""
    run(tmp_path, "a.trace", "train.py")
    run(tmp_path, "b.trace", "train.py", plant="lr@2")
    first = lab_parity.compare(tmp_path / "a.trace", tmp_path / "b.trace").first
    assert first is not None
    assert (first.step, first.phase) == (2, "optimizer")


@pytest.mark.parametrize(("how", "status"), [("boom", "exception"), ("kill", "cut short"), ("leave", "finished")])
def test_a_program_that_dies_leaves_its_whole_steps(tmp_path: Path, how: str, status: str) -> None:
    """An exception behind a replaced excepthook; kill -9; os._exit, which is an end as good as any."""
    process = run(tmp_path, "a.trace", "train.py", how)
    assert process.returncode == {"boom": 1, "kill": -signal.SIGKILL, "leave": 0}[how]
    trace = lab_parity.read(tmp_path / "a.trace")
    assert (len(trace), trace.end().status) == (3, status)
    assert lab_parity.compare(trace, trace).exit_code == (0 if how == "leave" else 3)


def test_a_program_without_training_leaves_an_empty_trace(tmp_path: Path) -> None:
    """So that its comparison can say that nothing was compared; one without torch leaves none.

    Libraries ask whether there is a torch before they import it (as `datasets` does): asking ended the recording.
    """
    asked = "import importlib.util as util; assert util.find_spec('torch') and util.find_spec('torch'); "
    run(tmp_path, "a.trace", "-c", f"{asked}import torch")
    assert len(lab_parity.read(tmp_path / "a.trace")) == 0
    run(tmp_path, "b.trace", "-c", "import sys; assert 'lab_parity' not in sys.modules")
    assert not (tmp_path / "b.trace").exists()


RANKS = dedent(
    """
    import sys
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.distributed.fsdp import fully_shard

    def model():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))

    def train(model, optimizer):
        torch.manual_seed(rank)
        for step in range(3):
            optimizer.zero_grad()
            extra = float(rank == 1 and step == 2 and "part" in sys.argv)
            model(torch.randn(5, 4) + extra).square().mean().backward()
            optimizer.step()

    dist.init_process_group("gloo")
    rank = dist.get_rank()
    copied = nn.parallel.DistributedDataParallel(model())
    train(copied, torch.optim.SGD(copied.parameters(), lr=0.1))
    sharded = model()
    for layer in (sharded[0], sharded[2], sharded):
        fully_shard(layer)
    train(sharded, torch.optim.AdamW(sharded.parameters(), lr=0.1))
    dist.barrier()  # without it gloo aborts now and then where the other rank is gone first
    dist.destroy_process_group()
    """
)


def test_ranks_write_a_trace_each_and_get_one_verdict(tmp_path: Path) -> None:
    """DDP, then FSDP2, on two ranks that torchrun starts; torchrun itself, which never trains, writes none."""
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node=2", "train.py")
    for name, more in (("a.trace", ()), ("b.trace", ("part",))):
        process = run(tmp_path, name, *torchrun, *more, program=RANKS)
        assert process.returncode == 0, process.stderr
    traces = sorted(path.name for path in tmp_path.glob("*.trace"))
    assert traces == ["a.rank1.trace", "a.trace", "b.rank1.trace", "b.trace"]

    same = lab_parity.compare(tmp_path / "a.trace", tmp_path / "a.trace")
    assert (same.rung, same.coverage.ranks, same.coverage.steps) == ("identical", 2, 6)

    # Shards have the names of the whole, and each rank its own bits.
    sharded = [
        [item for item in lab_parity.read(tmp_path / name).steps() if isinstance(item, Step)][-1] for name in traces[:2]
    ]
    for step in sharded:
        names = [key.name for key in step.keys if key.phase == "param"]
        assert (step.optimizer, names) == ("opt1", ["0.weight", "0.bias", "2.weight", "2.bias"])
    assert not (sharded[0].digests == sharded[1].digests).all()

    first = lab_parity.compare(tmp_path / "a.trace", tmp_path / "b.trace").first
    assert first is not None
    assert (first.rank, first.step, first.phase) == (1, 2, "batch")
    assert first.sentence().startswith("First difference on rank 1 at step 2, micro-step 0, phase batch")

    sharded_first = run(tmp_path, "c.trace", *torchrun, program=RANKS.replace("train(copied", "0 and train(copied"))
    assert sharded_first.returncode == 0, sharded_first.stderr
    alone = lab_parity.compare(tmp_path / "a.trace", tmp_path / "c.trace")
    assert alone.rung == "inconclusive"
    assert "parameters of the second run are sharded (0.weight, 0.bias, 2.weight, …)" in alone.reasons[0]

    (tmp_path / "a.rank1.trace").unlink()
    missing = lab_parity.compare(tmp_path / "a.trace", tmp_path / "a.trace")
    assert (missing.rung, missing.reasons[0]) == ("inconclusive", "the first run had 2 ranks; no trace of rank 1")
    (tmp_path / "b.trace").unlink()
    with pytest.raises(FileExistsError, match=r"b\.rank1\.trace exists"):
        lab_parity.recording_environment(tmp_path / "b.trace")


def test_a_second_process_that_trains_is_not_passed_over(tmp_path: Path) -> None:
    """It writes a trace of its own, and a verdict without it is none."""
    again = "import subprocess, sys\nif len(sys.argv) == 1:\n    subprocess.run([sys.executable, __file__, '2'])\n"
    twice = again + PROGRAM
    assert run(tmp_path, "a.trace", "train.py", program=twice).returncode == 0
    others = [path.name for path in tmp_path.glob("a.process*.trace")]
    assert len(others) == 1
    verdict = lab_parity.compare(tmp_path / "a.trace", tmp_path / "a.trace")
    assert verdict.rung == "inconclusive"
    assert others[0] in verdict.reasons[0]


def test_a_program_whose_python_has_not_what_the_recorder_needs_uses_ours(tmp_path: Path) -> None:
    """And can import no more than it could before."""
    folders = lab_parity.recording_environment(tmp_path / "a.trace")["LAB_PARITY_ROOT"].split(os.pathsep)
    assert str(Path(xxhash.__file__).parents[1]) in folders
    process = run(
        tmp_path,
        "b.trace",
        "train.py",
        program="import sys; path = list(sys.path)\n" + PROGRAM + "assert sys.path == path",
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert len(lab_parity.read(tmp_path / "b.trace")) == 4


STARTS_ANOTHER = dedent(
    """
    import multiprocessing, sys
    import torch

    def main(rate):
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        for step in range(3):
            optimizer.zero_grad()
            model(torch.randn(3, 2)).mean().backward()
            optimizer.step()

    if __name__ == "__main__":
        made = multiprocessing.get_context("spawn")
        for rate in map(float, sys.argv[1:]):
            made.Process(target=main, args=(rate,)).start()
    """
)


def test_two_runs_that_only_start_the_process_which_trains_are_compared_by_it(tmp_path: Path) -> None:
    """Where each side has one, there is no other to take it for; where one has two, no verdict."""
    traces = {rates: tmp_path / f"{rates.replace(' ', '-')}.trace" for rates in ("0.1", "0.2", "0.1 0.2")}
    for rates, trace in traces.items():
        done = run(tmp_path, trace.name, "train.py", *rates.split(), program=STARTS_ANOTHER)
        assert done.returncode == 0, done.stderr
    for rates, rung in (("0.1", "identical"), ("0.2", "diverged"), ("0.1 0.2", "inconclusive")):
        verdict = lab_parity.compare(traces["0.1"], traces[rates])
        assert verdict.rung == rung
        assert any("a process of its own" in note for note in verdict.notes) == (rung != "inconclusive")
