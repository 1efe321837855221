"""Objects and functions that go on by Python's own methods, or by state that no name of the loop shows, are said."""

from __future__ import annotations

import pytest
from idiomatic_programs import program, rewritten, training

GIVEN = """
import functools


class Kept:
    total = 0

    def __init__(self):
        self.n, self.items = 0, []

    def __next__(self):
        self.n += 1
        return self.n

    def __enter__(self):
        self.items.append(1)

    def __exit__(self, *error):
        pass

    def __lshift__(self, value):
        self.items.append(value)

    @property
    def value(self):
        self.n += 1
        return self.n

    @classmethod
    def tick(cls):
        cls.total += 1


class Slots:
    __slots__ = ("n",)

    def __init__(self):
        self.n = 0

    def up(self):
        self.n += 1


THE = Kept()


def the():
    return THE


def counter():
    n = 0

    def up():
        nonlocal n
        n += 1
        return n

    return up


def put(values, value):
    values.append(value)
"""
USES = {
    "next": ("extra = Kept()", "print(next(extra))", "extra (Kept.__next__()"),
    "a block": ("extra = Kept()", "with extra: pass", "extra (Kept."),
    "an operator": ("extra = Kept()", "extra << loss.item()", "extra (Kept."),
    "a property": ("extra = Kept()", "print(extra.value)", "extra (Kept.value()"),
    "a class": ("extra = 0", "Kept.tick()", "Kept.total (Kept.tick()"),
    "what a call gives": ("extra = 0", "the().n += 1", "the().n (the loop"),
    "a closure": ("extra = counter()", "print(extra())", "n (counter.up()"),
    "setattr": ("extra = Kept()", "setattr(extra, 'n', extra.n + 1)", "extra (setattr()"),
    "vars": ("extra = Kept()", "vars(extra)['n'] = extra.n + 1", "extra (vars()"),
    "its dictionary": ("extra = Kept()", "extra.__dict__.update(n=extra.n + 1)", "extra (its __dict__"),
    "slots": ("extra = Slots()", "extra.up()", "extra (it may have no __dict__)"),
    "a partial": ("extra = functools.partial(put, [])", "extra(1)", "values (put()"),
    "an array": ("import numpy as np\nextra = np.zeros(2)", "extra = extra + 1", "extra (what it is given is no plain"),
}


@pytest.mark.parametrize("use", USES)
def test_what_goes_on_out_of_sight_is_said(use: str) -> None:
    """Each began anew from a checkpoint of Lightning's, without a word."""
    made, inside, wanted = USES[use]
    after = rewritten(training("function", made, inside, GIVEN))
    assert "LM301" in after.codes, after.messages
    (said,) = [message for message in after.messages if "do not hold" in message]
    assert wanted in said


def test_objects_that_are_only_looked_at_are_not_said() -> None:
    """Settings, a list of names, an object whose methods change nothing."""
    after = rewritten(
        program("""
    class Settings:
        def __init__(self):
            self.every, self.names = 2, ["a", "b"]

        def __getitem__(self, key):
            return getattr(self, key)

        def __len__(self):
            return len(self.names)

        @property
        def twice(self):
            return 2 * self.every


    def main():
        settings = Settings()
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(data, batch_size=6, shuffle=True)
        for epoch in range(3):
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                print(settings["every"], len(settings), settings.twice, settings.names[0])


    main()
    """)
    )
    assert "LM301" in after.codes, after.messages
    assert not [message for message in after.messages if "do not hold" in message], after.messages
