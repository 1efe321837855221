"""MIGRATION.md, the parity test and the requirements of a migrated project."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab_migrate.convert import convert_project
from lab_migrate.errors import UsageError
from lab_migrate.handover import hand_over
from lab_migrate.verify import RunFailedError, verify

Make = Callable[[Mapping[str, str]], Path]
TRAIN = """import torch

torch.manual_seed(0)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for batch in torch.randn(5, 3, 2):
    optimizer.zero_grad()
    model(batch).square().mean().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
"""


def migrated(root: Path, out: Path, command: str | None = "python train.py") -> list[str]:
    """Convert, write, hand over; the names of what was written beside."""
    conversion = convert_project(root)
    conversion.write(out)
    return sorted(hand_over(conversion, out, "train.py", command).written)


def test_a_project_that_was_not_changed_gets_nothing(project: Make, tmp_path: Path) -> None:
    """There is nothing to say of it."""
    assert migrated(project({"train.py": "print(1)\n"}), tmp_path / "out") == []


def test_files_of_the_same_name_are_left_alone(project: Make, tmp_path: Path) -> None:
    """They are the project's own."""
    root = project({"train.py": TRAIN, "MIGRATION.md": "ours\n", "test_migration.py": "# ours\n"})
    conversion = convert_project(root)
    conversion.write(tmp_path / "out")
    handed = hand_over(conversion, tmp_path / "out")
    assert handed.taken == ("test_migration.py", "MIGRATION.md")
    assert (tmp_path / "out" / "MIGRATION.md").read_text() == "ours\n"
    assert (tmp_path / "out" / "test_migration.py").read_text() == "# ours\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "lab-migrate\n"),
        ("torch\n", "torch\nlab-migrate\n"),
        ("torch==2.7  # pinned", "torch==2.7  # pinned\nlab-migrate\n"),
        ("torch\r\n", "torch\r\nlab-migrate\r\n"),
        ("Lab_Migrate>=0.1\n", "Lab_Migrate>=0.1\n"),
    ],
)
def test_requirements_get_the_line_that_is_missing(
    project: Make, tmp_path: Path, before: str | None, after: str
) -> None:
    """Their other bytes stay."""
    root = project({"train.py": TRAIN})
    if before is not None:
        (root / "requirements.txt").write_bytes(before.encode())
    migrated(root, tmp_path / "out")
    assert (tmp_path / "out" / "requirements.txt").read_bytes().decode() == after


def test_the_guide_says_what_changed_what_was_found_and_what_lightning_has(project: Make, tmp_path: Path) -> None:
    """With places; and that nothing was verified yet."""
    migrated(project({"train.py": TRAIN}), tmp_path / "out")
    guide = (tmp_path / "out" / "MIGRATION.md").read_text()
    assert "Not verified yet" in guide
    assert "| `train.py` | changed |" in guide
    assert "| train.py:6:1 | LM201 | safe |" in guide
    # Where the line stands in the migrated file, which has one more above it.
    assert "- **Gradients are clipped** (`train.py:10`): gradient_clip_val" in guide
    assert "\n\n\n" not in guide


def test_the_generated_test_reruns_the_comparison_and_fails_where_it_differs(project: Make, tmp_path: Path) -> None:
    """A pass on the conversion, a failure on one with another learning rate, a skip without the legacy project."""
    root = project({"train.py": TRAIN})
    migrated(root, tmp_path / "out")

    def outcome(**environment: str) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "test_migration.py"]
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **environment}
        done = subprocess.run(command, cwd=tmp_path / "out", env=env, capture_output=True, text=True, check=False)
        return done.stdout

    assert "1 passed" in outcome()
    assert "1 skipped" in outcome(LEGACY="/nowhere")
    train = tmp_path / "out" / "train.py"
    train.write_text(train.read_text().replace("lr=0.1", "lr=0.11"))
    said = outcome()
    assert "1 failed" in said
    assert "diverged" in said


def test_a_program_that_leaves_by_an_exit_code_of_its_own_is_compared(project: Make, tmp_path: Path) -> None:
    """`sys.exit("finished")` ends many a training: code 1, on both sides. An error, or another code, is no pass."""
    root = project({"train.py": TRAIN + "raise SystemExit('finished')\n"})
    convert_project(root).write(tmp_path / "out")
    proof = verify(root, tmp_path / "out", "python train.py", tmp_path / "work")
    assert proof.verdict.rung == "identical"
    assert "both runs ended by themselves with exit code 1" in proof.verdict.notes
    train = tmp_path / "out" / "train.py"
    train.write_text(train.read_text().replace("'finished'", "0"))
    proof = verify(root, tmp_path / "out", "python train.py", tmp_path / "other")
    assert (proof.verdict.rung, proof.verdict.exit_code) == ("inconclusive", 3)
    train.write_text(train.read_text().replace("raise SystemExit(0)", "raise ValueError"))
    with pytest.raises(RunFailedError, match="exit code 1"):
        verify(root, tmp_path / "out", "python train.py", tmp_path / "third")


def test_a_program_that_does_not_repeat_itself_gives_no_verdict(project: Make, tmp_path: Path) -> None:
    """It would look as if the conversion had changed it."""
    root = project({"train.py": TRAIN.replace("torch.manual_seed(0)\n", "")})
    conversion = convert_project(root)
    conversion.write(tmp_path / "out")
    proof = verify(root, tmp_path / "out", "python train.py", tmp_path / "work")
    assert proof.verdict.rung == "inconclusive"
    assert "does not repeat itself" in proof.verdict.reasons[0]


def test_a_program_that_computes_other_bits_itself_gives_no_verdict_unless_its_noise_is_measured(
    project: Make, tmp_path: Path
) -> None:
    """A buffer from memory that nobody has written, say: it is no difference that the conversion makes."""
    clock = 'import time\nmodel.register_buffer("began", torch.tensor(time.time() % 100))\n'
    root = project({"train.py": TRAIN.replace("for batch", clock + "for batch", 1)})
    convert_project(root).write(tmp_path / "out")
    proof = verify(root, tmp_path / "out", "python train.py", tmp_path / "work")
    assert proof.verdict.rung == "inconclusive"
    assert "computes other bits itself" in proof.verdict.reasons[0]
    assert "--noise 5" in proof.verdict.reasons[0]


def test_a_command_that_trains_by_the_original_gives_no_verdict(
    project: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `pip install -e`: the migrated script imports where it was before: no proof."""
    script = "import training\n\ntraining.main()\n"
    root = project({"run/train.py": script, "training.py": "def main():\n" + textwrap.indent(TRAIN, "    ")})
    convert_project(root).write(tmp_path / "out")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]))
    proof = verify(root, tmp_path / "out", "python run/train.py", tmp_path / "work")
    assert proof.verdict.rung == "inconclusive"
    assert "none of the converted code ran" in proof.verdict.reasons[0]
    assert "training.py:" in proof.verdict.reasons[0]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([".", os.environ.get("PYTHONPATH", "")]))
    assert verify(root, tmp_path / "out", "python run/train.py", tmp_path / "work2").verdict.rung == "identical"


def test_a_loop_that_was_left_as_it_is_is_told_beside_those_that_were_converted(project: Make, tmp_path: Path) -> None:
    """The verdict holds for all of it, and says how much of it is Lightning's."""
    root = project({"train.py": TRAIN + "model(batch).sum().backward()\noptimizer.step()\n"})
    convert_project(root).write(tmp_path / "out")
    proof = verify(root, tmp_path / "out", "python train.py", tmp_path / "work")
    assert proof.verdict.rung == "identical"
    assert any("steps of the migrated run were taken under Lightning" in note for note in proof.verdict.notes)


def test_a_long_training_is_verified_by_its_first_steps(project: Make, tmp_path: Path) -> None:
    """Both end after so many; the generated test does the same, and prints and files are compared beside."""
    root = project({"train.py": TRAIN.replace("torch.randn(5,", "torch.randn(5000,")})
    conversion = convert_project(root)
    conversion.write(tmp_path / "out")
    proof = verify(root, tmp_path / "out", "python train.py", tmp_path / "work", steps=3)
    assert proof.verdict.rung == "identical"
    assert proof.verdict.coverage.steps == 3
    hand_over(conversion, tmp_path / "out", "train.py", "python train.py", proof, 3)
    assert "STEPS = 3\n" in (tmp_path / "out" / "test_migration.py").read_text()
    assert "in both projects for 3 steps and" in (tmp_path / "out" / "MIGRATION.md").read_text()


def test_what_was_printed_and_written_is_told_beside_the_verdict(project: Make, tmp_path: Path) -> None:
    """A converted program whose print was changed still trains the same, and is told to print another line."""
    root = project({"train.py": TRAIN + "print('done')\ntorch.save(model.state_dict(), 'model.pt')\n"})
    convert_project(root).write(tmp_path / "out")
    train = tmp_path / "out" / "train.py"
    train.write_text(train.read_text().replace("'done'", "'ready'"))
    proof = verify(root, tmp_path / "out", "python train.py", tmp_path / "work")
    assert proof.verdict.rung == "identical"
    assert proof.beside == (
        "printed: 1 of 1 line differ, first line 1: 'done' against 'ready'",
        "files written: 1, the same bytes",
    )


def test_a_command_that_runs_none_of_the_converted_code_proves_nothing(project: Make, tmp_path: Path) -> None:
    """Two trainings in a project, one converted, the other verified: no verdict. Its own command gives one."""
    root = project({"train.py": TRAIN, "other.py": TRAIN})
    convert_project(root, entry="train.py").write(tmp_path / "out")
    proof = verify(root, tmp_path / "out", "python other.py", tmp_path / "work")
    assert proof.verdict.rung == "inconclusive"
    assert "none of the converted code ran" in proof.verdict.reasons[0]
    assert verify(root, tmp_path / "out", "python train.py", tmp_path / "again").verdict.rung == "identical"


def test_variables_before_the_command_are_set_for_both_runs(project: Make, tmp_path: Path) -> None:
    """As a shell reads them; a command of nothing else is refused."""
    root = project({"train.py": TRAIN.replace("torch.randn(5,", "torch.randn(int(os.environ['COUNT']),", 1)})
    (root / "train.py").write_text("import os\n" + (root / "train.py").read_text())
    convert_project(root).write(tmp_path / "out")
    with pytest.raises(UsageError, match="expected a command after COUNT, found none"):
        verify(root, tmp_path / "out", "COUNT=4", tmp_path / "none")
    proof = verify(root, tmp_path / "out", "COUNT=4 python train.py", tmp_path / "work")
    assert (proof.verdict.rung, proof.verdict.coverage.steps) == ("identical", 4)


def test_the_guide_names_nothing_that_the_conversion_has_done(project: Make, tmp_path: Path) -> None:
    """A batch that Lightning moves is not to be moved by hand; a checkpoint of the program's own is still there."""
    source = """import torch
from torch.utils.data import DataLoader

device = torch.device("cpu")
model = torch.nn.Linear(2, 1).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(torch.randn(8, 2), batch_size=4)
for epoch in range(2):
    for x in loader:
        x = x.to(device)
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
    torch.save(model.state_dict(), "model.pt")
"""
    root = project({"train.py": source})
    guides = {}
    for tier in ("faithful", "idiomatic"):
        conversion = convert_project(root, tier=tier)
        conversion.write(tmp_path / tier)
        hand_over(conversion, tmp_path / tier, "train.py")
        guides[tier] = (tmp_path / tier / "MIGRATION.md").read_text()
    assert "The code moves its batches to the device itself" in guides["faithful"]
    assert "The code moves its batches to the device itself" not in guides["idiomatic"]
    assert "The code saves and resumes by itself" in guides["idiomatic"]


def test_a_project_that_was_changed_in_place_is_not_compared_with_itself(project: Make) -> None:
    """Its legacy side is what stood there before; the generated test looks for it beside, and skips without it."""
    root = project({"train.py": TRAIN})
    conversion = convert_project(root)
    conversion.write_into(root)
    hand_over(conversion, root, "train.py")
    assert str(root) not in (root / "test_migration.py").read_text()
    assert "git worktree add ../legacy COMMIT" in (root / "MIGRATION.md").read_text()
    for legacy in (None, str(root)):
        variables = os.environ | {"COMMAND": "python train.py"} | ({"LEGACY": legacy} if legacy else {})
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_migration.py"],
            cwd=root, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "1 skipped" in ran.stdout, ran.stdout


def test_a_package_of_a_longer_name_is_another_requirement(project: Make, tmp_path: Path) -> None:
    """`lab-migrate-extras` brings no lab-migrate."""
    migrated(project({"train.py": TRAIN, "requirements.txt": "lab-migrate-extras==1\n"}), tmp_path / "out")
    assert (tmp_path / "out" / "requirements.txt").read_text() == "lab-migrate-extras==1\nlab-migrate\n"
