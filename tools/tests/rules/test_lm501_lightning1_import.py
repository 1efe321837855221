"""LM501: Lightning 1.x is imported from lightning.pytorch."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from lab_migrate.convert import convert_project
from lab_migrate.findings import Status
from tools.tests.rules.lightning1_programs import PROGRAM, converted

LOOP = """
import torch
from pytorch_lightning import seed_everything

seed_everything(3)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x in torch.randn(4, 2):
    optimizer.zero_grad()
    model(x).pow(2).mean().backward()
    optimizer.step()
"""


@pytest.mark.parametrize(
    "line",
    [
        "import pytorch_lightning.callbacks",
        "from pytorch_lightning.metrics import Accuracy",
    ],
)
def test_what_has_no_equal_is_left_to_a_person(tmp_path: Path, line: str) -> None:
    """With what became of it as the next step."""
    _, conversion = converted(tmp_path, f"import pytorch_lightning as pl\n{line}\n")
    assert [one.code for one in conversion.findings if one.status == Status.MANUAL] == ["LM501"]
    assert conversion.needs_hand


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import pytorch_lightning as pl\n", "import lightning.pytorch as pl\n"),
        ("import pytorch_lightning\n", "import lightning.pytorch as pytorch_lightning\n"),
        ("from pytorch_lightning.loggers import CSVLogger  # x\n",
         "from lightning.pytorch.loggers import CSVLogger  # x\n"),
        ("from pytorch_lightning.core.lightning import LightningModule as M\n",
         "from lightning.pytorch.core.module import LightningModule as M\n"),
        ("from pytorch_lightning.utilities.seed import seed_everything\n",
         "from lightning.pytorch import seed_everything\n"),
    ],
)  # fmt: skip
def test_imports_follow_to_their_new_place(tmp_path: Path, before: str, after: str) -> None:
    """The local name stays."""
    assert converted(tmp_path, before)[0] == after


def test_a_file_with_a_loop_of_its_own_has_both_changes(tmp_path: Path) -> None:
    """The import was said to be rewritten, and the loop's change written over it."""
    after, conversion = converted(tmp_path, LOOP)
    assert [change.path for change in conversion.changes] == ["train.py"]
    assert "from lightning.pytorch import seed_everything" in after
    assert "outlined.fit(" in after


def test_what_lies_in_a_loop_that_is_rewritten_is_said(tmp_path: Path) -> None:
    """The idiomatic way writes the loop anew; no line is changed in two ways at once."""
    loop = "loader = torch.utils.data.DataLoader(torch.randn(4, 2))\nfor epoch in range(2):\n  for x in loader:"
    text = LOOP.replace("for x in torch.randn(4, 2):", f"{loop}\n    from pytorch_lightning import utilities")
    (tmp_path / "train.py").write_text(text.lstrip())
    conversion = convert_project(tmp_path, tier="idiomatic")
    (change,) = conversion.changes
    assert "from lightning.pytorch import seed_everything" in change.after
    assert "from pytorch_lightning import utilities" in change.after
    said = {(one.line, one.status) for one in conversion.findings if one.code == "LM501"}
    assert said == {(2, Status.REVIEW), (10, Status.MANUAL)}


def test_what_another_entry_is_written_with_is_left_alone(tmp_path: Path) -> None:
    """A repository with a training of its own beside one by Lightning 1.x; without an entry, both are converted."""
    (tmp_path / "own.py").write_text(LOOP.replace("from pytorch_lightning", "from mine"))
    (tmp_path / "mine.py").write_text("seed_everything = print\n")
    (tmp_path / "other.py").write_text(PROGRAM.lstrip())
    assert [change.path for change in convert_project(tmp_path, entry="own.py").changes] == ["own.py"]
    assert [change.path for change in convert_project(tmp_path).changes] == ["other.py", "own.py"]
    assert [change.path for change in convert_project(tmp_path, entry="other.py").changes] == ["other.py"]
    (tmp_path / "mine.py").write_text("from pytorch_lightning import seed_everything\n")
    reached = convert_project(tmp_path, entry="own.py")
    assert [change.path for change in reached.changes] == ["mine.py", "own.py"]
    assert {finding.path for finding in reached.findings} == {"mine.py", "own.py"}


def test_names_that_only_resemble_lightning_1_are_left_alone(tmp_path: Path) -> None:
    """Another Trainer, a class that is no LightningModule, a comment."""
    text = """
        # not pytorch_lightning
        from mine import Trainer
        class Net:
            def validation_epoch_end(self, outputs): pass
        Trainer(gpus=1)
        """
    after, conversion = converted(tmp_path, text)
    assert after == dedent(text).lstrip()
    assert {one.code for one in conversion.findings} == {"LM002"}


def test_a_file_that_no_reader_of_ours_takes_is_not_rewritten(tmp_path: Path) -> None:
    """Nested deeper than anybody wrote: it was rewritten, and could not be read again."""
    (tmp_path / "train.py").write_text(f"import pytorch_lightning as pl\nf = {'lambda: ' * 90}{'-' * 90}0\n")
    conversion = convert_project(tmp_path)
    assert conversion.changes == ()
    assert ("LM001", Status.MANUAL) in {(one.code, one.status) for one in conversion.findings}
