"""A legacy model, objective, loader and optimizer as a LightningModule, role by role; level L2 of a migration."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lab_adapters.evaluation import Evaluation
from lab_adapters.generators import generator_states, set_generator_states
from lab_adapters.lean_module import EndedError, LeanModule
from lab_adapters.loader import LoaderAdapter
from lab_adapters.optimizer import OptimizerAdapter
from lab_adapters.progress import count_step, move_end, require_tokens, resume_at
from lab_adapters.protocols import (
    Batch,
    LegacyEMA,
    LegacyHook,
    LegacyObjective,
    LegacyPrecision,
    LegacyStepper,
    Metrics,
    Stateful,
    require,
    require_plain,
)
from lab_adapters.step_module import LEGACY_KEY
from lab_adapters.stepping import until_updated


class BlockModule(LeanModule):
    """One Lightning batch is one optimizer step: batches and losses until the legacy optimizer has updated.

    The order is that of a legacy step: `before_step` hooks; what the `stepper` does, as a rule batch, objective and
    `optimizer.step(loss)` until it returns True; the EMA; `after_step` hooks. `between_steps` (see `Evaluation`)
    follows as a callback would, but before callbacks, so that checkpoints hold the state after it.

    The module stands where the legacy trainer stood: steppers, hooks and loaders that look at their trainer find
    `model`, `objective`, `loader`, `optimizer`, `ema`, `step`, `steps`, `hooks`, `run_dir`, `compute`, `evaluate`,
    `state` and `save` here, and `log`, which gives a mapping of metrics to `report` and anything else to Lightning.
    One that sets `steps` moves the end. `settings` is what else the legacy trainer had that may be looked at; setting
    any of it raises `AttributeError`, since nothing here would take notice.

    Parameters are named `model.…`. Checkpoints hold the state of every role and of the generators: Lightning's, and
    those that `save` writes through `writes`, which gets a path and a legacy trainer's `state()`.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: LegacyObjective,
        loader: LoaderAdapter,
        optimizer: OptimizerAdapter,
        ema: LegacyEMA | None = None,
        hooks: Sequence[LegacyHook] = (),
        between_steps: Sequence[Any] = (),
        stepper: LegacyStepper = until_updated,
        precision: LegacyPrecision | None = None,
        run_dir: str | Path = ".",
        writes: Callable[[Path, dict[str, Any]], None] | None = None,
        report: Callable[[int, dict[str, float]], None] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        for role, found, adapter in (("loader", loader, LoaderAdapter), ("optimizer", optimizer, OptimizerAdapter)):
            if not isinstance(found, adapter):
                raise TypeError(
                    f"{role}: expected {adapter.__name__}, found {type(found).__qualname__}; "
                    f"wrap it: {role}={adapter.__name__}(…)"
                )
        if not isinstance(model, nn.Module):
            raise TypeError(f"model: expected a torch.nn.Module, found {type(model).__qualname__}")
        for number, hook in enumerate(hooks):
            require(LegacyHook, hook, f"hooks[{number}]")
        if ema is not None:
            require(LegacyEMA, ema, "ema")
        self.automatic_optimization = False
        self.model = model
        self.objective, self.loader, self.ema = objective, loader, ema
        self.optimizer_adapter, self.optimizer = optimizer, optimizer.legacy
        self.stepper, self.precision = stepper, precision
        self.run_dir, self.writes, self.report = Path(run_dir), writes, report
        self.hooks, self.between_steps = list(hooks), list(between_steps)
        self.step = 0
        self.steps: int | None = None  # that of Lightning, once it trains
        self.mid_step = False
        self._resumed: dict[str, Any] | None = None
        self._started = False
        self._end: int | None = None
        self.__dict__["settings"] = settings or {}

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("settings", {}):
            return self.__dict__["settings"][name]
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        own = hasattr(type(self), name) or name in self.__dict__ or name in self.__dict__.get("_modules", {})
        if not own and name in self.__dict__.get("settings", {}):
            raise AttributeError(
                f"BlockModule.{name}: expected only looks at a setting of the legacy trainer, found it set to "
                f"{value!r}, of which explicit adapters take no notice; set it before training, or train at level L1"
            )
        super().__setattr__(name, value)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The adapter, which Lightning saves and loads but never steps."""
        return self.optimizer_adapter

    def on_train_start(self) -> None:
        """Restore the generators of a resumed run, then tell the hooks."""
        require_tokens(self.trainer)
        if self._resumed is not None:
            set_generator_states(self._resumed)
            self._resumed = None
        self._started = True
        self.steps = self._end = self.trainer.max_steps
        self.model.train()
        if hasattr(self.loader.legacy, "attach"):
            self.loader.legacy.attach(self)
        for hook in self.hooks:
            hook.before_train(self)
        if self.step == 0 and not self.mid_step:
            for follower in self.between_steps:
                if hasattr(follower, "at_start"):
                    follower.at_start(self)
        self._follow_end()

    def training_step(self, token: int, batch_idx: int) -> None:
        """One legacy optimizer step. Raises `EndedError` for a `StopIteration` of the legacy code's."""
        try:
            self._step()
        except StopIteration as ended:
            raise EndedError.at(self.step) from ended

    def _step(self) -> None:
        if not self.mid_step:
            for hook in self.hooks:
                hook.before_step(self)
        self.mid_step = True
        metrics = self.stepper(self)
        self.mid_step = False
        if self.ema is not None:
            self.ema.update(self.model)
        self.step += 1
        count_step(self.trainer)
        trainer: Any = self.trainer  # Lightning sets `callbacks` without declaring it
        if trainer.loggers or trainer.callbacks:
            self.log_step(metrics)
        for hook in self.hooks:
            hook.after_step(self, metrics)
        for follower in self.between_steps:
            follower(self, metrics)
        for hook in self.hooks:
            if hasattr(hook, "after_batch"):
                hook.after_batch(self)
        self._follow_end()

    def _follow_end(self) -> None:
        if self.steps is not None and self.steps != self._end:
            self._end = self.steps
            move_end(self.trainer, self.steps)

    def compute(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """The objective's loss and metrics, in the legacy precision."""
        with self.precision.context() if self.precision is not None else contextlib.nullcontext():
            return self.objective(self.model, batch)

    def next_batch(self) -> Batch:
        """The loader's next batch, on the device."""
        return self.loader.next_batch(self.device)

    def log(self, name: Any, *args: Any, **kwargs: Any) -> None:
        """Metrics by name, as a legacy trainer takes them; or one metric, as Lightning does.

        Raises `ValueError` for a mapping where `report` was not given.
        """
        if not isinstance(name, Mapping):
            super().log(name, *args, **kwargs)
        elif self.report is None:
            raise ValueError("BlockModule.log: expected report=… to log a mapping, found None; pass it")
        else:
            self.report(self.step, dict(name))

    def evaluate(self) -> dict[str, float]:
        """Evaluate now, report and tell the hooks; `{"eval/<metric>": mean}`.

        Raises `ValueError` where no `Evaluation` stands between steps.
        """
        for follower in self.between_steps:
            if isinstance(follower, Evaluation):
                return follower.evaluate(self)
        raise ValueError("BlockModule.evaluate: expected an Evaluation in between_steps, found none; pass one")

    def state(self) -> dict[str, Any]:
        """What a legacy trainer's `state()` says: model, optimizer, and all that Lightning's checkpoints lack."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state(), **self._roles()}

    def save(self, path: str | Path) -> None:
        """Write a checkpoint in the legacy format. Raises `ValueError` where `writes` was not given."""
        if self.writes is None:
            raise ValueError("BlockModule.save: expected writes=… to write the legacy format, found None; pass it")
        self.writes(Path(path), self.state())

    def on_train_end(self) -> None:
        """Tell the hooks."""
        for hook in self.hooks:
            hook.after_train(self)

    def on_fit_end(self) -> None:
        """Start and end a training that has no step left: Lightning passes over it, a legacy trainer does not."""
        if not self._started:
            self.on_train_start()
            self.on_train_end()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not save. Raises `TypeError` for a state that nothing could be resumed from."""
        checkpoint[LEGACY_KEY] = self._roles()
        require_plain(checkpoint[LEGACY_KEY], "state of")
        require_plain(self.optimizer.state(), "state of optimizer")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load it. Raises `KeyError` for a checkpoint that does not hold every role."""
        parts = self._stateful()
        missing = sorted({"step", "rng", *parts} - set(checkpoint.get(LEGACY_KEY, {})))
        if missing:
            raise KeyError(
                f"checkpoint: expected {LEGACY_KEY} with {', '.join(missing)}, found none; "
                "resume from a checkpoint of the same roles"
            )
        # Of a role that is a module a legacy checkpoint has what `state()` said, and no weights under its name here.
        for name, value in self.state_dict().items():
            if not name.startswith("model."):
                checkpoint["state_dict"].setdefault(name, value)
        state = checkpoint[LEGACY_KEY]
        for name, part in parts.items():
            if state[name] is not None:  # a legacy trainer without that role wrote it
                part.load_state(state[name])
        for role, its_state in zip(
            (self.objective, *self.hooks), (state.get("objective"), *state.get("hooks", ())), strict=False
        ):
            if its_state is not None:
                role.load_state(its_state)  # type: ignore[attr-defined]
        self.step, self.mid_step = state["step"], state.get("mid_step", False)
        self._resumed = state["rng"]
        resume_at(checkpoint, self.trainer, state["step"])

    def _roles(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "mid_step": self.mid_step,
            "rng": generator_states(),
            "objective": _state_of(self.objective),
            "hooks": [_state_of(hook) for hook in self.hooks],
            "eval_loader": None,
            "ema": None,
            **{name: part.state() for name, part in self._stateful().items()},
        }

    def _stateful(self) -> dict[str, Stateful]:
        parts: dict[str, Stateful] = {"loader": self.loader.legacy}
        if self.ema is not None:
            parts["ema"] = self.ema
        for follower in self.between_steps:
            if isinstance(getattr(follower, "loader", None), LoaderAdapter):
                parts["eval_loader"] = follower.loader.legacy
        return parts


def _state_of(role: Any) -> dict[str, Any] | None:
    return role.state() if isinstance(role, Stateful) else None
