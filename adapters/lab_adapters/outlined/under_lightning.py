"""An outlined loop under Lightning's Trainer. It imports Lightning; `fits` imports it when a loop is driven."""

from __future__ import annotations

import contextlib
import signal
import warnings
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch

from lab_adapters.faithful_settings import faithful, quiet
from lab_adapters.outlined.driver import Driver
from lab_adapters.outlined.module import OutlinedModule
from lab_adapters.outlined.scalars import scalars_to_loggers
from lab_adapters.outlined.settings import require_possible

__all__ = ["train"]


def train(driver: Driver, settings: dict[str, Any]) -> None:
    """Run the driver's iterations as the batches of a Trainer with these settings, and `ckpt_path` of its `fit`."""
    device = driver.found.device
    require_possible(settings, device)
    interruption = _Interruption()
    ckpt_path = settings.pop("ckpt_path", None)
    given = settings.pop("callbacks", None) or []
    callbacks = [*(given if isinstance(given, list | tuple) else [given]), interruption]
    # Nobody else has the Trainer in hand, to write a checkpoint.
    driver.places.keeps = len(callbacks) > 1 or bool(settings.get("enable_checkpointing"))
    handler = signal.getsignal(signal.SIGINT)
    with quiet(), _same_anomaly_mode() as anomaly:
        wanted = {"detect_anomaly": anomaly, **settings, "callbacks": callbacks}
        arguments = faithful(device, **wanted)
        trainer = pl.Trainer(**arguments)
        # A program that never asked for it is not to survive a SIGTERM.
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
        try:
            with scalars_to_loggers(trainer):
                trainer.fit(OutlinedModule(driver), driver, ckpt_path=ckpt_path)
        except SystemExit:
            if interruption.error is None:
                raise
            signal.signal(signal.SIGINT, handler)
            raise interruption.error from None


@contextlib.contextmanager
def _same_anomaly_mode() -> Iterator[bool]:
    """Lightning sets autograd's anomaly mode for the whole fit; it is told what the program had set."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*detect_anomaly=True.*")
        yield torch.is_anomaly_enabled()


class _Interruption(pl.Callback):
    """Remembers a Ctrl+C that Lightning turns into an exit, so that the program's own handlers see it."""

    def __init__(self) -> None:
        self.error: KeyboardInterrupt | None = None

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Keep it."""
        if isinstance(exception, KeyboardInterrupt):
            self.error = exception
