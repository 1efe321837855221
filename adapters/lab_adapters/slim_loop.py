"""Lightning's loop over batches without its detours: the same hooks, in the same order, with the same numbers.

Between two batches Lightning enters profiler contexts that nobody asked for, sets attributes through
`nn.Module.__setattr__`, inspects signatures, moves tokens to a device and recomputes metrics that nobody reads:
about half a millisecond a step. `slim(trainer)` puts a subclass of its epoch loop in the epoch loop's place. All
state, and so every checkpoint, is the stock loop's; only the way from one batch to the next is shorter.

Where that way could be told from the stock one, the stock one is taken, and a line in this module's log (level INFO)
says why. That includes every Lightning whose functions are not, to the letter, those the way was written against.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loops.fetchers import _DataFetcher, _PrefetchDataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection
from lightning.pytorch.utilities.combined_loader import CombinedLoader, _MaxSizeCycle
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature

from lab_adapters.loader import TokenLoader
from lab_adapters.slim_log import StepLog
from lab_adapters.slim_loop_ground import strange_ground
from lab_adapters.strategy import FaithfulStrategy

__all__ = ["SlimEpochLoop", "slim"]

log = logging.getLogger(__name__)

_TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


def slim(trainer: pl.Trainer) -> bool:
    """Let `trainer.fit` take the short way from batch to batch; True if it will where nothing speaks against it.

    Call it before `fit`. Whether a fit did take it, and why not, is in `trainer.fit_loop.epoch_loop.obstacles`.
    """
    obstacles = strange_ground()
    stock = trainer.fit_loop.epoch_loop
    if type(stock) is not _TrainingEpochLoop:
        obstacles.append(f"the epoch loop is a {type(stock).__qualname__}, not Lightning's own")
    if obstacles:
        _say(obstacles)
        return False
    trainer.fit_loop.epoch_loop = SlimEpochLoop(trainer, stock.min_steps, stock.max_steps)
    return True


class SlimEpochLoop(_TrainingEpochLoop):
    """The stock epoch loop; `run` goes the short way, for manual optimization over tokens on a single device.

    `obstacles` says after a run why it did not (empty: it did).
    """

    def __init__(self, trainer: pl.Trainer, min_steps: int | None = None, max_steps: int = -1) -> None:
        super().__init__(trainer, min_steps, max_steps)
        self.obstacles: list[str] = []
        self.log_step = StepLog()

    def run(self, data_fetcher: _DataFetcher) -> None:
        """One epoch."""
        self.obstacles = list(_obstacles(self, data_fetcher))
        if self.obstacles:
            _say(self.obstacles)
            super().run(data_fetcher)
            return
        self.reset()
        self.on_run_start(data_fetcher)
        try:
            # The first batch may be a restart, which is the stock loop's own business.
            if not self.done:
                try:
                    self.advance(data_fetcher)
                    self.on_advance_end(data_fetcher)
                finally:
                    self.on_iteration_done()
                self._run_on(data_fetcher)
        except StopIteration:
            pass

    def _run_on(self, data_fetcher: _DataFetcher) -> None:
        """The batches after the first. `StopIteration` ends the epoch, as in the stock loop."""
        trainer, module, results = self.trainer, self.trainer.lightning_module, self._results
        connector, signals, strategy = trainer._logger_connector, trainer._signal_connector, trainer.strategy
        progress, manual, fit_loop = self.batch_progress, self.manual_optimization, trainer.fit_loop
        stepped = manual.optim_step_progress.total
        # Lightning declares these as the trackers' base class.
        total: Any = progress.total
        current: Any = progress.current
        training_step, takes_index = module.training_step, _takes_index(module)
        tokens: Any = data_fetcher.iterator._iterator  # type: ignore[union-attr]
        logged = _logged(results)
        state = module.__dict__  # nn.Module.__setattr__ would look for parameters and buffers of the name
        try:
            while True:
                if (
                    stepped.completed >= self.max_steps != -1
                    or progress.is_last_batch
                    or current.ready == fit_loop.max_batches
                    or trainer.should_stop
                ) and self.done:
                    return

                # advance: the next token
                (batch,), _, _ = next(tokens)
                data_fetcher.fetched += 1
                data_fetcher.done = progress.is_last_batch = data_fetcher.fetched >= data_fetcher.length  # type: ignore[operator]
                batch_idx = current.ready
                total.ready += 1
                current.ready += 1
                connector._first_loop_iter = connector._first_loop_iter is None
                results.batch, results.batch_size, results.dataloader_idx = batch, None, None

                # advance: the step and the hooks around it
                before = state["_current_fx_name"]
                state["_current_fx_name"] = "on_train_batch_start"
                for callback in trainer.callbacks:
                    callback.on_train_batch_start(trainer, module, batch, batch_idx)
                response = module.on_train_batch_start(batch, batch_idx)
                output: dict[str, Any] | None = None
                if response == -1:
                    progress.increment_by(0, is_last_batch=True)
                else:
                    total.started += 1
                    current.started += 1
                    for optimizer in strategy._lightning_optimizers:
                        optimizer._on_before_step = manual._on_before_step
                        optimizer._on_after_step = manual._on_after_step
                    state["_current_fx_name"] = "training_step"
                    output = {}
                    try:
                        returned = training_step(batch, batch_idx) if takes_index else training_step(batch)
                        if returned is not None:
                            output = manual.output_result_cls.from_training_step_output(returned).asdict()
                    except StopIteration:
                        before = "training_step"  # the stock loop forgets to restore it
                    manual.on_run_end()
                total.processed += 1
                current.processed += 1
                state["_current_fx_name"] = before
                if response == -1:
                    raise StopIteration
                state["_current_fx_name"] = "on_train_batch_end"
                for callback in trainer.callbacks:
                    callback.on_train_batch_end(trainer, module, output, batch, batch_idx)
                module.on_train_batch_end(output, batch, batch_idx)
                state["_current_fx_name"] = before
                results.batch = results.batch_size = None
                logged = _logged(results)
                total.completed += 1
                current.completed += 1

                # advance: metrics to the loggers; on_advance_end
                every = trainer.log_every_n_steps
                if trainer.loggers and every and ((self._batches_that_stepped + 1) % every == 0 or trainer.should_stop):
                    connector.log_metrics(connector.metrics["log"])
                self._batches_that_stepped += 1
                if trainer.should_stop:
                    self._save_loggers_on_train_batch_end()
                if signals.received_sigterm and not self._is_training_done:
                    raise SIGTERMException
        finally:
            _take_over(trainer, logged)


def _logged(results: _ResultCollection) -> dict[str, tuple[Any, bool]]:
    """The metrics of a step as they stand."""
    return {key: (metric._forward_cache, metric.has_reset) for key, metric in results.items()}


def _take_over(trainer: pl.Trainer, logged: dict[str, tuple[Any, bool]]) -> None:
    """Give the trainer the metrics that stood at the end of the last whole batch.

    The stock loop does so after each batch. While the results stand, the trainer's properties look into them
    themselves, so once is enough.
    """
    results = trainer.fit_loop.epoch_loop._results
    standing = _logged(results)
    for key, metric in results.items():
        metric._forward_cache, metric.has_reset = logged.get(key, (None, True))
    trainer._logger_connector.on_batch_end()
    for key, metric in results.items():
        metric._forward_cache, metric.has_reset = standing[key]


def _obstacles(loop: SlimEpochLoop, fetcher: _DataFetcher) -> Iterator[str]:
    """What speaks against the short way in this fit."""
    trainer = loop.trainer
    module, strategy = trainer.lightning_module, trainer.strategy
    for part, expected in (
        (strategy, FaithfulStrategy),
        (strategy.precision_plugin, Precision),
        (trainer.profiler, PassThroughProfiler),
        (fetcher, _PrefetchDataFetcher),
        (trainer.fit_loop._combined_loader, CombinedLoader),
        (getattr(trainer.fit_loop._combined_loader, "_iterator", None), _MaxSizeCycle),
    ):
        if type(part) is not expected:
            yield f"expected a {expected.__qualname__}, found a {type(part).__qualname__}"
    if type(trainer.train_dataloader) is not TokenLoader:
        yield f"expected a TokenLoader, found a {type(trainer.train_dataloader).__qualname__}"
    if module.automatic_optimization:
        yield "automatic optimization"
    if strategy.model is not module:
        yield f"the strategy runs a {type(strategy.model).__qualname__} around the module"
    if trainer.accumulate_grad_batches != 1:
        yield "Trainer(accumulate_grad_batches) other than 1"
    if trainer.enable_validation:
        yield "a validation loop"
    if trainer.datamodule is not None:
        yield "a datamodule"
    if trainer.fast_dev_run:
        yield "Trainer(fast_dev_run)"
    for hook in _TRANSFER_HOOKS:
        if is_overridden(hook, module):
            yield f"the module overrides {hook}"
    for part in (
        trainer,
        loop,
        loop.manual_optimization,
        trainer._logger_connector,
        strategy,
        strategy.precision_plugin,
    ):
        for name in vars(part):
            if callable(getattr(type(part), name, None)):
                yield f"{type(part).__qualname__}.{name} was replaced on the instance"
    if logging.getLogger("lightning.pytorch.trainer.call").isEnabledFor(logging.DEBUG):
        yield "Lightning's debug log is on, which tells of every hook"


def _takes_index(module: pl.LightningModule) -> bool:
    return is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)


def _say(obstacles: list[str]) -> None:
    log.info("Lightning's own loop runs, not the slim one: %s", "; ".join(obstacles))
