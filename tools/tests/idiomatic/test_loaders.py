"""Loaders that are made in functions of the project, or with arguments from a dictionary: looked up, not guessed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import Rewritten, program, rewritten

Same = Callable[..., str]

PROGRAM = """
    def loaders(workers):
        first = {first}
        return first, DataLoader(data, batch_size=8)

    def main(workers):
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        kwargs = {kwargs}
        loader, val_loader = {made}
        for epoch in range(2):
            for x, y in loader:
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    main(0)
"""
PLAIN = {"first": "DataLoader(data, batch_size=4, shuffle=True)", "kwargs": "dict(num_workers=0)", "made": "loaders(0)"}
HERE = "DataLoader(data, batch_size=4, **kwargs), DataLoader(data)"


def text(**parts: str) -> str:
    """The program with other parts."""
    return PROGRAM.format(**{**PLAIN, **parts})


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"first": "DataLoader(data, 4, generator=torch.Generator())"}, "a generator of its own"),
        ({"first": "DataLoader(data, 4, False, range(4))"}, "its sampler is not one of PyTorch's plain ones"),
        ({"made": HERE, "kwargs": "{'generator': torch.Generator()}"}, "a generator of its own"),
        ({"made": HERE, "kwargs": "dict(vars(workers), generator=1)"}, "cannot be told"),
        ({"made": HERE, "kwargs": "{}; kwargs['generator'] = torch.Generator()"}, "cannot be told"),
    ],
)
def test_a_loader_that_lightning_asks_otherwise_is_found_where_it_is_made(parts: dict[str, str], reason: str) -> None:
    """In the function that returns it, by position, in the dictionary behind two stars; what may be one is refused."""
    found = rewritten(program(text(**parts)))
    assert "LM301" not in found.codes
    assert any(reason in message for message in found.messages), found.messages


@pytest.mark.parametrize("parts", [{"first": "None if workers > 3 else make(workers)"}, {"made": "make(0), 1"}])
def test_a_loader_that_may_be_anything_is_said(parts: dict[str, str]) -> None:
    """It is rewritten, with a finding to verify."""
    found: Rewritten = rewritten(program(text(**parts)))
    assert any("may be no DataLoader" in message for message in found.messages)


def test_a_loader_of_a_trainer_is_looked_up_in_its_class(same: Same) -> None:
    """Unpacked from a function into attributes, used by a method that the epochs call on an object."""
    whole = """
        def loaders(kind):
            if kind == "a":
                return DataLoader(data, batch_size=4, shuffle=True), None
            return DataLoader(data, batch_size=8), None

        class Trainer:
            def __init__(self):
                self.model = Net()
                self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
                self.loader, self.val_loader = loaders("a")

            def training(self):
                for x, y in self.loader:
                    loss = F.cross_entropy(self.model(x), y)
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()

        def main():
            trainer = Trainer()
            for epoch in range(2):
                trainer.training()

        main()
    """
    assert not any("DataLoader" in message for message in rewritten(program(whole)).messages)
    same(whole)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"first": "DataLoader(data, 4, True) if workers else DataLoader(data, 4, sampler=None)"},
        {"made": HERE, "kwargs": "{'num_workers': workers} if workers else {}"},
        {"made": HERE, "kwargs": "dict(num_workers=workers)"},
    ],
)
def test_a_plain_loader_is_one_wherever_it_is_made(same: Same, parts: dict[str, str]) -> None:
    """No finding says that it may be something else; and the training is the same."""
    whole = text(**parts)
    assert not any("DataLoader" in message for message in rewritten(program(whole)).messages)
    same(whole)
