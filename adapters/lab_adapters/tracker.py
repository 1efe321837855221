"""Legacy trackers and Lightning's loggers, each in place of the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from lab_adapters.protocols import LegacyTracker, Metrics


class TrackerLogger(Logger):
    """A legacy tracker as a Lightning logger: what Lightning logs lands in the legacy run folder."""

    def __init__(self, tracker: LegacyTracker, config: str = "") -> None:
        super().__init__()
        self.tracker = tracker
        self.config = config
        self._started = False

    @property
    def name(self) -> str:
        """The tracker's class."""
        return type(self.tracker).__name__

    @property
    def version(self) -> str:
        """A tracker has one run."""
        return "0"

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """One line a call; Lightning's own `epoch` is left out, which legacy runs never had."""
        if not self._started:
            self.tracker.start(self.config)
            self._started = True
        self.tracker.log(step or 0, {name: float(value) for name, value in metrics.items() if name != "epoch"})

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the tracker got its config at the start."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the tracker."""
        if self._started:
            self.tracker.close()
            self._started = False


@attrs.frozen
class Logging:
    """Between two steps: every `every` steps the step's metrics are reported, as the legacy trainer did it."""

    every: int = attrs.field(validator=attrs.validators.gt(0))
    report: Callable[[int, dict[str, float]], None]

    def __call__(self, module: Any, metrics: Metrics) -> None:
        """Report if it is time."""
        if module.step % self.every == 0:
            self.report(module.step, {name: float(value) for name, value in metrics.items()})
