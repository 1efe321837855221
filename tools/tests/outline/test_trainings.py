"""Which loop is the training where others resemble it, and what is said of those around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab_migrate.convert import convert_project

Make = Callable[[Mapping[str, str]], Path]

SEVERAL_STEPS = """def training_function(G, D):
    def train(batches):
        for batch in batches:
            D(batch).mean().backward()
            D.optim.step()
        G().mean().backward()
        G.optim.step()

    return train


def main(G, D, loader):
    train = training_function(G, D)
    for epoch in range(3):
        for batches in loader:
            train(batches)


main(G, D, loader)
"""
#: By way of a method that may be the one it begins with: they have one name.
BACK_AGAIN = """class Trainer:
    def train_step(self, batch):
        if len(self.optimizers) == 1:
            return self.optimize(batch, self.optimizers[0])
        for optimizer in self.optimizers:
            self.optimize(batch, optimizer)

    def optimize(self, batch, optimizer):
        self.model.train_step(batch).backward()
        optimizer.step()

    def train_epoch(self):
        for batch in self.loader:
            self.train_step(batch)
"""
#: The epochs give it to what loops over the batches.
GIVEN = """class Net:
    def fit(self):
        for epoch in range(self.epochs):
            self.run_epoch(self.loader, step_fn=self.train_step)

    def run_epoch(self, batches, step_fn):
        for batch in batches:
            step_fn(batch)

    def train_step(self, batch):
        self.model(batch).mean().backward()
        self.optimizer.step()
"""
ONCE = SEVERAL_STEPS.replace(
    "    for epoch in range(3):\n        for batches in loader:\n", "    if True:\n        if True:\n"
)


@pytest.mark.parametrize(
    ("text", "line"),
    [(SEVERAL_STEPS, 15), (ONCE, 3), (BACK_AGAIN, 13), (GIVEN, 7)],
    ids=["a part of a step", "called once", "by a step that seems to call itself", "given the step"],
)
def test_a_loop_that_is_a_part_of_another_ones_step_is_no_training(project: Make, text: str, line: int) -> None:
    """Some steps of the critic for every batch, then one of the generator: the batches' loop is the training."""
    of_test = "from train import Trainer\n\n\ndef test_it():\n    Trainer().train_step(0)\n"
    conversion = convert_project(project({"train.py": text, "tests/test_it.py": of_test}))
    assert [finding.line for finding in conversion.findings if finding.code == "LM201"] == [line]


FORWARD = """from torch import nn


class Quantizer(nn.Module):
    def forward(self, x):
        for book in self.books:
            loss = book(x)
            loss.backward()
            book.optim.step()
        return x


class Net(nn.Module):
    def forward(self, x):
        return self.quantizer(x)


for batch in loader:
    model(batch).mean().backward()
    optimizer.step()
"""


def test_a_loop_in_a_modules_forward_is_no_training(project: Make) -> None:
    """Codebooks that step inside of `forward`: outlined, every evaluation of the model would have been a training."""
    conversion = convert_project(project({"train.py": FORWARD}))
    assert [finding.line for finding in conversion.findings if finding.code == "LM201"] == [18]


def test_a_trainers_forward_is_an_epoch(project: Make) -> None:
    """It is no module: `forward(loader, training=True)` loops over the batches."""
    text = "class Base(object):\n    pass\n\n\nclass Trainer(Base):\n    def forward(self, loader):\n"
    steps = ("for batch in loader:", "    model(batch).mean().backward()", "    optimizer.step()")
    loop = "".join(f"        {line}\n" for line in steps)
    for base, lines in [("object", [7]), ("nn.Module", [])]:
        conversion = convert_project(project({"train.py": text.replace("object", base) + loop}))
        assert [finding.line for finding in conversion.findings if finding.code == "LM201"] == lines


RETURNED = """class Trainer:
    def forward(self, loader, training=False):
        for batch in loader:
            self.model(batch).mean().backward()
            self.optimizer.step()
        return {"loss": 1}

    def train(self, loader):
        return self.forward(loader, training=True)


trainer = Trainer()
for epoch in range(3):
    results = trainer.train(loader)
"""


def test_what_a_method_returns_of_an_epoch_is_handed_through(project: Make) -> None:
    """In brackets: `return yield from` is no Python."""
    conversion = convert_project(project({"train.py": RETURNED}))
    assert [finding.code for finding in conversion.findings] == ["LM201"]
    assert "return (yield from outlined.call(self.forward, loader, training=True))" in conversion.changes[0].after


NEXT = """for epoch in range(3):
    model(x).mean().backward()
    optimizer.step()
for epoch in range(3):
    for batch in loader:
        model(batch).mean().backward()
        optimizer.step()
"""


def test_what_is_said_of_a_loop_counts_the_loops_around_it_only(project: Make) -> None:
    """Not those of another training in the same file."""
    conversion = convert_project(project({"train.py": NEXT}))
    said = {finding.line: finding.message for finding in conversion.findings if finding.code == "LM201"}
    assert {line: "with 1 loop around it" in message for line, message in said.items()} == {1: False, 5: True}


EPOCHS = """import functools
import torch

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def logged(function):
    @functools.wraps(function)
    def logs(*arguments):
        return function(*arguments)
    return logs


{decorator}
def epoch(batches):
    for x in batches:
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()


for number in range(3):
    epoch(torch.ones(2, 4, 2))
"""


@pytest.mark.parametrize(("decorator", "said"), [("@logged", True), ("", False)])
def test_that_each_epoch_is_a_training_of_its_own_is_said(tmp_path: Path, decorator: str, said: bool) -> None:
    """Where a decorator of the program's own stands between the epochs and their batches, nothing can hand through."""
    (tmp_path / "train.py").write_text(EPOCHS.replace("{decorator}", decorator))
    (message,) = [one.message for one in convert_project(tmp_path, entry="train.py").findings if one.code == "LM201"]
    assert ("each iteration of the loop at train.py:23 is a training of its own" in message) is said


RUNS = """import torch


def epoch(model, optimizer, batches):
    for x in batches:
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()


model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for number in range(3):
    {line}
    epoch(model, optimizer, torch.ones(2, 4, 2))
"""


@pytest.mark.parametrize(
    ("line", "one"),
    [
        ("optim_state = optimizer.state_dict()", True),
        ("optimizer_lr = rate_of(optimizer)", True),
        ("rate = get_optimizer_lr(optimizer)", True),
        ("loss = optimize_once(model)", True),
        ("optimizer = make_optimizer(model)", False),
        ("optimizer = chosen(model.parameters())", False),
    ],
)
def test_a_loop_that_asks_something_of_its_optimizer_is_one_training(project: Make, line: str, one: bool) -> None:
    """One that makes it in each iteration is several."""
    conversion = convert_project(project({"train.py": RUNS.format(line=line)}))
    assert ("def epoch_loop" in conversion.changes[0].after) is one


SHARED = """import torch


class Handler:
    def __init__(self, model, optimizer):
        self.model, self.optimizer = model, optimizer

    def step(self, batch, done=None):
        loss = self.model(batch).sum()
        if loss.requires_grad:
            loss.backward()
            self.optimizer.step()
        {inside}


def train(handler, loader):
    for epoch in range(3):
        for batch in loader:
            handler.step(batch)


{decorator}
def evaluate(handler, loader):
    {around}
        for batch in loader:
            handler.step(batch)


model = torch.nn.Linear(2, 1)
handler = Handler(model, torch.optim.SGD(model.parameters(), 0.1))
train(handler, torch.ones(2, 4, 2))
evaluate(handler, torch.ones(2, 4, 2))
"""


@pytest.mark.parametrize(
    ("decorator", "around", "inside", "trains"),
    [
        ("", "if True:", "", True),
        ("", "with torch.no_grad():", "", False),
        ("@torch.inference_mode()", "if True:", "", False),
        ("@torch.no_grad()", "if True:", "with torch.enable_grad(): self.model(batch).sum().backward()", True),
        ("", "with torch.no_grad():", "torch.set_grad_enabled(True)", True),
    ],
)
def test_a_loop_that_takes_no_gradients_is_no_training(
    project: Make, decorator: str, around: str, inside: str, trains: bool
) -> None:
    """Though it shares its steps with the training; unless what it calls takes gradients again."""
    source = SHARED.format(decorator=decorator, around=around, inside=inside)
    found = convert_project(project({"train.py": source})).findings
    assert [one.line for one in found if one.code == "LM201"] == ([18, 25] if trains else [18])
