"""Signals whose handler raises (Ctrl-C, or a SIGTERM that exits) reach the program's own code, as in its own loop.

Lightning's loop runs between two iterations. An interruption that arrives there would end the fit as Lightning does,
past the program's handlers inside the loop; it waits for the program's next line instead.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import attrs

__all__ = ["Signals"]

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM")


@attrs.define(eq=False)
class Signals:
    """What was raised by a handler outside of the program's code, and whether its code runs now."""

    in_program: bool = False
    _waits: BaseException | None = None
    _over: bool = False

    def take(self) -> BaseException | None:
        """What a handler raised while Lightning's code ran, if one did; once."""
        waits, self._waits = self._waits, None
        return waits

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """In this block, handlers that are there now raise in the program's code only."""
        installed: dict[int, tuple[Any, Any]] = {}
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)
                handler = signal.getsignal(number) if number is not None else None
                if number is not None and callable(handler):
                    ours = self._around(handler)
                    installed[number] = ours, handler
                    signal.signal(number, ours)
        try:
            yield
        finally:
            self._over = True
            for number, (ours, handler) in installed.items():
                # The program may have set another one on the way.
                if signal.getsignal(number) is ours:
                    signal.signal(number, handler)

    def _around(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        def handle(number: int, frame: Any) -> Any:
            try:
                return handler(number, frame)
            except BaseException as raised:
                # A second one does not wait.
                if self.in_program or self._over or self._waits is not None:
                    raise
                self._waits = raised
                return None

        return handle
