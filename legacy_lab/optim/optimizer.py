"""Lab's optimizer: `step(loss)` owns backward, accumulation, reduction, clipping, schedule, update and zeroing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch import distributed as dist

from legacy_lab.optim.accumulation import Accumulation
from legacy_lab.optim.clipping import Clip, ClipNorm
from legacy_lab.optim.gradients import Gradients
from legacy_lab.optim.groups import Multipliers, grouped
from legacy_lab.optim.masters import Masters
from legacy_lab.optim.schedule import Schedule
from legacy_lab.optim.schedules.timed import Timed

__all__ = ["AnyOptimizer", "Optimizer", "Schedule", "Schedules"]

#: One schedule, asked before every update unless it is `Timed`, or several.
Schedules = Schedule | Timed | Sequence[Schedule | Timed]


@runtime_checkable
class AnyOptimizer(Protocol):
    """What a trainer asks of an optimizer: one of Lab's, several, or one around another.

    It also has `groups`, the parameters with their effective hyperparameters.
    """

    def step(self, loss: Tensor) -> bool:
        """Take a loss; True when a window is done."""
        ...

    def end_epoch(self) -> bool:
        """The loader's epoch is over; True when that made an update."""
        ...

    def state(self) -> dict[str, Any]:
        """Plain numbers and tensors."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        ...


class Optimizer:
    """The base of Lab's optimizers; a subclass names its hyperparameters and implements `update`.

    `step(loss)` differentiates the loss's share (see `Accumulation`); when a window of losses is full it also, in
    this order, averages the gradients over ranks, asks the schedule (with the number of updates done, so before the
    update), unscales and clips the gradients, updates, and sets the gradients to zero (see `Gradients`).

    `groups` holds the parameters by multipliers of learning rate and decay, each with its effective hyperparameters;
    `slots` the state, by parameter name.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        decay: float = 0.0,
        accumulate: int | Accumulation = 1,
        clip_norm: float | None = None,
        multipliers: Multipliers | None = None,
        schedule: Schedules | None = None,
        gradients: Gradients | None = None,
        decay_multipliers: Mapping[str, float] | None = None,
        **hyper: Any,
    ) -> None:
        self.accumulation = accumulate if isinstance(accumulate, Accumulation) else Accumulation(accumulate)
        self.gradients = gradients or Gradients()
        if clip_norm is not None and self.gradients.clip is not None:
            raise ValueError("optimizer: expected clip_norm or Gradients.clip, found both; drop clip_norm")
        self.clipping: Clip | None = ClipNorm(clip_norm) if clip_norm is not None else self.gradients.clip
        self.schedules = _timed(schedule)
        self.hyper: dict[str, Any] = {"lr": lr, "decay": decay, **hyper}
        self.model = model
        self.groups = grouped(model, dict(multipliers or {}), decay_multipliers)
        self.masters: Masters | None = None
        if self.gradients.masters:
            self.masters = Masters([parameter for _, parameter in self.named_parameters()])
            copies = iter(master for _, master in self.masters.pairs)
            for group in self.groups:
                group["params"] = [next(copies) for _ in group["params"]]
        self.slots: dict[str, dict[str, Tensor]] = {}
        self.steps = 0  # updates done
        self.windows = 0  # updates done or skipped
        self.micro_steps = 0  # losses taken
        self.pending = 0  # losses taken since the last window
        self.epochs = 0
        self.last_norm: float | None = None
        self._spread()
        self.zero()

    def step(self, loss: Tensor) -> bool:
        """Take the loss of one micro-batch; True when a window is done: updated, or skipped for an overflow."""
        self.take(loss)
        return self.pending == self.accumulation.every and self.finish()

    def take(self, loss: Tensor, retain_graph: bool = False) -> None:
        """Backward only: add the gradients of one micro-batch's share."""
        self._ask("loss", "before", self.micro_steps)
        loss = self.accumulation.share(loss)
        if self.gradients.scaler is not None:
            loss = self.gradients.scaler.scale(loss)
        loss.backward(retain_graph=retain_graph)  # type: ignore[no-untyped-call]
        self.micro_steps += 1
        self.pending += 1
        self._ask("loss", "after", self.micro_steps)
        if self.gradients.reduce_at == "loss":
            self.reduce()

    def end_epoch(self) -> bool:
        """The loader's epoch is over: decide on a window that is not full; True when it was updated with."""
        self.epochs += 1
        self._ask("epoch", "after", self.epochs)
        if not self.pending or self.accumulation.leftover == "carry":
            return False
        if self.accumulation.leftover == "drop":
            self.pending = 0
            self.zero()
            return False
        return self.finish()

    def finish(self) -> bool:
        """From the summed gradients to the update, and zeroing. Always True: the window is done."""
        if self.masters is not None:
            self.masters.take_gradients()
        self.accumulation.finish([p.grad for _, p in self.named_parameters() if p.grad is not None], self.pending)
        if self.gradients.reduce_at == "update":
            self.reduce()
        for per, count in (("epoch", self.epochs), ("window", self.windows), ("update", self.steps)):
            self._ask(per, "before", count)
        if self.gradients.clip_scaled:
            self.clip()
        scaler = self.gradients.scaler
        if scaler is not None:
            scaler.unscale([parameter for _, parameter in self.named_parameters()])
        if not self.gradients.clip_scaled:
            self.clip()
        if scaler is None:
            self.apply()
        updated = scaler is None or scaler.step(self.apply)
        self.windows, self.pending = self.windows + 1, 0
        if updated:
            self.steps += 1
            self._ask("update", "after", self.steps)
        self._ask("window", "after", self.windows)
        self.zero()
        return True

    def apply(self) -> None:
        """The update itself, without autograd, on the masters where there are any."""
        with torch.no_grad():
            self.update()
        if self.masters is not None:
            self.masters.give_values()

    def update(self) -> None:
        """Change every parameter that has a gradient. Runs without autograd."""
        raise NotImplementedError

    def reduce(self) -> None:
        """Average the gradients over the ranks of a distributed run; alone, do nothing."""
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            return
        for _, parameter in self.named_parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad.div_(dist.get_world_size())

    def clip(self) -> None:
        """Bound the gradients; the hyperparameter `clip`, where a schedule sets it, is the bound."""
        if self.clipping is None:
            return
        reach = self.model.named_parameters() if self.clipping.reach == "model" else self.named_parameters()
        found = [(name, parameter) for name, parameter in reach if parameter.grad is not None]
        self.last_norm = self.clipping(found, self.hyper.get("clip", self.clipping.limit))

    def zero(self) -> None:
        """Zeros, so that a parameter that gets no gradient is updated with zero; or none, so that it is not."""
        reach = [parameter for _, parameter in self.named_parameters()]
        if self.gradients.zeroes == "model":
            reach += list(self.model.parameters())
        elif self.masters is not None:
            reach += [parameter for parameter, _ in self.masters.pairs]
        for parameter in reach:
            if self.gradients.left_as == "none":
                parameter.grad = None
            elif parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            else:
                parameter.grad = parameter.grad.detach().zero_()

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Every parameter that is updated, with its name, in the order of the groups."""
        return [pair for group in self.groups for pair in zip(group["names"], group["params"], strict=True)]

    def slot(self, name: str, like: Tensor, *keys: str) -> list[Tensor]:
        """The state tensors of a parameter, zeros at first."""
        slots = self.slots.setdefault(name, {key: torch.zeros_like(like) for key in keys})
        return [slots[key] for key in keys]

    def state(self) -> dict[str, Any]:
        """Counters, hyperparameters, state and pending gradients: plain numbers and tensors."""
        return {
            "steps": self.steps,
            "windows": self.windows,
            "micro_steps": self.micro_steps,
            "pending": self.pending,
            "epochs": self.epochs,
            "hyper": dict(self.hyper),
            "slots": {name: {key: value.clone() for key, value in slots.items()} for name, slots in self.slots.items()},
            "grads": {name: None if p.grad is None else p.grad.clone() for name, p in self._with_gradients().items()},
            "scaler": self.gradients.scaler.state() if self.gradients.scaler is not None else None,
            "masters": self.masters.state() if self.masters is not None else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken. Raises `ValueError` where parameter names or shapes differ."""
        parameters = self._with_gradients()
        if set(state["grads"]) != set(parameters):
            differing = sorted(set(state["grads"]) ^ set(parameters))
            raise ValueError(f"optimizer state: expected the model's parameters, found differing names {differing[:5]}")
        self.steps, self.micro_steps = state["steps"], state["micro_steps"]
        self.windows, self.epochs = state.get("windows", self.steps), state.get("epochs", 0)
        self.pending = state.get("pending", self.micro_steps % self.accumulation.every)
        self.hyper = dict(state["hyper"])
        self.slots = {
            name: {key: value.to(parameters[name].device, copy=True) for key, value in slots.items()}
            for name, slots in state["slots"].items()
        }
        for name, parameter in parameters.items():
            found = state["grads"][name]
            parameter.grad = None if found is None else found.to(parameter.device, parameter.dtype, copy=True)
        if self.gradients.scaler is not None:
            self.gradients.scaler.load_state(state["scaler"])
        if self.masters is not None:
            self.masters.load_state(state["masters"])
        self._spread()

    def _with_gradients(self) -> dict[str, nn.Parameter]:
        """The parameters whose gradients outlive a step: also those that only clipping reaches."""
        if self.clipping is not None and self.clipping.reach == "model":
            return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        if self.masters is not None:
            names = (name for name, _ in self.named_parameters())
            return dict(zip(names, (parameter for parameter, _ in self.masters.pairs), strict=True))
        return dict(self.named_parameters())

    def _ask(self, per: str, when: str, count: int) -> None:
        """Let the schedules whose moment this is set hyperparameters."""
        for timed in self.schedules:
            if (timed.per, timed.when) == (per, when) and count % timed.every == 0:
                self.hyper.update(timed.schedule(count // timed.every))
                self._spread()

    def _spread(self) -> None:
        for group in self.groups:
            group.update(self.hyper)
            group["lr"] = self.hyper["lr"] * group["multiplier"]
            group["decay"] = self.hyper["decay"] * group["decay_multiplier"]


def _timed(schedule: Schedules | None) -> list[Timed]:
    if schedule is None:
        return []
    found = list(schedule) if isinstance(schedule, Sequence) else [schedule]
    return [part if isinstance(part, Timed) else Timed(part) for part in found]
