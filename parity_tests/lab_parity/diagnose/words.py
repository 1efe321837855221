"""Numbers as a person would say them."""

from __future__ import annotations

__all__ = ["fitted", "number", "times"]


def number(value: float) -> str:
    """Six significant digits, or fewer where they are zeros; nobody writes -0."""
    return f"{value + 0.0:.6g}"


def fitted(value: float) -> str:
    """A number that a fit on float32 found, as a person would have written it: 9.99998e-09 is 1e-08."""
    near = float(f"{value:.2g}")
    return number(near if abs(near - value) <= 1e-5 * abs(value) else value)


def times(ratio: float) -> str:
    """A ratio: "1.001 times", "half", "minus"."""
    return f"{number(ratio)} times"
