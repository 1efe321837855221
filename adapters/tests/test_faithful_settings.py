"""Lightning's settings for a faithful run: they choose the device, whatever the machine has."""

from __future__ import annotations

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator
from lightning.pytorch.strategies import DDPStrategy

from lab_adapters.faithful_settings import faithful, quiet
from lab_adapters.strategy import FaithfulStrategy

CONNECTOR = "lightning.pytorch.trainer.connectors.accelerator_connector"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU, as far as Lightning asks before it trains."""
    monkeypatch.setattr(f"{CONNECTOR}._select_auto_accelerator", lambda: "cuda")
    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: True))
    monkeypatch.setattr(CUDAAccelerator, "auto_device_count", staticmethod(lambda: 2))
    monkeypatch.setattr(CUDAAccelerator, "parse_devices", staticmethod(lambda devices: devices))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)


@pytest.mark.usefixtures("gpu")
def test_a_training_on_the_cpu_stays_there_on_a_machine_with_a_gpu() -> None:
    """Left to itself Lightning takes the GPU, and refuses a strategy on the CPU: no training began."""
    with quiet():  # Lightning warns that the GPU is not used
        trainer = pl.Trainer(**faithful())
    assert isinstance(trainer.accelerator, CPUAccelerator)
    assert trainer.strategy.root_device == torch.device("cpu")
    trainer.strategy.setup_environment()


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(("device", "index"), [("cuda", 1), ("cuda:0", 0)])
def test_a_gpu_is_named_by_its_number(device: str, index: int) -> None:
    """torch's "cuda" is the current one, which Lightning cannot set up without a number."""
    trainer = pl.Trainer(**faithful(device))
    assert isinstance(trainer.accelerator, CUDAAccelerator)
    assert trainer.strategy.root_device == torch.device("cuda", index)
    assert trainer.device_ids == [index]


def test_a_strategy_of_the_users_brings_its_own_devices() -> None:
    """Then nothing else is said of them."""
    settings = faithful("cuda", strategy="ddp", devices=2, accelerator="cpu")
    assert (settings["strategy"], settings["devices"], settings["accelerator"]) == ("ddp", 2, "cpu")
    assert {"devices", "accelerator"}.isdisjoint(faithful("cuda", strategy=DDPStrategy()))
    assert isinstance(faithful("cpu", logger=False)["strategy"], FaithfulStrategy)


@pytest.mark.usefixtures("gpu")
def test_the_current_gpu_stays_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning makes that of the training the current one; code that says "cuda" would move there."""
    current = [1]
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: current.append(getattr(device, "index", device)))
    monkeypatch.setattr("lightning.pytorch.accelerators.cuda._check_cuda_matmul_precision", lambda device: None)
    monkeypatch.setattr("lightning.pytorch.accelerators.cuda._clear_cuda_memory", lambda: None)
    monkeypatch.setattr(CUDAAccelerator, "set_nvidia_flags", lambda self, rank: None)
    pl.Trainer(**faithful("cuda:0")).strategy.setup_environment()
    assert current == [1, 0, 1]


def test_a_model_stays_on_its_device_when_the_fit_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning would move it to the CPU; what comes after the training finds it where it was."""
    trainer = pl.Trainer(**faithful(max_steps=1))
    module = pl.LightningModule()
    monkeypatch.setattr(pl.LightningModule, "cpu", lambda self: pytest.fail("moved to the CPU"))
    trainer.strategy.connect(module)
    trainer.strategy.teardown()
