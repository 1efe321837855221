"""Checkpoints of other frameworks: read without importing them, into Lightning and back, and trained on from there."""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from lab_bridge.checkpoint import CheckpointError, Reading, UntrustedError, convert, open_checkpoint, verify
from lab_bridge.checkpoint.contents import section

Save = Callable[..., Path]
Training = Callable[..., dict[str, Any]]
AS_DATA = Reading(objects_as_data=True)


def fairseq(tree: dict[str, Any]) -> dict[str, Any]:
    """As `fairseq.trainer.Trainer.state_dict` lays it out (0.12)."""
    return {
        "args": argparse.Namespace(arch="transformer", lr=[0.01]),
        "cfg": None,
        "model": tree["model"],
        "criterion": None,
        "optimizer_history": [
            {"criterion_name": "C", "optimizer_name": "A", "lr_scheduler_state": {"best": None}, "num_updates": 3}
        ],
        "task_state": {},
        "extra_state": {
            "metrics": [("default", [])],
            "previous_training_time": 1.5,
            "train_iterator": {"version": 2, "epoch": 2, "iterations_in_epoch": 3, "shuffle": True},
            "val_loss": 0.5,
        },
        "last_optimizer_state": tree["optimizer"],
    }  # fmt: skip


def mmengine(tree: dict[str, Any]) -> dict[str, Any]:
    """As `mmengine.runner.Runner.save_checkpoint` lays it out (0.10)."""
    return {
        "meta": {"epoch": 1, "iter": 3, "cfg": "model = 1", "seed": 4, "mmengine_version": "0.10.7"},
        "state_dict": tree["model"],
        "message_hub": {"log_scalars": {"loss": argparse.Namespace(history=[1.0, 2.0])}, "runtime_info": {"iter": 3}},
        "optimizer": tree["optimizer"],
        "param_schedulers": [tree["scheduler"]],
    }  # fmt: skip


LAYOUTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"fairseq": fairseq, "mmengine": mmengine}


@pytest.mark.parametrize("name", LAYOUTS)
def test_objects_of_a_framework_are_never_imported(name: str, save: Save, training: Training) -> None:
    """They are refused by name, or read as what the file says of them."""
    path = save("a.pt", LAYOUTS[name](training()))
    with pytest.raises(UntrustedError, match=r"argparse\.Namespace"):
        open_checkpoint(path)
    assert open_checkpoint(path, AS_DATA).format.name == name


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_frameworks_checkpoint_goes_to_lightning_and_back(
    name: str, tmp_path: Path, save: Save, training: Training
) -> None:
    """Step and epoch, state by parameter name, and the rest carried; the way back gives every leaf again."""
    path = save("a.pt", LAYOUTS[name](training()))
    convert(path, tmp_path / "b.ckpt", reading=AS_DATA)
    assert verify(path, tmp_path / "b.ckpt", reading=AS_DATA).exit_code == 0
    saved = torch.load(tmp_path / "b.ckpt", weights_only=True)
    assert saved["global_step"] == 3
    assert saved["epoch"] == {"fairseq": 2, "mmengine": 1}[name]
    contents = open_checkpoint(tmp_path / "b.ckpt").contents
    assert {section(where) for where in contents.entries} >= {"weights", "optimizer", "schedules", "counters"}
    convert(tmp_path / "b.ckpt", tmp_path / "c.pt", to=name)
    assert verify(path, tmp_path / "c.pt", reading=AS_DATA).exit_code == 0


class Module(pl.LightningModule):
    """The model of `training`, trained the same way, with its state put back in by Lightning."""

    def __init__(self, model: torch.nn.ModuleDict) -> None:
        super().__init__()
        for name, part in model.items():
            self.add_module(name, part)
        self.steps: list[int] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """As `training` does."""
        self.steps.append(self.trainer.global_step)
        inner = self.norm(self.mix(self.embed(torch.arange(6))))
        return self.head(inner).square().sum()

    def configure_optimizers(self) -> Any:
        """Per step."""
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def test_stock_lightning_trains_on_from_a_home_grown_checkpoint(tmp_path: Path, save: Save, training: Training) -> None:
    """Global step, optimizer, schedule: three steps more are the legacy training's own, bit by bit."""
    path = save("a.pt", training(steps=3))
    convert(path, tmp_path / "b.ckpt")
    whole = training(steps=6)
    torch.manual_seed(9)
    model = torch.nn.ModuleDict(
        {
            "embed": torch.nn.Embedding(6, 4), "mix": torch.nn.Linear(4, 4), "norm": torch.nn.BatchNorm1d(4),
            "head": torch.nn.Linear(4, 6, bias=False),
        }
    )  # fmt: skip
    model["head"].weight = model["embed"].weight
    module = Module(model)
    fit(module, tmp_path / "b.ckpt", max_steps=6)
    assert module.steps == [3, 4, 5]
    for name, value in whole["model"].items():
        assert torch.equal(module.state_dict()[name], value), name


def fit(module: pl.LightningModule, ckpt: Path, **settings: Any) -> None:
    """Stock Lightning, quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=ckpt.parent, **settings,
        )  # fmt: skip
        trainer.fit(module, torch.utils.data.DataLoader(torch.zeros(50, 1)), ckpt_path=ckpt)


# ---- folders of the Hugging Face Trainer


@pytest.fixture(scope="module")
def hf_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`checkpoint-4` of a real, small training."""
    if importlib.util.find_spec("transformers") is None or importlib.util.find_spec("accelerate") is None:
        pytest.skip("transformers or accelerate is not installed")
    folder = tmp_path_factory.mktemp("hf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import Trainer, TrainingArguments

        class Net(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.body = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 3))

            def forward(self, x: Any = None, labels: Any = None) -> Any:
                logits = self.body(x)
                return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

        torch.manual_seed(0)
        data = [{"x": torch.randn(4), "labels": number % 3} for number in range(32)]
        arguments = TrainingArguments(
            output_dir=str(folder), max_steps=6, per_device_train_batch_size=4, save_steps=4,
            report_to=[], use_cpu=True, disable_tqdm=True, weight_decay=0.1,
        )  # fmt: skip
        Trainer(model=Net(), args=arguments, train_dataset=data).train()
    return folder / "checkpoint-4"


def test_a_folder_of_the_hugging_face_trainer_goes_to_lightning_and_back(hf_folder: Path, tmp_path: Path) -> None:
    """Weights, both groups of AdamW, schedule, generators, and the step out of trainer_state.json."""
    convert(hf_folder, tmp_path / "b.ckpt")
    proof = verify(hf_folder, tmp_path / "b.ckpt")
    assert proof.exit_code == 0
    saved = torch.load(tmp_path / "b.ckpt", weights_only=True)
    assert saved["global_step"] == 4
    assert len(saved["optimizer_states"][0]["param_groups"]) == 2
    convert(tmp_path / "b.ckpt", tmp_path / "back", to="hf-trainer")
    assert verify(hf_folder, tmp_path / "back").exit_code == 0
    for name in ("trainer_state.json", "training_args.bin"):
        assert (tmp_path / "back" / name).read_bytes() == (hf_folder / name).read_bytes()
    with pytest.raises(CheckpointError, match="expected no such file"):
        convert(tmp_path / "b.ckpt", tmp_path / "back", to="hf-trainer")


def test_weights_in_no_order_name_no_parameters(hf_folder: Path) -> None:
    """safetensors sorts by name, an optimizer counts in the model's order; nothing is guessed where shapes agree."""
    (note,) = open_checkpoint(hf_folder).contents.notes
    assert "the weights in no order, so parameters keep their numbers" in note


def test_the_hugging_face_trainer_resumes_from_a_folder_that_was_converted_back(
    hf_folder: Path, tmp_path: Path
) -> None:
    """Its own loader takes weights, optimizer and schedule from it."""
    from transformers.trainer import TrainerState

    convert(hf_folder, tmp_path / "b.safetensors")
    convert(tmp_path / "b.safetensors", tmp_path / "back", to="hf-trainer")
    state = TrainerState.load_from_json(str(tmp_path / "back" / "trainer_state.json"))
    assert state.global_step == 4
    one, other = (torch.load(folder / "optimizer.pt", weights_only=True) for folder in (hf_folder, tmp_path / "back"))
    assert one["param_groups"] == other["param_groups"]
    assert all(torch.equal(one["state"][key]["exp_avg"], other["state"][key]["exp_avg"]) for key in one["state"])


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """With what would make it a checkpoint."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"trainer_state\.json"):
        open_checkpoint(tmp_path / "x")
