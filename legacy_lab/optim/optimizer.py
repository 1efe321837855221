"""Lab's optimizer: `step(loss)` owns backward, accumulation, reduction, clipping, schedule, update and zeroing."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

#: From the number of updates done to the hyperparameters of the next one, e.g. `{"lr": 1e-3}`.
Schedule = Callable[[int], dict[str, Any]]


class Optimizer:
    """The base of Lab's optimizers; a subclass names its hyperparameters and implements `update`.

    `step(loss)` differentiates `loss / accumulate`; every `accumulate`-th call it also, in this order, averages
    the gradients over ranks, clips their global norm, asks the schedule (with the number of updates done, so
    before the update), updates, and sets the gradients to zero (zeros, never None).

    `groups` holds the parameters by learning-rate multiplier, each with its effective hyperparameters; `slots` the
    state, by parameter name.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        decay: float = 0.0,
        accumulate: int = 1,
        clip_norm: float | None = None,
        multipliers: Mapping[str, float] | None = None,
        schedule: Schedule | None = None,
        **hyper: Any,
    ) -> None:
        if accumulate < 1:
            raise ValueError(f"optimizer.accumulate: expected at least 1, found {accumulate}")
        self.accumulate, self.clip_norm, self.schedule = accumulate, clip_norm, schedule
        self.hyper: dict[str, Any] = {"lr": lr, "decay": decay, **hyper}
        self.groups = _grouped(model, dict(multipliers or {}))
        self.slots: dict[str, dict[str, Tensor]] = {}
        self.steps = 0
        self.micro_steps = 0
        self.last_norm: float | None = None
        self._spread()
        self.zero()

    def step(self, loss: Tensor) -> bool:
        """Take the loss of one micro-batch; True when the parameters were updated."""
        (loss / self.accumulate).backward()  # type: ignore[no-untyped-call]
        self.micro_steps += 1
        if self.micro_steps % self.accumulate:
            return False
        self.reduce()
        self.clip()
        if self.schedule is not None:
            self.hyper.update(self.schedule(self.steps))
            self._spread()
        with torch.no_grad():
            self.update()
        self.steps += 1
        self.zero()
        return True

    def update(self) -> None:
        """Change every parameter from its gradient. Runs without autograd."""
        raise NotImplementedError

    def reduce(self) -> None:
        """Average the gradients over the ranks of a distributed run; alone, do nothing."""
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            return
        for _, parameter in self.named_parameters():
            assert parameter.grad is not None
            dist.all_reduce(parameter.grad)
            parameter.grad.div_(dist.get_world_size())

    def clip(self) -> None:
        """Scale the gradients so that their global norm is at most `clip_norm`."""
        if self.clip_norm is None:
            return
        squares = [
            parameter.grad.square().sum() for _, parameter in self.named_parameters() if parameter.grad is not None
        ]
        self.last_norm = float(torch.stack(squares).sum().sqrt())
        if self.last_norm > self.clip_norm:
            for _, parameter in self.named_parameters():
                assert parameter.grad is not None
                parameter.grad.mul_(self.clip_norm / self.last_norm)

    def zero(self) -> None:
        """Zeros, not None: a parameter that got no gradient is updated with zero."""
        for _, parameter in self.named_parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            else:
                parameter.grad = parameter.grad.detach().zero_()

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Every parameter with its name, in the order of the groups."""
        return [pair for group in self.groups for pair in zip(group["names"], group["params"], strict=True)]

    def slot(self, name: str, like: Tensor, *keys: str) -> list[Tensor]:
        """The state tensors of a parameter, zeros at first."""
        slots = self.slots.setdefault(name, {key: torch.zeros_like(like) for key in keys})
        return [slots[key] for key in keys]

    def state(self) -> dict[str, Any]:
        """Counters, hyperparameters, state and pending gradients: plain numbers and tensors."""
        return {
            "steps": self.steps,
            "micro_steps": self.micro_steps,
            "hyper": dict(self.hyper),
            "slots": {name: {key: value.clone() for key, value in slots.items()} for name, slots in self.slots.items()},
            "grads": {name: p.grad.clone() for name, p in self.named_parameters() if p.grad is not None},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken. Raises `ValueError` where parameter names or shapes differ."""
        parameters = dict(self.named_parameters())
        if set(state["grads"]) != set(parameters):
            differing = sorted(set(state["grads"]) ^ set(parameters))
            raise ValueError(f"optimizer state: expected the model's parameters, found differing names {differing[:5]}")
        self.steps, self.micro_steps = state["steps"], state["micro_steps"]
        self.hyper = dict(state["hyper"])
        self.slots = {
            name: {key: value.to(parameters[name].device, copy=True) for key, value in slots.items()}
            for name, slots in state["slots"].items()
        }
        for name, parameter in parameters.items():
            assert parameter.grad is not None
            parameter.grad.copy_(state["grads"][name])
        self._spread()

    def _spread(self) -> None:
        for group in self.groups:
            group.update(self.hyper)
            group["lr"] = self.hyper["lr"] * group["multiplier"]


def _grouped(model: nn.Module, multipliers: dict[str, float]) -> list[dict[str, Any]]:
    """One group a multiplier, in the order of first use; the last pattern that matches a name counts."""
    groups: dict[float, dict[str, Any]] = {}
    unmatched = set(multipliers)
    names = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        names.append(name)
        factor = 1.0
        for pattern, candidate in multipliers.items():
            if fnmatch.fnmatchcase(name, pattern):
                unmatched.discard(pattern)
                factor = candidate
        group = groups.setdefault(factor, {"multiplier": factor, "params": [], "names": []})
        group["params"].append(parameter)
        group["names"].append(name)
    if unmatched:
        raise ValueError(
            f"optimizer.multipliers: expected every pattern to match a parameter, found none for {sorted(unmatched)}; "
            f"parameters are named like {', '.join(names[:3])}"
        )
    return list(groups.values())
