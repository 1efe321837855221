"""A whole legacy training as a LightningModule: Lightning's loop around the legacy step, verbatim."""

from __future__ import annotations

from typing import Any

import torch

from lab_adapters.generators import generator_states, set_generator_states
from lab_adapters.lean_module import EndedError, LeanModule
from lab_adapters.optimizer import LOADED, OptimizerAdapter
from lab_adapters.progress import count_step, move_end, require_tokens, resume_at
from lab_adapters.protocols import LegacyTraining, require

#: The key of a Lightning checkpoint under which the legacy training's own state lies.
LEGACY_KEY = "legacy_training"


class StepModule(LeanModule):
    """Runs a `LegacyTraining` under manual optimization; level L1 of a migration.

    One Lightning batch is one legacy optimizer step with everything the legacy loop does after it, so callbacks see
    the state that legacy hooks saw. Checkpoints hold the legacy state, generators included; a resumed run restores
    the generators last, when Lightning will not draw any more.
    """

    def __init__(self, training: LegacyTraining) -> None:
        super().__init__()
        require(LegacyTraining, training, "training")
        self.automatic_optimization = False
        self.model = training.model
        # A plain attribute would be taken for a submodule by modules that are both; keep it out of the registry.
        object.__setattr__(self, "training_", training)
        self._resumed: dict[str, Any] | None = None
        self._monitored = self._started = False
        self._end = training.steps

    @property
    def legacy(self) -> LegacyTraining:
        """The legacy training."""
        training: LegacyTraining = self.__dict__["training_"]
        return training

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The legacy optimizer, behind an adapter that Lightning saves and loads but never steps."""
        return OptimizerAdapter(self.legacy.optimizer)

    def on_train_start(self) -> None:
        """Restore the generators of a resumed run, then start as the legacy loop does."""
        require_tokens(self.trainer)
        if self._resumed is not None:
            set_generator_states(self._resumed)
            self._resumed = None
        # Metrics are handed over only where somebody can read them.
        trainer: Any = self.trainer  # Lightning sets `callbacks` without declaring it
        self._monitored = bool(trainer.loggers or trainer.callbacks)
        self._started = True
        self.legacy.before_train()
        self.follow_end()

    def training_step(self, token: int, batch_idx: int) -> None:
        """One legacy step and what follows it. Raises `EndedError` for a `StopIteration` of the legacy code's."""
        try:
            self._step()
        except StopIteration as ended:
            raise EndedError.at(self.legacy.step) from ended

    def _step(self) -> None:
        metrics = self.legacy.train_step()
        count_step(self.trainer)
        if self._monitored:
            self.log_step(metrics)
        self.legacy.after_step(metrics)
        self.follow_end()

    def follow_end(self, batches: int = 1) -> None:
        """End where the legacy loop ends now: a hook may have moved its `steps`, of `batches` batches each."""
        if self.legacy.steps != self._end:
            self._end = self.legacy.steps
            move_end(self.trainer, self._end, self._end * batches)

    def on_train_end(self) -> None:
        """End as the legacy loop does."""
        self.legacy.after_train()

    def on_fit_end(self) -> None:
        """Start and end a training that has no step left: Lightning passes over it, a legacy trainer does not."""
        if not self._started:
            self.on_train_start()
            self.on_train_end()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not save: loader, EMA, counters, generators."""
        # The model and the optimizer are in the checkpoint already, where Lightning puts them. Its copy of the
        # optimizer's state is let go of before `state` makes another, so that there never are two.
        copies = checkpoint.get("optimizer_states", ())
        for copy in copies:
            copy.clear()
        state = self.legacy.state()
        for copy in copies:
            copy["legacy"] = state["optimizer"]
        checkpoint[LEGACY_KEY] = {key: value for key, value in state.items() if key not in ("model", "optimizer")}
        checkpoint[LEGACY_KEY]["rng"] = generator_states()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load the legacy state. Raises `KeyError` for a checkpoint that has none."""
        if LEGACY_KEY not in checkpoint:
            raise KeyError(
                f"checkpoint: expected the key {LEGACY_KEY!r}, found {', '.join(checkpoint)}; "
                "resume from a checkpoint that this module or the legacy trainer wrote"
            )
        prefix = "model."
        model = {
            key.removeprefix(prefix): value for key, value in checkpoint["state_dict"].items() if key.startswith(prefix)
        }
        optimizer = checkpoint["optimizer_states"][0]["legacy"]
        state = {**checkpoint[LEGACY_KEY], "model": model, "optimizer": optimizer}
        self.legacy.load_state(state)
        checkpoint["optimizer_states"] = [{"legacy": LOADED}]
        self._resumed = state["rng"]
        resume_at(checkpoint, self.trainer, state["step"])
