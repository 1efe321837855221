"""A loop further up is part of the training unless its iterations hand on objects that no checkpoint holds."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from lab_migrate.convert import convert_project

PROGRAM = """
import copy

import torch


class Trainer:
    def __init__(self, teacher=None):
        self.model = torch.nn.Linear(2, 1)
        self.teacher = teacher
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1)

    def epoch(self):
        for x in torch.randn(3, 4, 2):
            loss = self.model(x).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()

    def fit(self):
        for number in range(2):
            loss = self.epoch()
        return loss

    def copied(self):
        return copy.deepcopy(self.model)


{main}
"""
HANDED = {
    "a copy of the model": """
        teacher = None
        for generation in range(3):
            trainer = Trainer(teacher)
            trainer.fit()
            teacher = copy.deepcopy(trainer.model)
    """,
    "a copy that a method makes": """
        models = []
        for generation in range(3):
            trainer = Trainer()
            trainer.fit()
            models.append(trainer.copied())
    """,
    "the best trainer": """
        lowest, best = 1e9, None
        for generation in range(3):
            trainer = Trainer(best)
            loss = trainer.fit()
            if loss < lowest:
                lowest, best = loss, trainer.model
    """,
    "an attribute": """
        class Study:
            def run(self):
                for generation in range(3):
                    self.trainer = Trainer(self.trainer.model if generation else None)
                    self.trainer.fit()
        Study().run()
    """,
}
NUMBERS = {
    "losses": """
        total, lowest, losses = 0.0, 1e9, []
        for generation in range(3):
            trainer = Trainer()
            loss = trainer.fit()
            losses.append(loss)
            total += loss
            if loss < lowest:
                lowest = loss
                print("lowest", lowest)
    """,
    "nothing": """
        for generation in range(3):
            print(Trainer().fit())
    """,
}


def _said(tmp_path: Path, main: str) -> str:
    (tmp_path / "train.py").write_text(PROGRAM.replace("{main}", dedent(main)))
    (message,) = [one.message for one in convert_project(tmp_path, entry="train.py").findings if one.code == "LM201"]
    return message


@pytest.mark.parametrize("name", HANDED)
def test_a_loop_that_hands_objects_on_stays_the_programs(tmp_path: Path, name: str) -> None:
    """Each of its iterations is a training, and is trained again by a resumed program, which is said."""
    assert "is a training of its own, and a resumed program runs those before" in _said(tmp_path, HANDED[name])


@pytest.mark.parametrize("name", NUMBERS)
def test_a_loop_that_hands_numbers_on_is_part_of_the_training(tmp_path: Path, name: str) -> None:
    """A checkpoint holds them."""
    assert "a training of its own" not in _said(tmp_path, NUMBERS[name])
