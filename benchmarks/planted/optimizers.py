"""Optimizers as labs write them: nothing of their settings is seen from outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from planted.settings import Settings
from torch import Tensor

__all__ = ["OwnAdam", "OwnSGD", "apply_settings", "make_optimizer"]


class _Own(torch.optim.Optimizer):
    """Its settings come with each step; `names` tell the parameters."""

    settings: Settings

    def __init__(self, named: Iterable[tuple[str, Tensor]]) -> None:
        pairs = list(named)
        super().__init__([parameter for _, parameter in pairs], {})
        self.names = [name for name, _ in pairs]
        self.updates = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        if closure is not None:
            closure()
        for _ in range(self.settings.updates):
            self.updates += 1
            for name, parameter in zip(self.names, self.param_groups[0]["params"], strict=True):
                s = self.settings
                if parameter.grad is None or (s.unmoved and s.unmoved in name):
                    continue
                lr = s.second_lr if s.second_lr is not None and parameter.ndim < 2 else s.lr
                decay = s.decay if s.decay_on == "all" or parameter.ndim >= 2 else 0.0
                self.update(parameter, parameter.grad, self.state[parameter], s, lr, decay)

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], s: Settings, lr: float, decay: float) -> None:
        """One parameter."""
        raise NotImplementedError


class OwnAdam(_Own):
    """Adam with everything that people do differently."""

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], s: Settings, lr: float, decay: float) -> None:
        """Kingma and Ba 2015, algorithm 1, and its variants."""
        if not state:
            state.update(m=torch.zeros_like(p), v=torch.zeros_like(p))
        if decay and not s.decoupled:
            g = g + decay * p
        m, v, t = state["m"], state["v"], self.updates - 1 + s.count_from
        m.mul_(s.beta1).add_(g, alpha=1 - s.beta1)
        v.mul_(s.beta2).addcmul_(g, g, value=1 - s.beta2)
        c1, c2 = (1 - s.beta1**t, 1 - s.beta2**t) if s.bias_correction else (1.0, 1.0)
        if s.eps_place == "inside":
            divisor = (v / c2 + s.eps).sqrt()
        elif s.eps_place == "hat":
            divisor = (v.sqrt() + s.eps) / c2**0.5
        else:
            divisor = (v / c2).sqrt() + s.eps
        if decay and s.decoupled:
            p.mul_(1 - lr * decay)
        p.addcdiv_(m / c1, divisor, value=-lr)


class OwnSGD(_Own):
    """Momentum with everything that people do differently."""

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], s: Settings, lr: float, decay: float) -> None:
        """Polyak's or Nesterov's momentum; `lr_inside`: the buffer holds what is subtracted."""
        if decay and not s.decoupled:
            g = g + decay * p
        elif decay:
            p.mul_(1 - lr * decay)
        if "buf" not in state:
            state["buf"] = torch.zeros_like(p)
        buf = state["buf"]
        inflow = lr if s.lr_inside else 1.0
        buf.mul_(s.momentum).add_(g, alpha=inflow * (1 - s.dampening))
        change = g * inflow + s.momentum * buf if s.nesterov else buf
        p.sub_(change if s.lr_inside else lr * change)


def make_optimizer(named: Iterable[tuple[str, Tensor]], s: Settings) -> torch.optim.Optimizer:
    """The optimizer that the settings name."""
    pairs = [(name, p) for name, p in named if not (s.missing and s.missing in name)]
    own = {"own_adam": OwnAdam, "own_sgd": OwnSGD}.get(s.optimizer)
    if own is not None:
        made = own(pairs)
        made.settings = s
        return made
    matrices = [p for _, p in pairs if p.ndim >= 2]
    vectors = [p for _, p in pairs if p.ndim < 2]
    groups = [{"params": matrices}, {"params": vectors}]
    if s.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=s.lr, momentum=s.momentum)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}[s.optimizer]
    return kind(groups, lr=s.lr)


def apply_settings(optimizer: torch.optim.Optimizer, s: Settings, rate: float) -> None:
    """Let the next update use them; `rate` is the schedule's factor."""
    import attrs

    if isinstance(optimizer, _Own):
        second = None if s.second_lr is None else s.second_lr * rate
        optimizer.settings = attrs.evolve(s, lr=s.lr * rate, second_lr=second)
        return
    for place, group in enumerate(optimizer.param_groups):
        group["lr"] = (s.second_lr if place and s.second_lr is not None else s.lr) * rate
        group["weight_decay"] = s.decay if s.decay_on == "all" or not place else 0.0
        known = {
            "betas": (s.beta1, s.beta2), "eps": s.eps, "momentum": s.momentum, "dampening": s.dampening,
            "nesterov": s.nesterov, "alpha": s.beta2,
        }  # fmt: skip
        group.update({name: value for name, value in known.items() if name in group})
        if s.optimizer == "rmsprop":
            group["momentum"] = 0
