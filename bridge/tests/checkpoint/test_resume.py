"""Training goes on from a converted checkpoint as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import legacy_lab
from lab_bridge import Trainer
from lab_bridge.checkpoint import convert, verify

Build = Callable[..., Any]


@pytest.mark.parametrize("at", [5, 8])
def test_training_resumed_from_a_converted_checkpoint_is_bitwise_the_uninterrupted_one(
    build: Build, tmp_path: Path, at: int
) -> None:
    """Lab → Lightning under the drop-in, and Lightning → safetensors → Lab under Lab."""
    whole = build(legacy_lab.Trainer, "digits_vae", "whole", f"Trainer.checkpoint_every = {at}")
    whole.train()
    lab = tmp_path / "whole" / f"step_{at:08d}.lab"
    lightning, tensors, again = tmp_path / "a.ckpt", tmp_path / "a.safetensors", tmp_path / "a.lab"
    convert(lab, lightning)
    convert(lightning, tensors)
    convert(tensors, again)
    for target in (lightning, tensors, again):
        assert verify(lab, target).exit_code == 0
    torch.rand(3)
    onward = build(Trainer, "digits_vae", "onward")
    onward.train(resume=lightning)
    back = build(legacy_lab.Trainer, "digits_vae", "back")
    back.train(resume=again)
    for resumed in (onward, back):
        resumed.save(tmp_path / f"{type(resumed).__module__}.lab")
        whole.save(tmp_path / f"{type(resumed).__module__}.whole.lab")
        done = verify(tmp_path / f"{type(resumed).__module__}.whole.lab", tmp_path / f"{type(resumed).__module__}.lab")
        # The runs' folders differ, and so the config; the generators of numpy and python are not part of a Lab run.
        assert [fault.where for fault in done.faults if not fault.where.startswith(("config", "generators"))] == []
        assert done.tensors > 100


def test_what_the_drop_in_saved_becomes_a_lab_checkpoint(build: Build, tmp_path: Path) -> None:
    """A .ckpt of Lightning's ModelCheckpoint, converted, resumes under Lab; its Lightning parts come back."""
    from lightning.pytorch.callbacks import ModelCheckpoint

    whole = build(legacy_lab.Trainer, "digits_vae", "whole")
    whole.train()
    saver = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=4, save_top_k=-1)
    build(Trainer, "digits_vae", "first", "Trainer.steps = 4", lightning={"callbacks": [saver]}).train()
    convert(saver.best_model_path, tmp_path / "b.lab")
    resumed = build(legacy_lab.Trainer, "digits_vae", "resumed")
    resumed.train(resume=tmp_path / "b.lab")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])
    convert(tmp_path / "b.lab", tmp_path / "again.ckpt")
    assert verify(saver.best_model_path, tmp_path / "again.ckpt").exit_code == 0
    whole = torch.load(saver.best_model_path, weights_only=True)
    assert whole["loops"] == torch.load(tmp_path / "again.ckpt", weights_only=True)["loops"]
