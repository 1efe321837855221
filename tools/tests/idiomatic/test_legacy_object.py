"""What hooks, base classes, properties and names by their texts change of the object whose method trains."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten

TRAINER = """\
import functools


class State:
    def __init__(self):
        self.n = 1.0


def bump(state):
    state.n *= 0.9


class Hook:
    def __init__(self):
        self.calls = 0

    def count(self, trainer):
        self.calls += 1

    def scale(self, trainer):
        trainer.n *= 0.9

    def state(self, trainer):
        trainer.state.n *= 0.9

    def drop(self, trainer):
        trainer.model.drop.p *= 0.9

    def freeze(self, trainer):
        trainer.model.inner.requires_grad_(False)


class Base:
    def __init__(self):
        self.n = 1.0
        self.history = []


class Trainer(Base):
    factor = 1.0

    def __init__(self):
        super().__init__()
        self.state, self.hook, self.hooks = State(), Hook(), [Hook()]
        self.model = Net()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.loader = DataLoader(data, batch_size=5, shuffle=True)
        self.change = functools.partial(bump, self.state)
        self.called = [bump]

    @property
    def weight(self):
        return self.n * self.state.n

    def again(self):
        {method}

    def train(self):
        for epoch in range(3):
            for x, y in self.loader:
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(x), y) * ({read})
                loss.backward()
                self.optimizer.step()
            {line}
            print(loss.item())


Trainer().train()
"""
BOTH = ("loop", "method")
#: What the loss asks for, and where the line stands.
KEPT = {
    "self.hook.count(self)": ("1 + self.hook.calls", ("loop",)),
    "self.hook.scale(self)": ("self.n", ("method",)),
    "self.hook.state(self)": ("self.state.n", BOTH),
    "self.hook.freeze(self)": ("1.0", BOTH),
    "self.n *= 0.9": ("self.weight", BOTH),
    "self.factor *= 0.9": ("self.factor", ("method",)),
    "self.history.append(1)": ("1 + len(self.history)", BOTH),
}
SAID = {
    "self.hook.drop(self)": ("1.0", "'s p"),
    "for hook in self.hooks: hook.drop(self)": ("1.0", "'s p"),
    "self.change()": ("self.state.n", "self.state ("),
    "setattr(self, 'n', self.n * 0.9)": ("self.n", "self"),
    "self.__dict__['n'] *= 0.9": ("self.n", "self"),
    "type(self).factor *= 0.9": ("self.factor", "type(self).factor ("),
    "this = self; this.n *= 0.9": ("self.n", "self ("),
    "self.late = getattr(self, 'late', 1.0) * 0.9": ("getattr(self, 'late', 1.0)", "self.late ("),
}
REFUSED = (
    "for change in self.called: change(self)",
    "for hook in self.hooks: getattr(hook, 'count')(self)",
)


def written(line: str, read: str, where: str) -> str:
    """The program with a line in the loop, or in a method that it calls."""
    lines = {"line": line, "method": "pass"} if where == "loop" else {"line": "self.again()", "method": line}
    return program(TRAINER.format(read=read, **lines))


@pytest.mark.parametrize(("line", "where"), [(line, where) for line, (_, places) in KEPT.items() for where in places])
def test_it_goes_on(line: str, where: str, resumes: Callable[..., None]) -> None:
    """What a base class's `__init__` makes, and what hooks change of an object, began anew in silence."""
    after = rewritten(written(line, KEPT[line][0], where))
    assert not any("own checkpoints" in message for message in after.messages), after.messages
    resumes(after.text)


@pytest.mark.parametrize("where", BOTH)
@pytest.mark.parametrize("line", SAID)
def test_it_is_said(line: str, where: str) -> None:
    """It began anew in silence, in one or both of the two places."""
    read, part = SAID[line]
    after = rewritten(written(line, read, where))
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    assert part in said


@pytest.mark.parametrize("where", BOTH)
@pytest.mark.parametrize("line", REFUSED)
def test_code_that_nobody_can_tell_is_given_no_trainer(line: str, where: str) -> None:
    """It may give it another loader, model or optimizer, and Lightning go on with the first ones."""
    text = written(line, "1.0", where)
    after = rewritten(text)
    assert after.text == text
    assert "gives the legacy object to code that nobody can tell" in after.messages[0]


def test_a_classs_attribute_that_the_loop_changes_is_said() -> None:
    """Its methods make none of its own."""
    after = rewritten(written("self.factor *= 0.9", "self.factor", "loop"))
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    assert "self.factor (no __init__ of its class makes it)" in said
