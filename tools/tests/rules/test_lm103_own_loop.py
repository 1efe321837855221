"""LM103: a subclass with a loop of its own is refused."""

from __future__ import annotations

import pytest

from lab_migrate.convert.rules import lm103_own_loop as RULE  # noqa: F401


@pytest.mark.parametrize(
    "text",
    [
        "from legacy_lab import Trainer\nclass Mine(Trainer):\n    def train_step(self):\n        return {}\n",
        "import legacy_lab\nclass Other:\n    def run(self):\n        pass\n",
        "from legacy_lab import Trainer\nclass Mine(list):\n    def train(self):\n        pass\n",
    ],
)
def test_other_classes_are_no_finding(places, text: str) -> None:
    """What the drop-in calls as Lab did may be overridden; other classes may do what they like."""
    assert places(text) == []


@pytest.mark.parametrize("method", ["run", "train", "prepare"])
@pytest.mark.parametrize(
    "head",
    ["from legacy_lab import Trainer\nclass Mine(Trainer):", "import legacy_lab\nclass Mine(legacy_lab.Trainer):"],
)
def test_a_replaced_loop_is_left_to_a_person(places, convert, head: str, method: str) -> None:
    """On the drop-in it would run without Lightning ever being asked."""
    text = f"{head}\n    def {method}(self):\n        pass\n"
    assert places(text) == [(3, "manual")]
    assert convert(text) == text


def test_a_load_is_left_to_a_person(places, convert) -> None:
    """Lightning reads the file of a resumed run, and calls `load_state` only."""
    text = "from legacy_lab import Trainer\nclass Mine(Trainer):\n    def load(self, path):\n        pass\n"
    assert places(text) == [(3, "manual")]
    assert convert(text) == text
