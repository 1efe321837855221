"""What a checkpoint gives back lies where it lay: Lightning reads every file onto the CPU."""

from __future__ import annotations

import pytest
import torch

from lab_adapters.outlined import state_dicts
from lab_adapters.outlined.packing import Packing
from lab_adapters.outlined.state_dicts import storable, stored
from lab_adapters.outlined.unpacking import Unpacking

#: Stands for an accelerator: tensors on it have a device, and nothing else.
ELSEWHERE = torch.device("meta")


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has one."""
    monkeypatch.setattr(state_dicts, "_is_there", lambda device: device == ELSEWHERE)


def read(state: dict[str, object]) -> dict[str, object]:
    """The state as Lightning reads it from a file: its tensors on the CPU."""
    return {key: torch.zeros(3) if isinstance(value, torch.Tensor) else value for key, value in state.items()}


@pytest.mark.usefixtures("accelerator")
def test_a_tensor_that_the_loop_carries_comes_back_to_its_device() -> None:
    """A hidden state, say, that the next iteration gives to the model."""
    packed = Packing().pack(torch.zeros(3, device=ELSEWHERE))
    assert Unpacking().unpack(read(packed)).device == ELSEWHERE
    assert Unpacking().unpack(Packing().pack(torch.ones(3))).device == torch.device("cpu")


@pytest.mark.usefixtures("accelerator")
def test_a_tensor_of_a_state_dict_comes_back_to_its_device() -> None:
    """Of an average, say, that keeps what it is given."""
    kept = storable({"shadow": torch.zeros(3, device=ELSEWHERE), "updates": 2})
    assert stored({**kept, "shadow": read(kept["shadow"])})["shadow"].device == ELSEWHERE


def test_on_a_machine_without_it_the_tensor_stays_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was begun on a GPU can be looked at without one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    packed = {**Packing().pack(torch.ones(3)), "device": "cuda:0"}
    assert Unpacking().unpack(packed).device == torch.device("cpu")


def test_state_on_the_cpu_is_stored_as_it_is() -> None:
    """A file for the CPU holds the program's own containers."""
    state = {"shadow": torch.ones(3)}
    assert storable(state) is state
