"""What a part of a training may have and need not: a state, and a wish to know the trainer."""

from __future__ import annotations

from typing import Any


def state_of(part: Any) -> dict[str, Any] | None:
    """The part's state, or None where it has none."""
    return part.state() if hasattr(part, "state") and hasattr(part, "load_state") else None


def load_state_of(part: Any, state: dict[str, Any] | None) -> None:
    """Give a part back what `state_of` took."""
    if state is not None:
        part.load_state(state)


def attach(part: Any, trainer: Any) -> None:
    """Show the trainer to a part that reads its global step."""
    if hasattr(part, "attach"):
        part.attach(trainer)
