"""Projects of Lightning 1.x, converted in a folder, and run there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from textwrap import dedent

from lab_migrate.convert import Conversion, convert_project
from lab_migrate.findings import Status

#: Outputs at the ends of epochs, accumulation, clipping, a schedule, a checkpoint.
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


def left_to_a_person(tmp_path: Path, methods: str, base: str = "LightningModule") -> list[str]:
    """The codes of what a person has to do in a class with these methods."""
    body = "\n".join(f"    {line}" for line in methods.splitlines())
    _, conversion = converted(tmp_path, f"import pytorch_lightning as pl\nclass Mine(pl.{base}):\n{body}\n")
    return [one.code for one in conversion.findings if one.status == Status.MANUAL]


def train(python: str, folder: Path, trace: Path) -> str:
    """What the program printed; it is recorded."""
    command = [python, "-m", "lab_migrate.cli", "record", "-o", str(trace), "--", python, "-W", "ignore", "train.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
