"""Objects of other classes in a program's state dicts: said when a checkpoint is written, and when one is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch

from six_steps import resumes, trained


class Box:
    """Holds the step's size, in an object of the program's own."""

    def __init__(self, rate: float) -> None:
        self.rate = rate


class Boxed(torch.optim.SGD):
    """Gives its box with its state."""

    def __init__(self, params: Any, box: Callable[[], Any]) -> None:
        super().__init__(params, lr=0.1)
        self.box = box()

    def state_dict(self) -> dict[str, Any]:
        """With the box."""
        return {**super().state_dict(), "box": self.box}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """And its box."""
        self.box = state_dict.pop("box")
        super().load_state_dict(state_dict)


def training(box: Callable[[], Any]) -> list[str]:
    """Six steps."""
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 3)
    return trained(lambda: 1.0, model, Boxed(model.parameters(), box))


def test_an_object_that_no_file_gives_back_is_named_when_it_is_written_and_when_it_is_read(checkpoint: Any) -> None:
    """Before, the resumed run ended in torch's advice to unpickle the file, after a whole training."""
    with pytest.warns(UserWarning, match=r"no run can resume from it: the state_dict of optimizer holds .*\.Box"):
        whole = checkpoint.written_at(3, lambda: training(lambda: Box(0.1)))
    with pytest.raises(ValueError, match=r"found objects of .*test_unreadable\.Box, which a state_dict"):
        checkpoint.resumed(lambda: training(lambda: Box(0.1)))
    with torch.serialization.safe_globals([Box]):
        assert checkpoint.resumed(lambda: training(lambda: Box(0.1))) == whole


def test_a_defaultdict_in_a_state_dict_comes_back_as_one(checkpoint: Any) -> None:
    """`torch.load` makes none: no run could have gone on."""
    made = []

    def run() -> list[str]:
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 3)
        made.append(Boxed(model.parameters(), lambda: defaultdict(list)))
        return trained(lambda: made[-1].box["rates"].append(1) or 1.0, model, made[-1])

    resumes(checkpoint, run)
    assert type(made[-1].box) is defaultdict
    assert made[-1].box == {"rates": [1] * 6}
