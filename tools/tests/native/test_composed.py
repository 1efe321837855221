"""Level L3: settings beside each other, at random."""

from __future__ import annotations

from typing import Any

import pytest

from .composed import composed, composed_by_hand

#: Of some that were proven: a generator and its critic, scales, copies in fp32, averages and hooks are in them.
PROVEN = (0, 2, 4, 5, 8, 22)


@pytest.mark.parametrize("number", PROVEN)
def test_a_composed_project_has_the_bits_of_labs(native: Any, number: int) -> None:
    """Over all its steps."""
    native.identical(*composed(number))


@pytest.mark.parametrize("number", [4, 5, 16, 19])
def test_a_composed_project_whose_steps_are_taken_by_hand_has_the_bits_of_labs(native: Any, number: int) -> None:
    """Whatever else it has."""
    native.identical(*composed_by_hand(number))


def test_no_composed_project_stops_the_conversion(native: Any) -> None:
    """Each is converted or refused by a finding that says why."""
    said = [native.only_converted(number, *composed(number)) for number in range(30)]
    assert 20 < sum(not one for one in said) < 30, "most are converted, and not all"
