"""Methods that stand in no class: code puts them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab_migrate.scan import scan_project

Make = Callable[[Mapping[str, str]], Path]

BOX = """import types

import torch


class Box:
    def __init__(self, net):
        self.net = net
        self.optimizer = torch.optim.SGD(net.parameters(), 0.1)

    def update(self, loss):
        raise NotImplementedError


class Other:
    pass


def default_update(self, loss):
    loss.backward()
    self.optimizer.step()


def main(net, batches):
    box = Box(net)
    {put}
    for batch in batches:
        box.update(net(batch).mean())


main(torch.nn.Linear(2, 1), [torch.ones(2)])
"""


@pytest.mark.parametrize(
    "put",
    [
        'setattr(Box, "update", default_update)',
        "Box.update = default_update",
        "box.update = types.MethodType(default_update, box)",
        'chosen = default_update\n    setattr(Box, "update", chosen)',
    ],
)
def test_a_function_that_is_put_on_a_class_or_an_object_is_its_method(project: Make, put: str) -> None:
    """Frameworks whose configs choose the update do so; the class's own method only raises."""
    (loop,) = scan_project(project({"train.py": BOX.format(put=put)})).loops
    assert (loop.function, {call.scope for call in loop.calls}) == ("main", {"default_update"})


@pytest.mark.parametrize("put", ["Other.update = default_update", 'setattr(Box, "other", default_update)'])
def test_what_is_put_on_another_class_or_under_another_name_is_not(project: Make, put: str) -> None:
    """Nothing is guessed from a name alone."""
    assert not scan_project(project({"train.py": BOX.format(put=put)})).loops
