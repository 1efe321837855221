"""What could not be recorded is written down, never raised into the user's program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["Notes"]

F = TypeVar("F", bound=Callable[..., Any])


class Notes:
    """Collects what went wrong in the recorder itself; a comparison that meets a note is inconclusive."""

    def __init__(self) -> None:
        self._notes: dict[str, None] = {}

    def guard(self, function: F) -> F:
        """`function`, returning None where it would raise; the user's program goes on as if unrecorded."""

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                self._notes.setdefault(f"{type(error).__name__}: {error}")
                return None

        return cast(F, guarded)

    def take(self) -> list[str]:
        """The notes since the last call."""
        notes, self._notes = list(self._notes), {}
        return notes
