"""Lab's trainer: counts optimizer steps, and does everything else between two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gin
import torch
from torch import Tensor, nn

from legacy_lab.data.loader import Loader
from legacy_lab.optim.optimizer import Optimizer
from legacy_lab.track import Tracker
from legacy_lab.train import checkpoint
from legacy_lab.train.ema import EMA
from legacy_lab.train.hooks import Hook, Metrics

Objective = Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, Metrics]]


@gin.configurable
class Trainer:
    """Trains a model for a number of optimizer steps.

    `model`, `loader`, `eval_loader` and `optimizer` are factories (in gin: references without parentheses), since the
    trainer builds them in this order after `torch.manual_seed(seed)`; `optimizer` is called with the model.

    The order of one step: `before_step` hooks; `accumulate` times batch, objective, `optimizer.step`; EMA;
    `after_step` hooks; log; evaluation; checkpoint. Files go to `run_dir`: the tracker's, and `step_<n>.lab`.
    """

    def __init__(
        self,
        model: Callable[[], nn.Module] = gin.REQUIRED,
        objective: Objective = gin.REQUIRED,
        optimizer: Callable[[nn.Module], Optimizer] = gin.REQUIRED,
        loader: Callable[[], Loader] = gin.REQUIRED,
        steps: int = gin.REQUIRED,
        eval_loader: Callable[[], Loader] | None = None,
        eval_every: int = 0,
        eval_batches: int | None = None,
        hooks: Sequence[Hook] = (),
        ema: EMA | None = None,
        checkpoint_every: int = 0,
        log_every: int = 10,
        run_dir: str | Path = "runs/default",
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(seed)
        self.model = model().to(device)
        self.loader = loader()
        self.eval_loader = eval_loader() if eval_loader is not None else None
        self.optimizer = optimizer(self.model)
        self.objective, self.hooks, self.ema = objective, list(hooks), ema
        self.steps, self.eval_every, self.eval_batches = steps, eval_every, eval_batches
        self.checkpoint_every, self.log_every = checkpoint_every, log_every
        self.run_dir, self.seed, self.device = Path(run_dir), seed, device
        self.tracker = Tracker(run_dir)
        self.step = 0
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
        for hook in self.hooks:
            hook.before_train(self)

    def train_step(self) -> Metrics:
        """One optimizer step; metrics are those of its last micro-step."""
        for hook in self.hooks:
            hook.before_step(self)
        updated = False
        while not updated:
            loss, metrics = self.objective(self.model, self.loader.next_batch())
            updated = self.optimizer.step(loss)
        if self.ema is not None:
            self.ema.update(self.model)
        self.step += 1
        return metrics

    def after_step(self, metrics: Metrics) -> None:
        """What happens between two steps."""
        for hook in self.hooks:
            hook.after_step(self, metrics)
        if self.log_every and self.step % self.log_every == 0:
            self.log({name: float(value) for name, value in metrics.items()})
        if self.eval_every and self.step % self.eval_every == 0:
            self.evaluate()
        if self.checkpoint_every and self.step % self.checkpoint_every == 0:
            self.save(self.run_dir / f"step_{self.step:08d}.lab")

    def after_train(self) -> None:
        """What happens once after the last step."""
        for hook in self.hooks:
            hook.after_train(self)

    def evaluate(self) -> dict[str, float]:
        """Mean metrics over the evaluation loader, in eval mode and with EMA weights where there are any."""
        if self.eval_loader is None:
            raise ValueError("Trainer.eval_loader: expected a loader factory, found None; bind it to evaluate")
        batches = self.eval_batches or self.eval_loader.batches_per_epoch
        totals: dict[str, float] = {}
        self.model.eval()
        with torch.no_grad():
            if self.ema is not None and self.ema.updates:
                with self.ema.swapped(self.model):
                    self._add_up(totals, batches)
            else:
                self._add_up(totals, batches)
        self.model.train()
        found = {f"eval/{name}": total / batches for name, total in totals.items()}
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
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state(),
            "loader": self.loader.state(),
            "eval_loader": self.eval_loader.state() if self.eval_loader is not None else None,
            "ema": self.ema.state() if self.ema is not None else None,
            "rng": checkpoint.generator_states(),
            "config": gin.config_str(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state(state["optimizer"])
        self.loader.load_state(state["loader"])
        if self.eval_loader is not None and state["eval_loader"] is not None:
            self.eval_loader.load_state(state["eval_loader"])
        if self.ema is not None and state["ema"] is not None:
            self.ema.load_state(state["ema"])
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

    def _add_up(self, totals: dict[str, float], batches: int) -> None:
        assert self.eval_loader is not None
        for _ in range(batches):
            _, metrics = self.objective(self.model, self.eval_loader.next_batch())
            for name, value in metrics.items():
                totals[name] = totals.get(name, 0.0) + float(value)
