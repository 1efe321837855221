"""Trainings whose classes and functions are chosen from a table that other code fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab_migrate.scan import scan_project

Make = Callable[[Mapping[str, str]], Path]

LEARNER = """import torch
{before}

{decorator}class Learner:
    def __init__(self, net):
        self.net = net
        self.optimizer = torch.optim.SGD(net.parameters(), 0.1)

    def train(self, batch):
        self.net(batch).mean().backward()
        self.optimizer.step()
"""
TRAIN = """import torch
from learners import {name} as learners


def main(name, net, batches):
    learner = learners[name](net)
    for batch in batches:
        learner.train(batch)


if __name__ == "__main__":
    main("plain", torch.nn.Linear(2, 1), [torch.ones(2)] * 3)
"""
#: By what the table is filled: files of the package, beside the learner's.
FILLED = {
    "by its name": {"learners/__init__.py": "from .plain import Learner\nTABLE = {}\nTABLE['plain'] = Learner\n"},
    "updated": {"learners/__init__.py": "from .plain import Learner\nTABLE = {}\nTABLE.update(plain=Learner)\n"},
    "made of keywords": {"learners/__init__.py": "from .plain import Learner\nTABLE = dict(plain=Learner)\n"},
    "in another file": {
        "learners/table.py": "TABLE = {}\n",
        "learners/__init__.py": "from .table import TABLE\nfrom .plain import Learner\nTABLE['plain'] = Learner\n",
    },
}
REGISTER = """TABLE = {}


def register(name):
    def put(cls):
        TABLE[name] = cls
        return cls

    return put
"""
STEPS = """import torch


def plain(net, batch):
    net(batch).mean().backward()
    optimizer.step()


STEPS = {{"plain": plain}}
net = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(net.parameters(), 0.1)


def main(name):
    for batch in [torch.ones(2)]:
        {called}


main("plain")
"""


@pytest.mark.parametrize("filled", FILLED)
def test_a_class_that_a_filled_table_holds_is_found(project: Make, filled: str) -> None:
    """`learners[name](…)` may be any class that was put into the table, wherever that was; `train` is then its own."""
    learner = LEARNER.format(before="", decorator="")
    root = project({"train.py": TRAIN.format(name="TABLE"), "learners/plain.py": learner, **FILLED[filled]})
    assert [(loop.path, loop.line) for loop in scan_project(root).loops] == [("train.py", 7)]


def test_a_class_that_a_decorator_of_the_project_puts_into_a_table_is_found(project: Make) -> None:
    """The decorator's parameter is the class that stands below it."""
    learner = LEARNER.format(before="from .table import register", decorator='@register("plain")\n')
    package = {"learners/table.py": REGISTER, "learners/__init__.py": "from .table import TABLE\nfrom . import plain\n"}
    root = project({"train.py": TRAIN.format(name="TABLE"), "learners/plain.py": learner, **package})
    assert [(loop.path, loop.line) for loop in scan_project(root).loops] == [("train.py", 7)]


def test_a_table_that_holds_nothing_that_trains_makes_no_training(project: Make) -> None:
    """What is put into another table of the same name is not in this one."""
    other = "from learners.plain import Learner\nTABLE = {}\nTABLE['plain'] = Learner\n"
    learner = LEARNER.format(before="", decorator="")
    package = {"learners/__init__.py": "TABLE = {'plain': list}\n", "others.py": other}
    root = project({"train.py": TRAIN.format(name="TABLE"), "learners/plain.py": learner, **package})
    assert not scan_project(root).loops


@pytest.mark.parametrize("called", ["STEPS[name](net, batch)", "STEPS.get(name)(net, batch)"])
def test_a_function_that_a_table_holds_is_called(project: Make, called: str) -> None:
    """Steps of many methods are often functions in a table."""
    root = project({"train.py": STEPS.format(called=called)})
    assert [loop.function for loop in scan_project(root).loops] == ["main"]
