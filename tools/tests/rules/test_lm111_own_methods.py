"""LM111: at level L2 a subclass of Trainer with methods of its own is refused."""

from __future__ import annotations

import pytest

import legacy_lab
from lab_migrate.convert.rules import lm103_own_loop
from lab_migrate.convert.rules import lm111_own_methods as RULE


@pytest.mark.parametrize("method", RULE.METHODS)
def test_a_method_that_adapters_do_not_call_is_left_to_a_person(places, convert, method: str) -> None:
    """The finding stands at the method, and nothing is changed."""
    text = f"from legacy_lab import Trainer\nclass Mine(Trainer):\n    def {method}(self):\n        pass\n"
    assert places(text) == [(3, "manual")]
    assert convert(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "from legacy_lab import Trainer\nclass Mine(Trainer):\n    def latest(self):\n        return None\n",
        "from legacy_lab import Trainer\nclass Mine(list):\n    def save(self):\n        pass\n",
    ],
)
def test_other_methods_are_no_finding(places, text: str) -> None:
    """`latest` is called at level L2 as well; other classes may do what they like."""
    assert places(text) == []


def test_every_method_of_the_trainer_is_known() -> None:
    """One that Lab's trainer has, and neither rule knows, would be passed over."""
    public = {name for name in vars(legacy_lab.Trainer) if not name.startswith("_")}
    assert public == {*RULE.METHODS, *lm103_own_loop.LOOP, "load", "latest"}
