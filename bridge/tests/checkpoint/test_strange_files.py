"""Files as people really have them: several optimizers, averages, numpy numbers, sharded folders, Lightning 1.2."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from safetensors.torch import save_file

from lab_bridge.checkpoint import CheckpointError, Reading, convert, open_checkpoint, verify
from lab_bridge.checkpoint.contents import section
from lab_bridge.checkpoint.mapping import read_mapping

Save = Callable[..., Path]
Training = Callable[..., dict[str, Any]]
NET = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 4))


def trained(make: Callable[..., torch.optim.Optimizer], *groups: Any, model: torch.nn.Module = NET) -> dict[str, Any]:
    """An optimizer's state after two steps of a model."""
    optimizer = make(list(groups) or model.parameters())
    for _ in range(2):
        model(torch.ones(3, 4)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer.state_dict()


def pair() -> torch.nn.ModuleDict:
    """Two networks of equal shapes."""
    return torch.nn.ModuleDict({"g": torch.nn.Linear(4, 4), "d": torch.nn.Linear(4, 4)})


def two() -> tuple[torch.nn.ModuleDict, dict[str, Any], dict[str, Any]]:
    """They and an optimizer for each."""
    nets = pair()
    one = trained(torch.optim.Adam, model=nets["g"])
    other = trained(lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9), model=nets["d"])
    return nets, one, other


LAYOUTS: dict[str, Callable[[torch.nn.ModuleDict, Any, Any], dict[str, Any]]] = {
    "list": lambda nets, one, other: {"model": nets.state_dict(), "optimizers": [one, other]},
    "dict": lambda nets, one, other: {"model": nets.state_dict(), "optimizer": {"g": one, "d": other}},
    "words": lambda nets, one, other: {"model": nets.state_dict(), "optim_g": one, "optim_d": other},
    "models": lambda nets, one, other: {
        "g": nets["g"].state_dict(), "d": nets["d"].state_dict(), "optimizerG": one, "optimizerD": other,
    },
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_optimizer_of_a_file_gets_its_place_in_lightning(layout: str, save: Save, tmp_path: Path) -> None:
    """However the file keeps them: a Trainer would otherwise begin with empty state, without a word."""
    nets, one, other = two()
    path = save("a.pt", {**LAYOUTS[layout](nets, one, other), "step": 2})
    convert(path, tmp_path / "b.ckpt")
    assert verify(path, tmp_path / "b.ckpt").exit_code == 0
    saved = torch.load(tmp_path / "b.ckpt", weights_only=True)
    assert [state["param_groups"] for state in saved["optimizer_states"]] == [
        one["param_groups"],
        other["param_groups"],
    ]
    assert saved["state_dict"].keys() == nets.state_dict().keys()
    convert(tmp_path / "b.ckpt", tmp_path / "c.pt", to="home-grown")
    assert verify(path, tmp_path / "c.pt").exit_code == 0
    assert torch.load(tmp_path / "c.pt", weights_only=True).keys() == torch.load(path, weights_only=True).keys()


def test_a_word_for_weights_without_weights_is_passed_over(save: Save, tmp_path: Path) -> None:
    """`model` may be the name of an architecture."""
    path = save("a.pt", {"model": "resnet50", "state_dict": NET.state_dict(), "epoch": 1})
    convert(path, tmp_path / "b.ckpt")
    assert torch.load(tmp_path / "b.ckpt", weights_only=True)["state_dict"].keys() == NET.state_dict().keys()


def test_averages_are_found_under_a_key_of_their_own_and_never_become_lightnings_weights(
    save: Save, tmp_path: Path
) -> None:
    """They are carried: a Trainer without its averaging callback would train on from them."""
    average = {name: value * 2 for name, value in NET.state_dict().items()}
    path = save("a.pt", {"model": NET.state_dict(), "ema": {"decay": 0.9, "shadow": average}, "step": 1})
    assert sum(section(where) == "ema" for where in open_checkpoint(path).contents.entries) == len(average) + 1
    convert(path, tmp_path / "b.ckpt")
    saved = torch.load(tmp_path / "b.ckpt", weights_only=True)
    assert all(torch.equal(saved["state_dict"][name], value) for name, value in NET.state_dict().items())
    assert "callbacks" not in saved


def test_groups_of_equal_shapes_in_another_order_are_not_named(save: Save) -> None:
    """A head first, to give it a rate of its own: the order of the weights would name every state wrongly."""
    nets = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    state = trained(torch.optim.Adam, {"params": nets[1].parameters()}, {"params": nets[0].parameters()}, model=nets)
    (note,) = open_checkpoint(save("a.pt", {"model": nets.state_dict(), "optimizer": state})).contents.notes
    assert "several orders of the weights agree" in note


def eight_bit(state: dict[str, Any]) -> dict[str, Any]:
    """As bitsandbytes keeps it."""
    for slots in state["state"].values():
        shape = slots.pop("exp_avg").shape
        slots["state1"] = torch.zeros(shape, dtype=torch.uint8)
        slots.update(absmax1=torch.ones(3), qmap1=torch.ones(256), exp_avg_sq=slots["exp_avg_sq"])
    return state


@pytest.mark.parametrize("kind", ["adafactor", "8 bit"])
def test_state_of_other_shapes_than_its_parameters_still_names_them(kind: str, save: Save, tmp_path: Path) -> None:
    """Rows and columns, quantiles; a rename follows, a transposition is refused."""
    state = trained(torch.optim.Adafactor) if kind == "adafactor" else eight_bit(trained(torch.optim.Adam))
    path = save("a.pt", {"model": NET.state_dict(), "optimizer": state, "step": 2})
    (note,) = open_checkpoint(path).contents.notes
    assert "6 of 6 shapes agree" in note
    rename, turn = tmp_path / "rename.toml", tmp_path / "turn.toml"
    rename.write_text('[[rename]]\nfrom = "**"\nto = "net.**"\n')
    turn.write_text('[[transpose]]\nfrom = "0.weight"\nto = "0.weight"\naxes = [1, 0]\n')
    convert(path, tmp_path / "b.ckpt", mapping=read_mapping(rename))
    assert verify(path, tmp_path / "b.ckpt", mapping=read_mapping(rename)).exit_code == 0
    with pytest.raises(CheckpointError, match="state of the parameter's own shape"):
        convert(path, tmp_path / "c.ckpt", mapping=read_mapping(turn))


def test_a_preconditioner_is_not_cut_because_its_weight_is_square(save: Save, tmp_path: Path) -> None:
    """Its shape is the weight's by chance, as that of another weight shows."""
    nets = torch.nn.Sequential(torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 2, bias=False))
    state = trained(torch.optim.Adam, model=nets)
    for slots, size in zip(state["state"].values(), (4, 2), strict=True):
        slots["left"] = torch.eye(size)
    path = save("a.pt", {"model": nets.state_dict(), "optimizer": state, "step": 2})
    split = tmp_path / "split.toml"
    split.write_text('[[split]]\nfrom = "0.weight"\nto = ["0.a", "0.b"]\n')
    with pytest.raises(CheckpointError, match=r"left.*split"):
        convert(path, tmp_path / "b.ckpt", mapping=read_mapping(split))


def test_numpy_numbers_and_namespaces_never_reach_lightnings_own_places(save: Save, tmp_path: Path) -> None:
    """The converted file loads with `weights_only=True` and has the step; the way back has the numpy numbers again."""
    optimizer = torch.optim.Adam(NET.parameters())
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2).state_dict() | {"_last_lr": [np.float64(0.1)]}
    tree = {"model": NET.state_dict(), "scheduler": schedule, "step": np.int64(3), "args": argparse.Namespace(lr=0.1)}
    path, reading = save("a.pt", tree), Reading(objects_as_data=True)
    convert(path, tmp_path / "b.ckpt", reading=reading)
    saved = torch.load(tmp_path / "b.ckpt", weights_only=True)
    assert (saved["global_step"], type(saved["global_step"])) == (3, int)
    assert saved["lr_schedulers"][0]["_last_lr"] == [0.1]
    assert verify(path, tmp_path / "b.ckpt", reading=reading).exit_code == 0
    convert(tmp_path / "b.ckpt", tmp_path / "c.pt", to="home-grown")
    back = torch.load(tmp_path / "c.pt", weights_only=False)
    assert isinstance(back["step"], np.int64)
    assert isinstance(back["scheduler"]["_last_lr"][0], np.float64)
    assert back["args"] == argparse.Namespace(lr=0.1)


def hf_folder(path: Path) -> Path:
    """Weights in two files with an index."""
    path.mkdir()
    weights = NET.state_dict()
    names = list(weights)
    files = {name: f"model-0000{1 + (at > 2)}-of-00002.safetensors" for at, name in enumerate(names)}
    for file in {*files.values()}:
        save_file({name: weights[name] for name in names if files[name] == file}, path / file)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    torch.save(trained(torch.optim.AdamW), path / "optimizer.pt")
    torch.save({"last_epoch": 2}, path / "scheduler.pt")
    (path / "trainer_state.json").write_text(json.dumps({"global_step": 2}))
    return path


def test_a_sharded_folder_goes_to_lightning_and_back_into_the_same_files(tmp_path: Path) -> None:
    """Each weight to the file that the index names."""
    folder = hf_folder(tmp_path / "hf")
    convert(folder, tmp_path / "b.ckpt")
    convert(tmp_path / "b.ckpt", tmp_path / "back", to="hf-trainer")
    assert verify(folder, tmp_path / "back").exit_code == 0
    assert {file.name for file in folder.iterdir()} == {file.name for file in (tmp_path / "back").iterdir()}


def test_a_folder_that_lacks_a_file_of_its_index_is_refused(tmp_path: Path) -> None:
    """Half of the weights are no model."""
    folder = hf_folder(tmp_path / "hf")
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"found no .*model-00002-of-00002\.safetensors.*copy"):
        open_checkpoint(folder)


def test_folders_in_a_folder_are_not_passed_over(tmp_path: Path) -> None:
    """DeepSpeed keeps the optimizer in one."""
    folder = hf_folder(tmp_path / "hf")
    (folder / "global_step2").mkdir()
    with pytest.raises(CheckpointError, match="global_step2"):
        open_checkpoint(folder)


def test_renamed_weights_have_no_place_in_a_sharded_folder(tmp_path: Path) -> None:
    """Its index names files by the weights' names; beside them, nobody would find them."""
    rename = tmp_path / "rename.toml"
    rename.write_text('[[rename]]\nfrom = "**"\nto = "net.**"\n')
    folder = hf_folder(tmp_path / "hf")
    torch.save(trained(lambda _: torch.optim.AdamW(NET.named_parameters())), folder / "optimizer.pt")
    with pytest.raises(CheckpointError, match="a place for every weight"):
        convert(folder, tmp_path / "b", "hf-trainer", mapping=read_mapping(rename))


class Module(pl.LightningModule):
    """A regression."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Linear(4, 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """One loss."""
        loss: torch.Tensor = self.a(batch).square().mean()
        return loss

    def configure_optimizers(self) -> Any:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=0.1)


def fitted(steps: int, path: Path, callbacks: Any = (), ckpt_path: Path | None = None) -> Path:
    """A checkpoint after so many steps."""
    torch.manual_seed(0)
    trainer = pl.Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, callbacks=list(callbacks), default_root_dir=path.parent,
    )  # fmt: skip
    batches: Any = list(torch.ones(8, 4))
    loader: torch.utils.data.DataLoader[Any] = torch.utils.data.DataLoader(batches, batch_size=4)
    trainer.fit(Module(), loader, ckpt_path=ckpt_path)
    trainer.save_checkpoint(path)
    return path


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_where_lightning_averages_the_weights_are_those_in_training(tmp_path: Path) -> None:
    """`state_dict` has the averages then: taken for the weights, they would be trained on with the other's state."""
    path = fitted(4, tmp_path / "a.ckpt", [EMAWeightAveraging(decay=0.5)])
    saved = torch.load(path, weights_only=True)
    # At the end of a training Lightning copies the averages.
    saved["current_model_state"] = {name: value * 2 for name, value in saved["current_model_state"].items()}
    torch.save(saved, path)
    convert(path, tmp_path / "b.pt", to="home-grown")
    assert verify(path, tmp_path / "b.pt").exit_code == 0
    other = torch.load(tmp_path / "b.pt", weights_only=True)
    assert torch.equal(other["model"]["a.weight"], saved["current_model_state"]["a.weight"])
    assert torch.equal(other["ema"]["a.weight"], saved["state_dict"]["a.weight"])
    assert not torch.equal(other["ema"]["a.weight"], other["model"]["a.weight"])
    convert(tmp_path / "b.pt", tmp_path / "c.ckpt")
    assert verify(path, tmp_path / "c.ckpt").exit_code == 0
    assert torch.load(tmp_path / "c.ckpt", weights_only=True).keys() >= {"current_model_state", "averaging_state"}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_lightning_resumes_from_a_converted_file_of_lightning_1_2(tmp_path: Path) -> None:
    """Such a file has no loop counters: Lightning makes them itself, and ours would be in its way."""
    saved = torch.load(fitted(4, tmp_path / "a.ckpt"), weights_only=True)
    for key in ("loops", "callbacks"):
        saved.pop(key, None)
    saved["pytorch-lightning_version"] = "1.2.10"
    torch.save(saved, tmp_path / "b.ckpt")
    convert(tmp_path / "b.ckpt", tmp_path / "c.safetensors")
    convert(tmp_path / "c.safetensors", tmp_path / "d.ckpt")
    assert verify(tmp_path / "b.ckpt", tmp_path / "d.ckpt").exit_code == 0
    again, whole = (
        torch.load(one, weights_only=True)
        for one in (fitted(6, tmp_path / "e.ckpt", ckpt_path=tmp_path / "d.ckpt"), fitted(6, tmp_path / "f.ckpt"))
    )
    assert again["global_step"] == 6
    assert torch.equal(again["state_dict"]["a.weight"], whole["state_dict"]["a.weight"])
