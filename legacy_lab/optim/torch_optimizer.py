"""Any of torch's optimizers, as one of Lab's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import gin
import torch
from torch import Tensor, nn

from legacy_lab.optim.accumulation import Accumulation
from legacy_lab.optim.gradients import Gradients
from legacy_lab.optim.groups import Multipliers
from legacy_lab.optim.optimizer import Optimizer, Schedules


@gin.configurable
class Torch(Optimizer):
    """`torch.optim.<name>` for the update; everything around it is Lab's.

    `settings` are its own, e.g. `{"weight_decay": 0.01}`; schedules move them by these names. Optimizers that want
    a closure, such as LBFGS, get it through `step_closure`.
    """

    def __init__(
        self,
        model: nn.Module,
        name: str = "AdamW",
        lr: float = 1e-3,
        settings: Mapping[str, Any] | None = None,
        accumulate: int | Accumulation = 1,
        clip_norm: float | None = None,
        multipliers: Multipliers | None = None,
        schedule: Schedules | None = None,
        gradients: Gradients | None = None,
    ) -> None:
        kind: Any = getattr(torch.optim, name, None)
        if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
            raise ValueError(f"Torch.name: expected an optimizer of torch.optim, found {name!r}")
        super().__init__(
            model, lr, 0.0, accumulate, clip_norm, multipliers, schedule, gradients, **dict(settings or {})
        )
        build: Callable[..., torch.optim.Optimizer] = kind
        self.inner = build([{"params": group["params"]} for group in self.groups], lr=lr, **dict(settings or {}))
        self.closure: Callable[[], Tensor] | None = None

    def update(self) -> None:
        """Torch's step, with the hyperparameters as they stand."""
        for group, inner in zip(self.groups, self.inner.param_groups, strict=True):
            inner.update({name: group[name] for name in inner if name in self.hyper})
        self.inner.step(*(() if self.closure is None else (self.closure,)))
        self.slots = {
            name: {key: value for key, value in self.inner.state[parameter].items() if isinstance(value, Tensor)}
            for name, parameter in self.named_parameters()
            if parameter in self.inner.state
        }

    def step_closure(self, closure: Callable[[], Tensor]) -> bool:
        """One update that evaluates `closure`, a loss, as often as it likes. Always True."""

        def differentiated() -> Tensor:
            self.zero()
            loss = closure()
            loss.backward()  # type: ignore[no-untyped-call]
            self.micro_steps += 1
            return loss

        self.closure = differentiated
        try:
            return self.finish()
        finally:
            self.closure = None

    def state(self) -> dict[str, Any]:
        """With torch's own state in place of slots."""
        return {**super().state(), "slots": {}, "torch": copy.deepcopy(self.inner.state_dict())}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        super().load_state(state)
        self.inner.load_state_dict(copy.deepcopy(state["torch"]))
