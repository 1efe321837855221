"""LM506: names of Lightning 1.x that Lightning 2 has nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab_migrate.convert.rule import Proposal
from lab_migrate.convert.rules import lm506_lightning1_names

RULE = lm506_lightning1_names
Propose = Callable[[str], Proposal]


@pytest.mark.parametrize(
    ("line", "said", "then"),
    [
        ("from pytorch_lightning.plugins import DDPPlugin", "lightning.pytorch.plugins.DDPPlugin", "strategies.DDP"),
        ("from pytorch_lightning.callbacks import GPUStatsMonitor as G", "GPUStatsMonitor", "DeviceStatsMonitor"),
        ("import pytorch_lightning as pl\nprint(pl.loggers.base.LoggerCollection)", "LoggerCollection", "a list"),
        ("import pytorch_lightning as pl\n@pl.data_loader\ndef f(): pass", "pytorch.data_loader", "guide"),
        ("from pytorch_lightning.core.memory import ModelSummary", "lightning.pytorch.core.memory.ModelSummary", ""),
    ],
)
def test_a_name_that_is_gone_is_said(propose: Propose, line: str, said: str, then: str) -> None:
    """The program would fail where it imports it, or only where it uses it, which may be at a training's end."""
    (finding,) = propose(f"{line}\n").findings
    assert said in finding.message
    assert then in finding.next_step
    assert not propose(f"{line}\n").edits


@pytest.mark.parametrize(
    "text",
    [
        "from pytorch_lightning.callbacks import ModelCheckpoint\nfrom pytorch_lightning import Trainer",
        "from pytorch_lightning.utilities.distributed import rank_zero_only",
        "from pytorch_lightning.utilities.cli import LightningCLI",  # wants jsonargparse, whether that is here or not
        "import pytorch_lightning as pl\nm.trainer = pl.Trainer()\nprint(pl.callbacks.early_stopping.EarlyStopping)",
        "import pytorch_lightning as pl\npl.Trainer.from_argparse_args(args)",  # LM504 says it
        "from pytorch_lightning.callbacks import *",
        "from other.plugins import DDPPlugin  # not pytorch_lightning",
        "from .pytorch_lightning import DDPPlugin",
    ],
)
def test_what_is_there_or_is_said_elsewhere_is_left_alone(propose: Propose, text: str) -> None:
    """Names that follow to their new place (LM501), too."""
    assert propose(f"{text}\n") == Proposal()


def test_a_name_is_said_once_for_each_file(propose: Propose) -> None:
    """At its first line."""
    text = "import pytorch_lightning as pl\nprint(pl.EvalResult)\nprint(pl.EvalResult)\n"
    assert [finding.line for finding in propose(text).findings] == [2]


def test_an_installation_that_cannot_be_imported_says_nothing(
    propose: Propose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A torchvision made for another torch stopped the conversion of a project that only named pytorch_lightning."""

    def broken(name: str) -> None:
        raise RuntimeError(f"operator torchvision::nms does not exist: {name}")

    monkeypatch.setattr(lm506_lightning1_names.importlib, "import_module", broken)
    assert propose("from pytorch_lightning.plugins import DDPPlugin\n") == Proposal()
