"""Checkpoints of a drop-in run take no more memory than Lab's own: no state is held twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from lab_adapters.checkpoint_io import LegacyCheckpointIO
from lab_adapters.step_module import StepModule
from lab_bridge import Trainer
from lab_bridge.legacy_checkpoint import LabCheckpoint

Build = Callable[..., Any]


def test_the_optimizers_state_is_copied_once_at_a_time(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning's copy is let go of before the legacy trainer makes its own, which then is in the checkpoint."""
    held: list[Any] = []
    save = StepModule.on_save_checkpoint

    def spy(self: StepModule, checkpoint: dict[str, Any]) -> None:
        lightnings = checkpoint["optimizer_states"][0]
        state = self.legacy.state

        def watched() -> dict[str, Any]:
            held.append(dict(lightnings))
            return state()

        with monkeypatch.context() as patch:
            patch.setattr(self.legacy, "state", watched)
            save(self, checkpoint)

    monkeypatch.setattr(StepModule, "on_save_checkpoint", spy)
    saver = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=6, save_top_k=-1)
    trainer = build(Trainer, "char_model", "run", lightning={"callbacks": [saver]})
    trainer.train()
    assert held == [{}, {}]
    saved = torch.load(saver.best_model_path, weights_only=True)["optimizer_states"]
    assert saved[0]["legacy"]["slots"].keys() == trainer.optimizer.slots.keys()


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
def test_a_resume_loads_the_optimizers_state_once(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the legacy trainer, among the rest; Lightning's turn afterwards loads nothing."""
    saver = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=6, save_top_k=-1)
    begun = build(Trainer, "char_model", "begun", "Trainer.steps = 6", lightning={"callbacks": [saver]})
    begun.train()
    resumed = build(Trainer, "char_model", "resumed")
    loaded: list[int] = []
    load = resumed.optimizer.load_state
    monkeypatch.setattr(resumed.optimizer, "load_state", lambda state: (loaded.append(state["steps"]), load(state)))
    resumed.train(resume=saver.best_model_path)
    assert loaded == [6]
    assert resumed.optimizer.steps == 12


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A failing write leaves the file that was there, and nothing beside it; the next one replaces it."""
    plugin, path = LegacyCheckpointIO(LabCheckpoint()), tmp_path / "folder" / "last.ckpt"
    plugin.save_checkpoint({"step": 1}, path)
    with pytest.raises(AttributeError, match="pickle"):
        plugin.save_checkpoint({"step": 2, "unpicklable": lambda: None}, path)
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]
    assert torch.load(path, weights_only=True) == {"step": 1}
    plugin.save_checkpoint({"step": 3}, path)
    assert torch.load(path, weights_only=True) == {"step": 3}
