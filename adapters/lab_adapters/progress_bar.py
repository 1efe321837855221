"""A progress bar that costs a fast training nothing."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from lightning.pytorch.callbacks import Callback, ProgressBar, TQDMProgressBar

__all__ = ["CalmProgressBar", "with_calm_bar"]


class CalmProgressBar(TQDMProgressBar):
    """Lightning's tqdm bar, drawn at most every `interval` seconds and at the last batch.

    Lightning's own bars draw every so many batches (tqdm) or a hundred times a second (rich), which costs more than
    a small training step does, and read the metrics each time, which makes a GPU wait.
    """

    def __init__(self, interval: float = 0.1, process_position: int = 0, leave: bool = False) -> None:
        super().__init__(refresh_rate=1, process_position=process_position, leave=leave)
        self.interval = interval
        self._drawn = -interval

    def _should_update(self, current: int, total: int | float | None) -> bool:
        now = monotonic()
        if not self.is_enabled or (now - self._drawn < self.interval and current != total):
            return False
        self._drawn = now
        return True


def with_calm_bar(callbacks: Sequence[Callback] | Callback | None, wanted: bool) -> list[Callback]:
    """The callbacks, with a calm bar after them where one is wanted and none is among them."""
    given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
    if wanted and not any(isinstance(callback, ProgressBar) for callback in given):
        given.append(CalmProgressBar())
    return given
