"""What functions and objects change of others' attributes, whatever they are called by: it goes on, or is said."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest
from idiomatic_programs import program, rewritten

DEFINED = """\
import functools


class State:
    def __init__(self):
        self.n, self.seen, self.t = 1.0, [], torch.ones(2)


class Watch:
    def __init__(self, state):
        self.state = state

    def renew(self):
        self.state.n *= 0.9


class Box:
    def __init__(self):
        self.of = dict(a=State())

    def renew(self):
        for name in self.of:
            self.of[name].n *= 0.9


def bump(state):
    state.n *= 0.9


def deeper(state):
    bump(state)


def bump_all(*states):
    for state in states:
        state.n *= 0.9


def shrink(state):
    state.t = state.t * 0.9


def feed(module):
    module(torch.randn(4, 2))


"""
TRAINING = """\
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=5, shuffle=True)
state = State()
{made}
for epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) * {read}
        loss.backward()
        optimizer.step()
    {call}
    print(loss.item())
"""
#: What is made before the epochs, what each calls, and what of it the loss asks.
KEPT = {
    "a function of a function": ("", "deeper(state)", "state.n"),
    "a function that replaces a tensor": ("", "shrink(state)", "state.t.sum()"),
    "a module that nobody trains": ("norm = nn.BatchNorm1d(2)", "feed(norm)", "norm.running_mean.sum()"),
    "a module by a function's name": (
        "norm = nn.BatchNorm1d(2)\ndef fed():\n    feed(norm)", "fed()", "norm.running_mean.sum()"),
}  # fmt: skip
SAID = {
    "several": ("", "bump_all(state)", "state.n", "state ("),
    "a list of them": ("", "bump_all(*[state])", "state.n", "state ("),
    "a partial": ("change = functools.partial(bump, state)", "change()", "state.n", "state ("),
    "a bound method": ("watch = Watch(state)\nchange = watch.renew", "change()", "state.n", "watch ("),
    "a lambda": ("change = lambda: bump(state)", "change()", "state.n", "state ("),
    "a list of functions": ("changes = [bump]", "for change in changes: change(state)", "state.n", "state ("),
    "a closure": ("def change():\n    state.n *= 0.9", "change()", "state.n", "state ("),
    "a class": ("class Kept:\n    n = 1.0\ndef change():\n    Kept.n *= 0.9", "change()", "Kept.n", "Kept ("),
    "a function's own": ("def change():\n    change.n *= 0.9\nchange.n = 1.0", "change()", "change.n", "change ("),
    "objects in a dictionary": ("box = Box()", "box.renew()", "box.of['a'].n", "box ("),
    "modules in a list": ("norms = [nn.BatchNorm1d(2)]", "feed(norms[0])", "norms[0].running_mean.sum()", "norms ("),
    "another name": ("", "state.seen.append(1); other = state; other.n *= 0.9", "state.n", "state ("),
}


def written(made: str, call: str, read: str, where: str) -> str:
    """The program, as a script or in a function."""
    text = TRAINING.format(made=made, call=call, read=read)
    text = text if where == "script" else f"def main():\n{indent(text, '    ')}\n\nmain()\n"
    return program(f"{DEFINED}{text}")


@pytest.mark.parametrize("where", ["script", "function"])
@pytest.mark.parametrize("what", KEPT)
def test_it_goes_on(what: str, where: str, resumes: Callable[..., None]) -> None:
    """Attributes and buffers began anew, without a word."""
    after = rewritten(written(*KEPT[what], where))
    assert not any("own checkpoints" in message for message in after.messages), after.messages
    resumes(after.text)


@pytest.mark.parametrize("where", ["script", "function"])
@pytest.mark.parametrize("what", SAID)
def test_it_is_said(what: str, where: str) -> None:
    """What nothing here follows as far as to keep it."""
    made, call, read, name = SAID[what]
    after = rewritten(written(made, call, read, where))
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    assert f"do not hold {name}" in said or f", {name}" in said, said


def test_a_number_that_fills_a_tensor_is_not_changed() -> None:
    """Labels of a GAN: they were said to begin anew."""
    after = rewritten(written("real, label = 1.0, torch.zeros(5)", "label.fill_(real)", "label.sum()", "function"))
    assert not any("real (" in message for message in after.messages), after.messages
