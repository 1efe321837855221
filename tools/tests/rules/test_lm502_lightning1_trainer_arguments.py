"""LM502: the Trainer's arguments of Lightning 1.x."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_migrate.findings import Status
from tools.tests.rules.lightning1_programs import converted


@pytest.mark.parametrize(
    "line",
    [
        "pl.Trainer(**arguments)",
        "pl.Trainer(gpus=args.gpus)",
        "pl.Trainer(resume_from_checkpoint=path)",
        "pl.Trainer(progress_bar_refresh_rate=3)",
    ],
)
def test_what_has_no_equal_is_left_to_a_person(tmp_path: Path, line: str) -> None:
    """With what became of it as the next step."""
    _, conversion = converted(tmp_path, f"import pytorch_lightning as pl\n{line}\n")
    assert [one.code for one in conversion.findings if one.status == Status.MANUAL] == ["LM502"]
    assert conversion.needs_hand


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
