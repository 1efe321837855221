"""What a Trainer is told of devices is the program's, or an error: never passed over in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from lab_adapters import outlined


def run() -> float:
    """Three steps."""
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def training_step(number: int) -> None:
        optimizer.zero_grad()
        model(torch.ones(4, 2)).sum().backward()
        optimizer.step()

    outlined.fit(training_step, range(3))
    return float(model.weight.detach().sum())


@pytest.mark.parametrize(
    "settings",
    [
        {"accelerator": "auto"},
        {"accelerator": "cpu", "devices": 1},
        {"devices": "auto", "num_nodes": 1},
        {"strategy": "auto"},
    ],
)
def test_the_programs_own_device_may_be_told(settings: dict[str, Any]) -> None:
    """The same numbers as without."""
    torch.manual_seed(0)
    plain = run()
    torch.manual_seed(0)
    with outlined.trainer_settings(**settings):
        assert run() == plain


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"devices": 2}, r"devices=2 \(expected 'auto', 1, '1', \[0\]\)"),
        ({"accelerator": "gpu"}, r"accelerator='gpu' \(expected 'auto', 'cpu'\)"),
        ({"num_nodes": 2, "sync_batchnorm": True}, r"num_nodes=2 .*; sync_batchnorm=True"),
    ],
)
def test_devices_that_are_not_the_programs_are_an_error(settings: dict[str, Any], said: str) -> None:
    """Lightning would take two devices, and train on one."""
    with outlined.trainer_settings(**settings), pytest.raises(ValueError, match=said) as raised:
        run()
    assert "--tier idiomatic" in str(raised.value)


def test_the_cpu_hides_gpus_from_the_program_and_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that asks `torch.cuda.is_available()` finds none, and afterwards what was there before."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    asked = [sys.executable, "-c", "import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']))"]
    with outlined.trainer_settings(accelerator="cpu"):
        assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "''\n"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with outlined.trainer_settings(accelerator="cpu"):
        pass
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_gpus_that_were_found_before_cannot_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA reads the variable once."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for told in ({"accelerator": "cpu"}, {"devices": [1]}, {"accelerator": "gpu", "devices": "0,"}):
        with pytest.raises(ValueError, match="has looked for GPUs before"), outlined.trainer_settings(**told):
            pass


@pytest.mark.parametrize(
    ("visible", "told", "seen"),
    [
        (None, {"accelerator": "gpu", "devices": [1]}, "1"),
        ("4,6, 7", {"devices": [2]}, "7"),
        ("4,6", {"accelerator": "cuda", "devices": "0,"}, "4"),
    ],
)
def test_one_gpu_of_several_is_left_to_the_program(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, told: dict[str, Any], seen: str
) -> None:
    """It is `cuda:0` inside, for the program's worker processes as well; the driver is none that this test has."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    counted = lambda: len(os.environ.get("CUDA_VISIBLE_DEVICES", "0,1").split(","))  # noqa: E731
    monkeypatch.setattr(torch.cuda, "device_count", counted)
    asked = [sys.executable, "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"]
    with outlined.trainer_settings(**told):
        assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == f"{seen}\n"
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible


@pytest.mark.parametrize("told", [{"devices": [0]}, {"accelerator": "gpu", "devices": [3]}])
def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]) -> None:
    """A program that looks for any would train on the CPU in silence."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with (
        pytest.raises(ValueError, match=r"devices=\[\d\]: expected one of the 0 GPUs"),
        outlined.trainer_settings(**told),
    ):
        pass
