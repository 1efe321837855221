"""Loops in an installed package: refusals, what the copies are, and that the training stays the same bit by bit."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab_migrate.convert import Conversion, convert_project
from lab_migrate.findings import Status
from lab_migrate.verify import verify

PROGRAMS = Path(__file__).parent
FRAMEWORK = """
class Engine:
    can_stop = True

    def __init__(self, step):
        self.step = step

    def run(self, batches):
        for batch in batches:
            self.output = self.step(self, batch)
"""
PROFILE = """package = "toyframe"

[[roles]]
role = "trainer"
names = ["toyframe.engine.Engine"]

[[loops]]
function = "toyframe.engine.Engine.run"

[[settings]]
name = "toyframe.engine.Engine.can_stop"
value = "False"
because = "nothing can stop it"
"""
PROGRAM = '''"""Trains."""
from __future__ import annotations

import torch
from toyframe.engine import Engine

torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def step(engine, batch):
    optimizer.zero_grad()
    loss = model(batch).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


engine = Engine(step)
engine.run(torch.randn(12, 2, 3))
print(engine.output, Engine.can_stop)
'''


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A site-packages folder with a small framework."""
    folder = tmp_path / "site"
    (folder / "toyframe").mkdir(parents=True)
    (folder / "toyframe" / "__init__.py").write_text("")
    (folder / "toyframe" / "engine.py").write_text(FRAMEWORK)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that trains by it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(PROGRAM)
    (folder / "lab-migrate.toml").write_text(PROFILE)
    return folder


def run(folder: Path, packages: Path) -> subprocess.CompletedProcess[str]:
    """The program, as a user would start it."""
    path = os.pathsep.join([*sys.path, str(packages)])
    return subprocess.run(
        [sys.executable, "train.py"], cwd=folder, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def only(conversion: Conversion, code: str) -> str:
    """The message of the one finding of a code."""
    (found,) = [finding for finding in conversion.findings if finding.code == code]
    return found.message


def test_a_framework_that_is_not_installed_is_refused(project: Path) -> None:
    """With the folder's option as the next step, and nothing is changed."""
    conversion = convert_project(project)
    (finding,) = [finding for finding in conversion.findings if finding.code == "LM241"]
    assert finding.status == Status.UNSUPPORTED
    assert "toyframe" in finding.message
    assert "--packages" in finding.next_step
    assert conversion.changes == ()


def test_a_version_without_the_loop_is_refused(project: Path, packages: Path) -> None:
    """The function is named."""
    (packages / "toyframe" / "engine.py").write_text(FRAMEWORK.replace("def run", "def run_all"))
    conversion = convert_project(project, packages=packages)
    assert "toyframe.engine.Engine.run" in only(conversion, "LM241")
    assert conversion.changes == ()


@pytest.mark.parametrize("line", ["from toyframe.data import Loader", "import toyframe", "import torch"])
def test_a_project_that_does_not_train_by_it_is_left_alone(project: Path, packages: Path, line: str) -> None:
    """A tokenizer or a loader of a framework is no trainer."""
    (project / "train.py").write_text(f"{line}\nprint(1)\n")
    conversion = convert_project(project, packages=packages)
    assert conversion.changes == ()
    assert {finding.code for finding in conversion.findings} == {"LM002"}


def test_the_frameworks_own_source_is_no_user_of_it(project: Path, packages: Path) -> None:
    """Its loops are converted where they lie."""
    shutil.copytree(packages / "toyframe", project / "toyframe")
    conversion = convert_project(project)
    assert not any(finding.code in ("LM240", "LM241") for finding in conversion.findings)


@pytest.mark.parametrize(
    ("imported", "used"),
    [("import toyframe.engine", "toyframe.engine.Engine"), ("import toyframe.engine as e", "e.Engine")],
)  # fmt: skip
def test_a_trainer_is_known_by_any_import(project: Path, packages: Path, imported: str, used: str) -> None:
    """Dotted or renamed."""
    text = PROGRAM.replace("from toyframe.engine import Engine", imported).replace("Engine(", f"{used}(")
    (project / "train.py").write_text(text.replace("Engine.can_stop", f"{used}.can_stop"))
    assert convert_project(project, packages=packages).changes


def test_a_conversion_prints_the_same_and_is_done_once(project: Path, packages: Path, tmp_path: Path) -> None:
    """Settings of the profile aside, which are findings; the installed file stays as it is."""
    before = (packages / "toyframe" / "engine.py").read_bytes()
    conversion = convert_project(project, packages=packages)
    assert "can_stop = False" in " ".join(finding.message for finding in conversion.findings)
    conversion.write(tmp_path / "out")
    legacy, migrated = run(project, packages), run(tmp_path / "out", packages)
    assert migrated.returncode == 0, migrated.stderr
    assert migrated.stdout.split()[0] == legacy.stdout.split()[0]
    assert migrated.stdout.split()[1] == "False"
    assert (packages / "toyframe" / "engine.py").read_bytes() == before
    again = convert_project(tmp_path / "out", packages=packages)
    assert again.changes == ()


def test_the_diff_of_a_copy_shows_only_what_differs_from_the_installed_file(project: Path, packages: Path) -> None:
    """Thousands of lines of a framework are no news."""
    (change,) = [one for one in convert_project(project, packages=packages).changes if one.path.endswith("engine.py")]
    added = [line for line in change.diff().splitlines() if line.startswith("+")]
    assert change.diff().startswith("--- installed/toyframe/engine.py")
    assert "+class Engine:" not in added


def test_a_copy_is_refused_beside_another_version(project: Path, packages: Path, tmp_path: Path) -> None:
    """It says so when it is imported, instead of training something else."""
    convert_project(project, packages=packages).write(tmp_path / "out")
    with (packages / "toyframe" / "engine.py").open("a") as file:
        file.write("\n# a newer version\n")
    done = run(tmp_path / "out", packages)
    assert done.returncode == 1
    assert "run lab-migrate convert again" in done.stderr


def test_a_call_after_the_import_is_refused(project: Path, packages: Path, tmp_path: Path) -> None:
    """Else the installed loop would run, and nobody would know."""
    convert_project(project, packages=packages).write(tmp_path / "out")
    entry = tmp_path / "out" / "train.py"
    entry.write_text(
        entry.read_text().replace("import annotations\n", "import annotations\nimport toyframe.engine\n", 1)
    )
    done = run(tmp_path / "out", packages)
    assert done.returncode == 1
    assert "expected to come before the import of toyframe.engine" in done.stderr


@pytest.mark.parametrize("framework", ["ignite", "transformers", "accelerate", "mmengine", "fastai"])
def test_a_real_framework_trains_the_same_bits(framework: str, tmp_path: Path) -> None:
    """Its own small training, converted with the shipped profile and no hand edit: identical."""
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(PROGRAMS / f"train_with_{framework}.py", project / "train.py")
    conversion = convert_project(project, entry="train.py")
    assert not conversion.needs_hand
    conversion.write(tmp_path / "out")
    proof = verify(project, tmp_path / "out", "python train.py", tmp_path / "work")
    assert proof.verdict.rung == "identical", proof.verdict
    assert proof.verdict.coverage.steps >= 11
