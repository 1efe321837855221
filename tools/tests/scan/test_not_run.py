"""A call that says by a constant that it does not train: the loop around it is no training loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_migrate.scan import scan_project

PROGRAM = """\
import functools


{made}

def main(model, optimizer, learning, looking):
    for x in learning:
        step(model, optimizer, x, True)
    {before}for x in looking:
        {look}


main()
"""
STEP = """\
def step(model, optimizer, x, train=False):
    loss = model(x)
    if train:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss
"""
EARLY = """\
def step(model, optimizer, x, mode=False):
    loss = model(x)
    if not mode:
        return loss
    return update(optimizer, loss)


def update(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
MAKER = (
    STEP
    + """\


def make(kind):
    def one(model, optimizer, x):
        return None if kind != "train" else step(model, optimizer, x, train=True)
    return one


def other(kind):
    return make("train")


class Steps:
    def step(self, model, optimizer, x, train=True):
        return step(model, optimizer, x, True) if train else model(x)
"""
)
LOOKS = {
    "given": (STEP, "", "step(model, optimizer, x, False)"),
    "by keyword": (STEP, "", "step(model, optimizer, x, train=0)"),
    "by default": (STEP, "", "step(model, optimizer, x)"),
    "behind an early return": (EARLY, "", "step(model, optimizer, x)"),
    "given to a maker": (MAKER, "look = make('valid')\n    ", "look(model, optimizer, x)"),
    "given to a method": (MAKER, "steps = Steps()\n    ", "steps.step(model, optimizer, x, False)"),
    "given to a class's function": (MAKER, "steps = Steps()\n    ", "Steps.step(steps, model, optimizer, x, False)"),
}  # fmt: skip
TRAINS = {
    "a value": (STEP, "", "step(model, optimizer, x, x.trains)"),
    "stars": (STEP, "", "step(*x)"),
    "two stars": (STEP, "", "step(model, optimizer, **x)"),
    "a parameter that is assigned": (STEP.replace("    if", "    train = train or x.trains\n    if"), "",
                                     "step(model, optimizer, x, False)"),
    "a decorator": (STEP.replace("def", "@functools.partial(print)\ndef"), "", "step(model, optimizer, x)"),
    "one of two makers": (MAKER, "look = make('valid')\n    look = make('train')\n    ", "look(model, optimizer, x)"),
    "another maker": (MAKER, "look = other('valid')\n    ", "look(model, optimizer, x)"),
    "a method": (MAKER, "steps = Steps()\n    ", "steps.step(model, optimizer, x)"),
}  # fmt: skip


def _lines(folder: Path, made: str, before: str, look: str) -> list[str]:
    text = PROGRAM.format(made=made, before=before, look=look)
    (folder / "train.py").write_text(text)
    return [text.splitlines()[loop.line - 1].strip() for loop in scan_project(folder).loops]


@pytest.mark.parametrize("program", LOOKS.values(), ids=LOOKS)
def test_a_pass_that_only_looks_is_no_training_loop(tmp_path: Path, program: tuple[str, str, str]) -> None:
    """Whatever its function does where it trains."""
    assert _lines(tmp_path, *program) == ["for x in learning:"]


@pytest.mark.parametrize("program", TRAINS.values(), ids=TRAINS)
def test_where_nothing_tells_it_is_one(tmp_path: Path, program: tuple[str, str, str]) -> None:
    """A value that the run decides on, or that another call may have given."""
    assert _lines(tmp_path, *program) == ["for x in learning:", "for x in looking:"]
