"""LM501 to LM505: modules and trainers of Lightning 1.x."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from lab_migrate.convert import Conversion, convert_project
from lab_migrate.findings import Status
from lab_parity import compare

#: A Python with pytorch-lightning 1.9 and lab_parity, to run the original for real.
LIGHTNING1 = "LAB_MIGRATE_LIGHTNING1_PYTHON"
END = "def {}_epoch_end(self, outputs):\n    pass"
PROGRAM = '''
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint


class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Dropout(0.1), torch.nn.Linear(16, 1))

    def training_step(self, batch, batch_idx):
        loss = self.body(batch).square().mean()
        self.log("loss", loss)
        return loss

    def training_epoch_end(self, outputs):
        """Scales the last bias by the mean loss."""
        with torch.no_grad():
            self.body[2].bias.mul_(1 + torch.stack([one["loss"] for one in outputs]).mean())

    def validation_step(self, batch, batch_idx):
        return self.body(batch).mean()

    def validation_epoch_end(self, outputs):
        value = torch.stack(outputs).sum()
        self.log("value", value)
        print("value", value.item())

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-2)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]


pl.seed_everything(3)
loader = torch.utils.data.DataLoader(torch.randn(40, 4), batch_size=4, shuffle=True)
trainer = pl.Trainer(
    max_epochs=3, accumulate_grad_batches=2, gradient_clip_val=0.5, gpus=None, callbacks=[ModelCheckpoint(dirpath="c")],
    logger=False, enable_progress_bar=False,
)
trainer.fit(Net(), loader, torch.utils.data.DataLoader(torch.randn(8, 4), batch_size=4))
'''


def converted(tmp_path: Path, text: str) -> tuple[str, Conversion]:
    """The text after a conversion, which a second one leaves alone."""
    (tmp_path / "train.py").write_text(dedent(text).lstrip())
    conversion = convert_project(tmp_path)
    after = conversion.changes[0].after if conversion.changes else dedent(text).lstrip()
    (tmp_path / "train.py").write_text(after)
    assert convert_project(tmp_path).changes == ()
    return after, conversion


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("import pytorch_lightning.callbacks", "LM501"),
        ("from pytorch_lightning.metrics import Accuracy", "LM501"),
        ("pl.Trainer(**arguments)", "LM502"),
        ("pl.Trainer(gpus=args.gpus)", "LM502"),
        ("pl.Trainer(resume_from_checkpoint=path)", "LM502"),
        ("pl.Trainer(progress_bar_refresh_rate=3)", "LM502"),
        ("pl.Trainer.from_argparse_args(args)", "LM504"),
        ("trainer.fit(model, train_dataloader=loader)", "LM504"),
    ],
)
def test_what_has_no_equal_is_left_to_a_person(tmp_path: Path, line: str, code: str) -> None:
    """With what became of it as the next step."""
    _, conversion = converted(tmp_path, f"import pytorch_lightning as pl\n{line}\n")
    assert [one.code for one in conversion.findings if one.status == Status.MANUAL] == [code]
    assert conversion.needs_hand


@pytest.mark.parametrize(
    ("methods", "code"),
    [
        ("def validation_epoch_end(self, outputs): pass\ndef on_validation_batch_end(self, *a): pass", "LM503"),
        (f"{END.format('validation')}\ndef validation_step(self, b, i, dataloader_idx): pass", "LM503"),
        (f"{END.format('training')}\ndef training_step(self, b, i, optimizer_idx): pass", "LM503"),
        ("def training_step(self, batch, batch_idx, optimizer_idx): pass", "LM504"),
        ("def optimizer_zero_grad(self, epoch, batch_idx, optimizer, optimizer_idx): pass", "LM504"),
        ("def backward(self, loss, optimizer, optimizer_idx): loss.backward()", "LM504"),
        ("def transfer_batch_to_device(self, batch, device): pass", "LM504"),
        ("def training_step_end(self, outputs): pass", "LM504"),
        ("def on_epoch_end(self): pass", "LM504"),
        ("def on_train_epoch_end(self, outputs): pass", "LM505"),
        ("def optimizer_step(self, e, b, o, closure, on_tpu, using_lbfgs): pass", "LM505"),
        ("def configure(self, args):\n    self.hparams = args", "LM505"),
        ("def __init__(self, args):\n    self.hparams = {**args}", "LM505"),
    ],
)  # fmt: skip
def test_a_hook_that_cannot_be_moved_is_refused(tmp_path: Path, methods: str, code: str) -> None:
    """Lightning 2 would never call it, or call it with something else."""
    body = "\n".join(f"    {line}" for line in methods.splitlines())
    text = f"import pytorch_lightning as pl\nclass Net(pl.LightningModule):\n{body}\n"
    _, conversion = converted(tmp_path, text)
    assert code in [one.code for one in conversion.findings if one.status == Status.MANUAL]


@pytest.mark.parametrize(
    ("base", "method", "code"),
    [
        ("Callback", "def on_pretrain_routine_start(self, trainer, pl_module): pass", "LM504"),
        ("callbacks.ModelCheckpoint", "def on_epoch_end(self, trainer, pl_module): pass", "LM504"),
        ("Callback", "def on_save_checkpoint(self, trainer, pl_module, checkpoint): return {'count': 1}", "LM504"),
        ("Callback", "def on_load_checkpoint(self, trainer, pl_module, callback_state): pass", "LM504"),
        ("Callback", "def on_train_epoch_end(self, trainer, pl_module, outputs): pass", "LM505"),
        ("LightningDataModule", "def on_train_dataloader(self): pass", "LM504"),
    ],
)
def test_hooks_of_callbacks_and_data_modules_are_said_too(tmp_path: Path, base: str, method: str, code: str) -> None:
    """Lightning 2 never called a callback's hook of that name, and nothing said so."""
    text = f"import pytorch_lightning as pl\nclass Mine(pl.{base}):\n    {method}\n"
    _, conversion = converted(tmp_path, text)
    assert [one.code for one in conversion.findings if one.status == Status.MANUAL] == [code]


def test_hooks_that_are_as_they_were_are_left_alone(tmp_path: Path) -> None:
    """Whose parameters Lightning 2 still gives, or that have a default already."""
    text = """
        import pytorch_lightning as pl
        class Mine(pl.Callback):
            def on_save_checkpoint(self, trainer, pl_module, checkpoint):
                checkpoint["mine"] = 1
                return None
            def on_load_checkpoint(self, trainer, pl_module, checkpoint): pass
            def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0): pass
            def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx): pass
        class Net(pl.LightningModule):
            def __init__(self, args):
                args.hparams = args
    """
    _, conversion = converted(tmp_path, text)
    assert {one.code for one in conversion.findings} == {"LM501"}


GIVEN = """
import argparse
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback


class Net(pl.LightningModule):
    def __init__(self, args):
        super().__init__()
        self.hparams = args
        self.body = torch.nn.Linear(4, self.hparams.width)

    def training_step(self, batch, batch_idx):
        return self.body(batch).square().mean()

    def on_train_batch_start(self, batch, batch_idx, dataloader_idx):
        print("begins", batch_idx, dataloader_idx)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Shows(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx):
        print("ends", batch_idx, dataloader_idx, pl_module.hparams.width)


trainer = pl.Trainer(max_epochs=1, callbacks=[Shows()], logger=False, enable_progress_bar=False)
trainer.fit(Net(argparse.Namespace(width=2)), torch.utils.data.DataLoader(torch.randn(4, 4), batch_size=2))
"""


def test_what_was_given_to_a_hook_has_a_default(tmp_path: Path) -> None:
    """And hyperparameters that were assigned are saved: the program runs."""
    _, conversion = converted(tmp_path, GIVEN)
    assert [one.code for one in conversion.findings].count("LM505") == 3
    assert not conversion.needs_hand
    ran = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    lines = [line for line in ran.stdout.splitlines() if line.startswith(("begins", "ends"))]
    assert lines == ["begins 0 0", "ends 0 0 2", "begins 1 0", "ends 1 0 2"]


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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'accelerator="cpu"'),
        ("gpus=0", 'accelerator="cpu"'),
        ("gpus=None", 'accelerator="cpu"'),
        ("gpus=2, max_epochs=1", 'accelerator="gpu", devices=2, max_epochs=1'),
        ("gpus=[0, 1]", 'accelerator="gpu", devices=[0, 1]'),
        ("max_epochs=1, gpus=None, tpu_cores=None", 'max_epochs=1, accelerator="cpu"'),
        ("gpus=None, max_epochs=1, tpu_cores=None", 'max_epochs=1, accelerator="cpu"'),
        ("gpus=None, tpu_cores=None, max_epochs=1,", 'max_epochs=1, accelerator="cpu",'),
        ("replace_sampler_ddp=False, accelerator='gpu'", "use_distributed_sampler=False, accelerator='gpu'"),
        ("accelerator=None, devices=None, strategy=None", 'accelerator="cpu"'),
    ],
)
def test_arguments_of_the_trainer(tmp_path: Path, before: str, after: str) -> None:
    """Where Lightning 2 has another default, the value of 1.x is written out."""
    text, _ = converted(tmp_path, f"from pytorch_lightning import Trainer\nTrainer({before})\n")
    assert text == f"from lightning.pytorch import Trainer\nTrainer({after})\n"


@pytest.mark.parametrize(
    ("file", "line", "second"),
    [
        ("requirements.txt", "pytorch-lightning>=2.0.0\n", True),
        ("requirements.txt", "pytorch_lightning[extra]==1.9.5\n", False),
        ("requirements.txt", "torch==2.0.1\npytorch-lightning\n", False),
        ("setup.py", 'setup(install_requires=["pytorch-lightning ~= 2.1", "torch>=1.0"])\n', True),
        ("pyproject.toml", '[tool.poetry.dependencies]\npytorch-lightning = "^2.4"\n', True),
        ("environment.yml", "dependencies:\n  - pytorch-lightning=1.4\n", False),
    ],
)
def test_a_project_that_asks_for_the_second_version_keeps_its_default(
    tmp_path: Path, file: str, line: str, second: bool
) -> None:
    """pytorch_lightning 2 has the accelerator that it finds: the CPU in its place trained elsewhere than before."""
    (tmp_path / file).write_text(line)
    text, conversion = converted(tmp_path, "from pytorch_lightning import Trainer\nTrainer(max_epochs=2)\n")
    assert ('accelerator="cpu"' in text) is not second
    assert ("LM502" in {one.code for one in conversion.findings}) is not second


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


def train(python: str, folder: Path, trace: Path) -> str:
    """What the program printed; it is recorded."""
    command = [python, "-m", "lab_migrate.cli", "record", "-o", str(trace), "--", python, "-W", "ignore", "train.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
