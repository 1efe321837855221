"""Numbers in a cause's sentence are those that a person would have written."""

from __future__ import annotations

import pytest

from lab_parity.diagnose.words import fitted, number


@pytest.mark.parametrize(
    ("value", "said"),
    [(9.99998e-09, "1e-08"), (0.100001, "0.1"), (1.00002e-8, "1.00002e-08"), (0.9995, "0.9995"), (3.2e-6, "3.2e-06")],
)
def test_what_a_fit_found_is_rounded_within_its_own_error(value: float, said: str) -> None:
    """Float32 holds seven digits: a fit's last ones are noise, and 1.00002 is another number than 1."""
    assert fitted(value) == said


def test_a_number_that_was_read_is_not_rounded() -> None:
    """0.999999 is no 1 where a program was given it."""
    assert number(0.999999) == "0.999999"
    assert number(-0.0) == "0"
