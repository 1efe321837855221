"""One training loop for all models, in which every setting can change at a step."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from planted.data import batches
from planted.models import LOSSES, MODELS, TASKS
from planted.optimizers import apply_settings, make_optimizer
from planted.settings import Settings
from planted.stepping import stepping_by, take_step
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

__all__ = ["HEALTHY", "train"]

HEALTHY = {
    "conv": Settings(optimizer="sgd", lr=0.05, decay=1e-4, momentum=0.9),
    "transformer": Settings(
        optimizer="adamw", lr=3e-3, decay=0.01, decay_on="matrices", beta2=0.99, clip="norm", clip_at=0.5, micro=2,
        schedule="cosine",
    ),
    "vae": Settings(optimizer="own_adam", lr=1e-3, decay=0.01, ema=0.9),
    "gan": Settings(optimizer="adam", lr=1e-3, beta1=0.5, beta2=0.9, norm_momentum=0.2),
    "recurrent": Settings(optimizer="own_sgd", lr=0.05, momentum=0.8, decay=1e-3, decoupled=False, micro=3),
    "mixed": Settings(optimizer="adamw", lr=2e-3, decay=0.1, autocast=True, loss_scale=1024.0, schedule="warmup"),
}  # fmt: skip


def train(
    kind: str, healthy: Settings, changed: Settings | None = None, at: int = 0, *, wrapped: bool = False,
    stepping: str = "plain",
) -> nn.Module:  # fmt: skip
    """Train `kind`; from step `at` on with `changed` settings. What is set up once is set up with them if `at` is 0.

    `wrapped`: another module holds the model, as a framework's does. `stepping`: what the loss is differentiated in,
    and where the optimizer steps, one of `STEPPING`.
    """
    loop = _Loop(kind, healthy, changed or healthy, at)
    loop.stepping = stepping
    if wrapped:
        loop.holder = nn.ModuleDict({"inner": nn.ModuleDict({"model": loop.model})})
    if kind == "gan":
        loop.adversarial()
    else:
        loop.run()
    return loop.model


class _Loop:
    """One run."""

    def __init__(self, kind: str, healthy: Settings, changed: Settings, at: int) -> None:
        self.kind, self.step, self.stepping = kind, 0, "plain"
        self.holder: nn.Module | None = None
        self._healthy, self._changed, self._at = healthy, changed, at
        self._stepping: dict[int, torch.optim.Optimizer] = {}
        s = self.now
        torch.manual_seed(s.seed)
        np.random.seed(s.seed)
        random.seed(s.seed)
        if s.draws_before_init:
            torch.rand(s.draws_before_init)
        self.model = MODELS[kind](s)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if name.startswith(("head", "dec", "maker")) and s.init_scale != 1:
                    parameter.mul_(s.init_scale)
        self.data: Iterator[tuple[Tensor, Tensor]] = batches(TASKS[kind], lambda: self.now)
        self.average = AveragedModel(self.model, avg_fn=self._averaged) if s.ema is not None else None

    @property
    def now(self) -> Settings:
        """The settings of the step under way."""
        return self._changed if self.step >= self._at else self._healthy

    def run(self) -> None:
        """One optimizer."""
        optimizer = make_optimizer(self.model.named_parameters(), self.now)
        while self.step < self._changed.steps:
            self._draw()
            self._update(optimizer, lambda s: self._loss(*next(self.data), s), list(self.model.parameters()))
            if self.average is not None:
                self.average.update_parameters(self.model)
            self._evaluate()
            self.step += 1

    def adversarial(self) -> None:
        """Critic and generator take turns."""
        pair: Any = self.model
        critic = make_optimizer(pair.critic.named_parameters(), self.now)
        maker = make_optimizer(pair.maker.named_parameters(), self.now)
        while self.step < self._changed.steps:
            self._draw()
            real, _ = next(self.data)
            self._prepare(self.now)

            def critic_loss(s: Settings, real: Tensor = real) -> Tensor:
                fake = pair.maker(torch.randn(len(real), 4)).detach()
                return self._binary(pair.critic(real), 1.0, s) + s.loss_weight * self._binary(pair.critic(fake), 0.0, s)

            def maker_loss(s: Settings, count: int = len(real)) -> Tensor:
                return self._binary(pair.critic(pair.maker(torch.randn(count, 4))), 1.0, s)

            self._update(critic, critic_loss, list(pair.critic.parameters()))
            self._update(maker, maker_loss, list(pair.maker.parameters()))
            pair.critic.zero_grad()
            self.step += 1

    @staticmethod
    def _binary(logits: Tensor, target: float, s: Settings) -> Tensor:
        wanted = torch.full_like(logits, target * (1 - s.smoothing))
        return F.binary_cross_entropy_with_logits(logits, wanted, reduction=s.reduction)

    def _prepare(self, s: Settings) -> None:
        self.model.train(s.training)
        for name, module in self.model.named_modules():
            if isinstance(module, nn.Dropout):
                module.p = s.dropout
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum, module.eps = s.norm_momentum, s.norm_eps
                if hasattr(module, "unbiased"):
                    module.unbiased = s.unbiased
            elif isinstance(module, nn.LayerNorm):
                module.eps = s.norm_eps
            if s.half_module and name == s.half_module:
                module.forward = _in_half(module.forward)  # type: ignore[method-assign]
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not (s.frozen and s.frozen in name))

    def _loss(self, x: Tensor, y: Tensor, s: Settings) -> Tensor:
        self._prepare(s)
        with torch.autocast("cpu", dtype=torch.bfloat16) if s.autocast else nullcontext():
            output = self.model(x)
        if self.kind == "vae":
            remade, mean, logvar = output
            divergence = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1)
            total = (remade - x).square().sum(1) + s.loss_weight * 0.5 * divergence
            return total.mean() if s.reduction == "mean" else total.sum()
        return LOSSES[self.kind](output, y, s)

    def _update(
        self, optimizer: torch.optim.Optimizer, loss: Callable[[Settings], Tensor], parameters: list[nn.Parameter]
    ) -> None:
        s = self.now
        apply_settings(optimizer, s, self._rate(s))
        if s.zero == "before":
            optimizer.zero_grad()
        if id(optimizer) not in self._stepping:
            self._stepping[id(optimizer)] = stepping_by(self.stepping, optimizer)
        take_step(
            self.stepping, self._stepping[id(optimizer)], lambda: self._differentiate(optimizer, loss, parameters, s)
        )
        if s.zero != "never":
            optimizer.zero_grad(set_to_none=s.zero != "zeros")
            if s.missing:
                self.model.zero_grad()

    @staticmethod
    def _differentiate(
        optimizer: torch.optim.Optimizer,
        loss: Callable[[Settings], Tensor],
        parameters: list[nn.Parameter],
        s: Settings,
    ) -> None:
        for _ in range(s.micro):
            value = loss(s)
            if s.normalise == "mean":
                value = value / s.micro
            (value * s.loss_scale).backward()
            if s.normalise == "last" and _ < s.micro - 1:
                optimizer.zero_grad()
            if s.clip and s.clip_when == "micro":
                _clip(s, parameters)
        if s.clip and s.clip_when == "before":
            _clip(s, parameters)
        factor = s.loss_scale if s.unscale is None else s.unscale
        if factor != 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.div_(factor)
        if s.clip and s.clip_when == "after":
            _clip(s, parameters)

    def _rate(self, s: Settings) -> float:
        place = max(self.step // s.schedule_every + s.schedule_shift, 0)
        if s.schedule == "warmup":
            return min(1.0, (place + 1) / 5)
        if s.schedule == "cosine":
            return 0.5 * (1 + float(np.cos(np.pi * place / 20)))
        return 1.0

    def _draw(self) -> None:
        s = self.now
        if s.extra_draws and self.step == self._at:
            if s.draw_from == "torch":
                torch.rand(s.extra_draws)
            elif s.draw_from == "normal":
                torch.randn(s.extra_draws)
            elif s.draw_from == "numpy":
                np.random.rand(s.extra_draws)
            elif s.draw_from == "seed":
                torch.manual_seed(s.extra_draws)
            else:
                for _ in range(s.extra_draws):
                    random.random()

    def _evaluate(self) -> None:
        s = self.now
        if not s.evaluate:
            return
        x = torch.linspace(-1, 1, 80).reshape(8, 10)
        self.model.train(s.evaluate == "train")
        with torch.no_grad():
            self.model(x)

    def _averaged(self, average: Tensor, current: Tensor, count: Tensor) -> Tensor:
        s = self.now
        decay = float(s.ema or 0)
        if s.ema_warmup:
            decay = min(decay, (1 + float(count)) / (10 + float(count)))
        return decay * average + (1 - decay) * current


def _clip(s: Settings, parameters: list[nn.Parameter]) -> None:
    chosen = [p for p in parameters if p.grad is not None and (s.clip_on == "all" or p.ndim >= 2)]
    if s.clip == "value":
        nn.utils.clip_grad_value_(chosen, s.clip_at)
    elif s.clip == "each":
        for parameter in chosen:
            nn.utils.clip_grad_norm_([parameter], s.clip_at)
    else:
        nn.utils.clip_grad_norm_(chosen, s.clip_at, float("inf") if s.clip == "inf" else 2.0)


def _in_half(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    if getattr(forward, "in_half", False):
        return forward

    def rounded(*args: Any) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return forward(*args).float()

    rounded.in_half = True  # type: ignore[attr-defined]
    return rounded
