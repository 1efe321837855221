"""What could not be recorded is written down, never raised into the user's program."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ParamSpec, TypeVar

from lab_parity.record.uncompiled import Uncompiled

__all__ = ["Notes"]

P = ParamSpec("P")
T = TypeVar("T")


class Notes:
    """Collects what went wrong in the recorder itself; a comparison that meets a note is inconclusive.

    `around` is entered whenever the recorder is at work.
    """

    def __init__(self) -> None:
        self.around: Callable[[], AbstractContextManager[object]] = nullcontext
        self._notes: dict[str, None] = {}

    def guard(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What `function` returns, None where it would raise; the user's program goes on as if unrecorded."""
        try:
            with Uncompiled(), self.around():
                return function(*args, **kwargs)
        except Exception as error:
            self._notes.setdefault(f"{type(error).__name__}: {error}")
            return None

    def take(self) -> list[str]:
        """The notes since the last call."""
        notes, self._notes = list(self._notes), {}
        return notes
