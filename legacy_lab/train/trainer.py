"""Lab's trainer: counts optimizer steps, and does everything else between two of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gin
import torch
from torch import Tensor, nn

from legacy_lab.data.loader import BatchSource
from legacy_lab.optim.optimizer import AnyOptimizer
from legacy_lab.track import Tracker
from legacy_lab.train import checkpoint
from legacy_lab.train.ema import EMA
from legacy_lab.train.evaluation import Evaluation
from legacy_lab.train.hooks import Hook, Metrics
from legacy_lab.train.parts import attach, load_state_of, state_of
from legacy_lab.train.precision import Precision
from legacy_lab.train.steppers import Plain, Stepper

#: From a model and a batch to a loss of shape `()` and metrics.
Objective = Callable[[nn.Module, Any], tuple[Tensor, Metrics]]


@gin.configurable
class Trainer:
    """Trains a model for a number of optimizer steps.

    `model`, `loader`, `eval_loader` and `optimizer` are factories (in gin: references without parentheses), since the
    trainer builds them in this order after `torch.manual_seed(seed)`; `optimizer` is called with the model.

    The order of one step: `before_step` hooks; what the `stepper` does, as a rule batch, objective and
    `optimizer.step` until there was an update; EMA; `after_step` hooks; log; evaluation; checkpoint. Files go to
    `run_dir`: the tracker's, and `step_<n>.lab`. Objective and hooks that have `state` and `load_state` are part of
    a checkpoint. `compiled` names submodules for torch.compile.
    """

    def __init__(
        self,
        model: Callable[[], nn.Module] = gin.REQUIRED,
        objective: Objective = gin.REQUIRED,
        optimizer: Callable[[nn.Module], AnyOptimizer] = gin.REQUIRED,
        loader: Callable[[], BatchSource] = gin.REQUIRED,
        steps: int = gin.REQUIRED,
        eval_loader: Callable[[], BatchSource] | None = None,
        eval_every: int = 0,
        eval_batches: int | None = None,
        hooks: Sequence[Hook] = (),
        ema: EMA | None = None,
        checkpoint_every: int = 0,
        log_every: int = 10,
        run_dir: str | Path = "runs/default",
        seed: int = 0,
        device: str = "cpu",
        stepper: Stepper | None = None,
        precision: Precision | None = None,
        evaluation: Evaluation | None = None,
        compiled: Sequence[str] = (),
    ) -> None:
        torch.manual_seed(seed)
        self.model = model().to(device)
        self.precision = precision
        if precision is not None:
            precision.prepare(self.model)
        for path in compiled:
            self.model.get_submodule(path).compile()
        self.loader: Any = loader()
        self.eval_loader: Any = eval_loader() if eval_loader is not None else None
        self.optimizer = optimizer(self.model)
        self.objective, self.hooks, self.ema = objective, list(hooks), ema
        self.steps, self.eval_every, self.eval_batches = steps, eval_every, eval_batches
        self.checkpoint_every, self.log_every = checkpoint_every, log_every
        self.run_dir, self.seed, self.device = Path(run_dir), seed, device
        self.tracker = Tracker(run_dir)
        self.stepper, self.evaluation = stepper or Plain(), evaluation or Evaluation()
        self.step = 0
        self.mid_step = False  # hooks know of the step, but it is not done
        self.last_metrics: dict[str, float] = {}

    def train(self, resume: str | Path | None = None) -> dict[str, float]:
        """Train up to `steps`; go on from the checkpoint `resume`, or from the newest in `run_dir` for "latest".

        Returns the last step's metrics, those of the last evaluation as `eval/…`.
        """
        self.prepare(resume)
        try:
            self.run()
        finally:
            self.tracker.close()
        return self.last_metrics

    def prepare(self, resume: str | Path | None = None) -> None:
        """Resume and start the tracker."""
        if resume is not None:
            self.load(self.latest() if str(resume) == "latest" else Path(resume))
        self.tracker.start(gin.config_str())

    def run(self) -> None:
        """The loop itself."""
        self.before_train()
        while self.step < self.steps:
            self.after_step(self.train_step())
        self.after_train()

    def before_train(self) -> None:
        """What happens once before the first step."""
        self.model.train()
        attach(self.loader, self)
        for hook in self.hooks:
            hook.before_train(self)
        if self.evaluation.at_start and self.step == 0 and not self.mid_step:
            self.evaluate()

    def train_step(self) -> Metrics:
        """One step; metrics are those of its last loss."""
        if not self.mid_step:
            for hook in self.hooks:
                hook.before_step(self)
        self.mid_step = True
        metrics = self.stepper(self)
        self.mid_step = False
        if self.ema is not None:
            self.ema.update(self.model)
        self.step += 1
        return metrics

    def compute(self, batch: Any) -> tuple[Tensor, Metrics]:
        """The objective's loss and metrics, in the trainer's precision."""
        with self.precision.context() if self.precision is not None else contextlib.nullcontext():
            return self.objective(self.model, batch)

    def after_step(self, metrics: Metrics) -> None:
        """What happens between two steps."""
        for hook in self.hooks:
            hook.after_step(self, metrics)
        if self.log_every and self.step % self.log_every == 0:
            self.log({name: float(value) for name, value in metrics.items()})
        if self.eval_every and self.step % self.eval_every == 0:
            self.evaluate()
        if self.checkpoint_every and self.step % self.checkpoint_every == 0:
            path = self.run_dir / f"step_{self.step:08d}.lab"
            self.save(path)
            for hook in self.hooks:
                hook.after_save(self, path)
        for hook in self.hooks:
            hook.after_batch(self)

    def after_train(self) -> None:
        """What happens once after the last step."""
        for hook in self.hooks:
            hook.after_train(self)

    def evaluate(self) -> dict[str, float]:
        """Evaluate now, log what was found and tell the hooks."""
        found = self.evaluation(self)
        self.log(found)
        for hook in self.hooks:
            hook.after_eval(self, found)
        return found

    def log(self, metrics: dict[str, float]) -> None:
        """Give metrics to the tracker under the present step."""
        self.last_metrics.update(metrics)
        self.tracker.log(self.step, metrics)

    def state(self) -> dict[str, Any]:
        """All that a bitwise resume needs, generators included."""
        return {
            "step": self.step,
            "mid_step": self.mid_step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state(),
            "loader": self.loader.state(),
            "eval_loader": self.eval_loader.state() if self.eval_loader is not None else None,
            "ema": self.ema.state() if self.ema is not None else None,
            "objective": state_of(self.objective),
            "hooks": [state_of(hook) for hook in self.hooks],
            "rng": checkpoint.generator_states(),
            "config": gin.config_str(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.step, self.mid_step = state["step"], state.get("mid_step", False)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state(state["optimizer"])
        self.loader.load_state(state["loader"])
        if self.eval_loader is not None and state["eval_loader"] is not None:
            self.eval_loader.load_state(state["eval_loader"])
        if self.ema is not None and state["ema"] is not None:
            self.ema.load_state(state["ema"])
        load_state_of(self.objective, state.get("objective"))
        for hook, its_state in zip(self.hooks, state.get("hooks", ()), strict=False):
            load_state_of(hook, its_state)
        checkpoint.set_generator_states(state["rng"])

    def save(self, path: str | Path) -> None:
        """Write a checkpoint."""
        checkpoint.write(Path(path), self.state())

    def load(self, path: str | Path) -> None:
        """Read a checkpoint that `save` wrote."""
        self.load_state(checkpoint.read(Path(path)))

    def latest(self) -> Path:
        """The newest checkpoint in `run_dir`."""
        found = sorted(self.run_dir.glob("step_*.lab"))
        if not found:
            raise FileNotFoundError(
                f"{self.run_dir}: expected a checkpoint step_*.lab, found none; train without resume"
            )
        return found[-1]
