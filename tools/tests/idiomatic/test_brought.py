"""A training function in another file than the loop over epochs becomes the LightningModule's all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab_migrate.convert import Conversion, convert_project

MODELS = """\
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
data = TensorDataset(torch.randn(22, 4), torch.randint(0, 2, (22,)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.drop, self.outer = nn.Linear(4, 8), nn.Dropout(0.25), nn.Linear(8, 2)

    def forward(self, x):
        return self.outer(self.drop(torch.relu(self.inner(x))))
"""
ENGINE = """\
# What trains.
import math

import torch
import torch.nn.functional as F

SCALE = 0.5


def smooth(loss):
    return loss * SCALE


def train_one_epoch(model, optimizer, loader, epoch, clip=1.0):
    \"\"\"One epoch.\"\"\"
    model.train()
    total = 0.0
    for x, y in loader:
        loss = smooth(F.cross_entropy(model(x), y))
        if not math.isfinite(loss.item()):
            raise RuntimeError(loss.item())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
    print("epoch", epoch, total)
    return total / len(loader)


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    return sum(F.cross_entropy(model(x), y).item() for x, y in loader)
"""
MAIN = """\
import torch

{imports}
from models import DataLoader, Net, data


def main(epochs=3):
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    for epoch in range(epochs):
        mean = {call}(model, optimizer, loader, epoch)
        print(mean, {evaluate}(model, loader))
    print(float(sum(p.sum() for p in model.parameters())), torch.rand(1).item())


main()
"""
BY_NAME = {
    "imports": "from engine import evaluate, train_one_epoch", "call": "train_one_epoch", "evaluate": "evaluate",
}  # fmt: skip


def converted(folder: Path, **files: str) -> Conversion:
    """Of a project of these files, which are written."""
    for name, text in files.items():
        folder.joinpath(f"{name}.py").write_text(text)
    return convert_project(folder, entry="main.py", tier="idiomatic")


def printed(folder: Path) -> str:
    """What the program prints, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "main.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "form",
    [
        BY_NAME,
        {"imports": "import engine", "call": "engine.train_one_epoch", "evaluate": "engine.evaluate"},
    ],
    ids=["by its name", "by its module"],
)  # fmt: skip
def test_the_training_is_written_where_the_epochs_are(form: dict[str, str], tmp_path: Path) -> None:
    """With what it needs of its file; the file itself is left, and what is dead there is said."""
    main = MAIN.format(**form)
    engine = ENGINE if form is BY_NAME else ENGINE.replace("smooth(F.cross", "(F.cross")
    conversion = converted(tmp_path, main=main, engine=engine, models=MODELS)
    (change,) = conversion.changes
    assert change.path == "main.py"
    assert "class LitNet(L.LightningModule):" in change.after
    dead = [one for one in conversion.findings if one.path == "engine.py" and "delete it" in one.message]
    assert [one.line for one in dead] == [engine[: engine.index("def train_one")].count("\n") + 1]
    before = printed(tmp_path)
    tmp_path.joinpath("main.py").write_text(change.after)
    assert printed(tmp_path) == before


PLAIN = MAIN.format(**BY_NAME)
REFUSED = {
    "a name that means something else here": {"main": PLAIN.replace("def main", "math = 3\n\n\ndef main")},
    "a local name of the caller's": {"main": PLAIN.replace("    model = Net()", "    F = 1\n    model = Net()")},
    "a value that changes": {
        "engine": ENGINE.replace("smooth(F", "SCALE * (F") + "\n\ndef other():\n    global SCALE\n    SCALE = 2\n"
    },
    "a name under a condition": {
        "engine": ENGINE.replace("SCALE = 0.5", "if torch.rand(1) < 2:\n    SCALE = 0.5").replace(
            "smooth(F", "SCALE * (F"
        )
    },
    "another caller": {"main": f"{PLAIN}train_one_epoch(Net(), None, [], 0)\n"},
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_name_that_would_mean_something_else_is_refused(case: str, tmp_path: Path) -> None:
    """Nothing changes."""
    files = {"engine": ENGINE, "models": MODELS, "main": PLAIN, **REFUSED[case]}
    conversion = converted(tmp_path, **files)
    assert not conversion.changes
    assert "LM302" in {one.code for one in conversion.findings}


def test_a_finding_of_the_function_has_its_own_file_and_line(tmp_path: Path) -> None:
    """Wherever its text was read."""
    engine = ENGINE.replace(
        "        optimizer.zero_grad()\n", "        if total > 99:\n            break\n        optimizer.zero_grad()\n"
    )
    conversion = converted(tmp_path, main=PLAIN, engine=engine, models=MODELS)
    (finding,) = [one for one in conversion.findings if one.status == "unsupported"]
    assert (finding.path, engine.splitlines()[finding.line - 1].strip()) == ("engine.py", "break")


def test_auto_outlines_what_is_refused(tmp_path: Path) -> None:
    """Both files the faithful way."""
    for name, text in {"engine": ENGINE, "models": MODELS, **REFUSED["a local name of the caller's"]}.items():
        tmp_path.joinpath(f"{name}.py").write_text(text)
    conversion = convert_project(tmp_path, entry="main.py", tier="auto")
    assert "LM201" in {one.code for one in conversion.findings}
    assert conversion.changes


def test_line_ends_stay_those_of_the_file(tmp_path: Path) -> None:
    """Whatever those of the function's file are."""
    tmp_path.joinpath("engine.py").write_text(ENGINE)
    tmp_path.joinpath("models.py").write_text(MODELS)
    tmp_path.joinpath("main.py").write_bytes(PLAIN.replace("\n", "\r\n").encode())
    (change,) = convert_project(tmp_path, entry="main.py", tier="idiomatic").changes
    assert "class LitNet(L.LightningModule):\r\n" in change.after
    assert "\n" not in change.after.replace("\r\n", "")
