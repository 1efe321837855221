"""LM503: outputs at an epoch's end are kept by the module itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab_migrate.convert import Conversion, convert_project
from lab_migrate.findings import Status
from lab_parity import compare
from tools.tests.rules.lightning1_programs import PROGRAM, converted, left_to_a_person, train

#: A Python with pytorch-lightning 1.9 and lab_parity, to run the original for real.
LIGHTNING1 = "LAB_MIGRATE_LIGHTNING1_PYTHON"
END = "def {}_epoch_end(self, outputs):\n    pass"
BASE = """
import pytorch_lightning as pl
import torch


class Base(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(4, 2)

    def training_step(self, batch, batch_idx):
        return self.body(batch).square().mean()

    def validation_epoch_end(self, outputs):
        print("base", len(outputs))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
"""
EXTENDED = """
import torch
from base import Base
from settings import trainer


class Net(Base):
    def validation_step(self, batch, batch_idx):
        return self.body(batch).sum()

    def test_step(self, batch, batch_idx):
        return self.validation_step(batch, batch_idx)

    def validation_epoch_end(self, outputs):
        super().validation_epoch_end(outputs)
        print("net", len(outputs))

    def test_epoch_end(self, outputs):
        return self.validation_epoch_end(outputs)


loader = torch.utils.data.DataLoader(torch.randn(4, 4), batch_size=2)
trainer.fit(Net(), loader, loader)
trainer.test(dataloaders=loader, ckpt_path=None, model=Net())
"""
SETTINGS = """
import pytorch_lightning as pl
trainer = pl.Trainer(max_epochs=1, logger=False, enable_progress_bar=False, num_sanity_val_steps=0)
"""


@pytest.mark.parametrize(
    "methods",
    [
        "def validation_epoch_end(self, outputs): pass\ndef on_validation_batch_end(self, *a): pass",
        f"{END.format('validation')}\ndef validation_step(self, b, i, dataloader_idx): pass",
        f"{END.format('training')}\ndef training_step(self, b, i, optimizer_idx): pass",
    ],
)  # fmt: skip
def test_a_hook_that_cannot_be_moved_is_refused(tmp_path: Path, methods: str) -> None:
    """Lightning 2 would never call it, or call it with something else."""
    assert "LM503" in left_to_a_person(tmp_path, methods)


def family(tmp_path: Path, base: str, net: str) -> Conversion:
    """A module whose base stands in another file, converted in its folder."""
    for name, text in (("base", base), ("train", net), ("settings", SETTINGS)):
        (tmp_path / f"{name}.py").write_text(text.lstrip())
    conversion = convert_project(tmp_path)
    conversion.write_into(tmp_path)
    return conversion


def test_a_base_in_another_file_makes_a_module_and_methods_that_are_called_stay(tmp_path: Path) -> None:
    """A file that names no Lightning was passed over; `self.validation_epoch_end(outputs)` called what was gone."""
    conversion = family(tmp_path, BASE, EXTENDED)
    assert not conversion.needs_hand
    assert {change.path for change in conversion.changes} == {"base.py", "train.py", "settings.py"}
    ran = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    assert [line for line in ran.stdout.splitlines() if line.startswith(("base", "net"))] == ["base 2", "net 2"] * 2


@pytest.mark.parametrize(
    ("base", "net", "said"),
    [
        ("validation_epoch_end(self, outputs)", "on_validation_epoch_start(self)", "a base or subclass has its own"),
        ("on_validation_epoch_start(self)", "validation_epoch_end(self, outputs)", "a base or subclass has its own"),
        ("validation_step(self, b, i, dataloader_idx)", "validation_epoch_end(self, outputs)", "several loaders"),
        ("show(self, f=print.validation_epoch_end)", "validation_epoch_end(self, outputs)", "named otherwise"),
    ],
)
def test_what_a_relative_in_another_file_defines_is_not_hidden(tmp_path: Path, base: str, net: str, said: str) -> None:
    """A hook that the conversion adds would take the place of a base's, or a subclass's the place of it."""
    head = "import pytorch_lightning as pl\nclass Base(pl.LightningModule):\n    def "
    method = "from base import Base\nclass Net(Base):\n    def "
    conversion = family(tmp_path, f"{head}{base}:\n        pass\n", f"{method}{net}:\n        pass\n")
    (finding,) = [one for one in conversion.findings if one.code == "LM503"]
    assert finding.status == Status.MANUAL
    assert said in finding.message


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_other_line_ends_are_kept(tmp_path: Path, newline: str) -> None:
    """What is added ends as its surroundings do."""
    text = f"import pytorch_lightning as pl\nclass Net(pl.LightningModule):\n    {END.format('test')}\n"
    text = text.replace("\n    pass", "\n        pass").replace("\n", newline)
    (tmp_path / "train.py").write_bytes(text.encode())
    (change,) = convert_project(tmp_path).changes
    assert change.after.replace(newline, "").count("\n") == 0
    assert "on_test_epoch_end(self):" in change.after


def test_a_converted_program_trains(tmp_path: Path) -> None:
    """Under Lightning 2, with the outputs at each epoch's end."""
    _, conversion = converted(tmp_path, PROGRAM)
    assert not conversion.needs_hand
    done = train(sys.executable, tmp_path, tmp_path / "t.trace")
    assert done.count("value") == 4  # the sanity check, as in 1.x


def test_a_real_lightning_1_training_is_the_same_bits_under_lightning_2(tmp_path: Path) -> None:
    """The original under pytorch-lightning 1.9, the converted one under this Lightning: identical."""
    legacy = os.environ.get(LIGHTNING1)
    if legacy is None:
        pytest.skip(f"{LIGHTNING1} names no Python with pytorch-lightning 1.9")
    (tmp_path / "train.py").write_text(PROGRAM.lstrip())
    train(legacy, tmp_path, tmp_path / "legacy.trace")
    converted(tmp_path, PROGRAM)
    train(sys.executable, tmp_path, tmp_path / "migrated.trace")
    verdict = compare(tmp_path / "legacy.trace", tmp_path / "migrated.trace")
    assert verdict.rung == "identical", verdict
    assert verdict.coverage.steps == 15
