"""Batches made in a background thread."""

from __future__ import annotations

import queue
import threading
from typing import Any

import gin


@gin.configurable
class Prefetch:
    """A thread asks `loader` for up to `depth` batches ahead of the training.

    The loader runs ahead of what was dealt out, so each batch carries the loader's state after it: that is what a
    checkpoint holds. The loader must not draw from the global generators, which the training draws from meanwhile.
    """

    def __init__(self, loader: Any, depth: int = 2) -> None:
        self.loader, self.depth = loader, depth
        self.epoch_ended = False
        self.batches_per_epoch: int | None = getattr(loader, "batches_per_epoch", None)
        self._dealt: dict[str, Any] = loader.state()
        self._queue: queue.Queue[tuple[Any, bool, Any]] = queue.Queue()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def next_batch(self) -> Any:
        """The batch that was made first. An error of the loader's is raised here."""
        if self._thread is None:
            self._queue, self._stop = queue.Queue(self.depth), threading.Event()
            self._thread = threading.Thread(target=self._fill, args=(self._queue, self._stop), daemon=True)
            self._thread.start()
        batch, self.epoch_ended, state = self._queue.get()
        if isinstance(state, Exception):
            raise state
        self._dealt = state
        return batch

    def state(self) -> dict[str, Any]:
        """The loader's, after the batch that was dealt out last."""
        return {"epoch_ended": self.epoch_ended, "loader": self._dealt}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on; batches that were made ahead are forgotten."""
        if self._thread is not None:
            self._stop.set()
            while self._thread.is_alive():
                while not self._queue.empty():
                    self._queue.get_nowait()
                self._thread.join(0.01)
            self._thread = None
        self.loader.load_state(state["loader"])
        self.epoch_ended, self._dealt = state["epoch_ended"], state["loader"]

    def _fill(self, into: queue.Queue[tuple[Any, bool, Any]], stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                item = (self.loader.next_batch(), self.loader.epoch_ended, self.loader.state())
            except Exception as error:
                into.put((None, False, error))
                return
            into.put(item)
