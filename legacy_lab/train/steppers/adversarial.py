"""The step of a generator and its critic."""

from __future__ import annotations

from typing import Any

import gin
import torch
from torch import Tensor
from torch.nn import functional as F

from legacy_lab.train.steppers.stepper import Metrics, Owner

SHARING = ("none", "forward", "graph")


@gin.configurable
class Adversarial:
    """`critic_steps` updates of the critic, each with a batch of its own, then one of the generator.

    Losses are the non-saturating logistic ones of Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661. `sharing`
    says what the two have in common: nothing; the generator's `forward` pass, detached for the critic; or the whole
    `graph`, which the critic's backward then retains, and both gradients lie in both when the updates follow.

    The critic starts at step `start`. Every `penalty_every`-th of its updates has the R1 penalty of Mescheder et al.
    2018, https://arxiv.org/abs/1801.04406, with weight `penalty`, differentiated twice.
    """

    def __init__(
        self,
        key: str = "image",
        critic_steps: int = 1,
        sharing: str = "none",
        start: int = 0,
        penalty: float = 0.0,
        penalty_every: int = 1,
    ) -> None:
        if sharing not in SHARING:
            raise ValueError(f"Adversarial.sharing: expected one of {', '.join(SHARING)}, found {sharing!r}")
        self.key, self.critic_steps, self.sharing, self.start = key, critic_steps, sharing, start
        self.penalty, self.penalty_every = penalty, penalty_every

    def __call__(self, trainer: Owner) -> Metrics:
        """One step; metrics are both last losses."""
        model: Any = trainer.model
        critic, generator = trainer.optimizer["critic"], trainer.optimizer["generator"]
        metrics: Metrics = {}
        fake = judged = None
        for _ in range(self.critic_steps):
            real = trainer.loader.next_batch()[self.key]
            fake = model.generate(len(real))
            judged = model.judge(fake if self.sharing == "graph" else fake.detach())
            if trainer.step < self.start:
                continue
            loss = self._critic_loss(model, real, judged, critic.steps)
            metrics["critic"] = loss.detach()
            if self.sharing == "graph":
                critic.take(loss, retain_graph=True)
            else:
                critic.step(loss)
        assert fake is not None
        if self.sharing == "none":
            fake = model.generate(len(fake))
        if self.sharing != "graph":
            judged = model.judge(fake)
        assert judged is not None
        loss = F.softplus(-judged).mean()
        metrics["loss"] = loss.detach()
        generator.take(loss)
        if self.sharing == "graph" and critic.pending:
            critic.finish()
        generator.finish()
        # The generator's loss went through the critic.
        critic.zero()
        return metrics

    def _critic_loss(self, model: Any, real: Tensor, judged: Tensor, updates: int) -> Tensor:
        penalised = self.penalty and updates % self.penalty_every == 0
        real = real.detach().requires_grad_(bool(penalised))
        logits = model.judge(real)
        loss = F.softplus(-logits).mean() + F.softplus(judged).mean()
        if penalised:
            (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
            loss = loss + 0.5 * self.penalty * slope.square().flatten(1).sum(1).mean()
        return loss
