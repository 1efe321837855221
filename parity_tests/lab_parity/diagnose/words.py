"""Numbers as a person would say them."""

from __future__ import annotations

__all__ = ["number", "times"]


def number(value: float) -> str:
    """Six significant digits, or fewer where they are zeros."""
    return f"{value:.6g}"


def times(ratio: float) -> str:
    """A ratio: "1.001 times", "half", "minus"."""
    return f"{number(ratio)} times"
