"""A student that learns from the moving average of itself."""

from __future__ import annotations

import copy
from typing import Any

import gin
import torch
from torch import Tensor, nn
from torch.nn import functional as F


@gin.configurable
class Distillation:
    """Cross entropy, plus `weight` times the divergence from a teacher's predictions.

    The teacher is the moving average of the student, Tarvainen and Valpola 2017, https://arxiv.org/abs/1703.01780;
    `Teach`, a hook, updates it after each step.
    """

    def __init__(self, weight: float = 1.0, decay: float = 0.99) -> None:
        self.weight, self.decay = weight, decay
        self.teacher: nn.Module | None = None
        self._kept: dict[str, Tensor] | None = None

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` in nats, and its parts."""
        teacher = self._teacher(model)
        logits, _ = model(batch["image"])
        with torch.no_grad():
            wanted = teacher(batch["image"])[0].softmax(-1)
        correct = F.cross_entropy(logits, batch["label"])
        follow = F.kl_div(logits.log_softmax(-1), wanted, reduction="batchmean")
        return correct + self.weight * follow, {"loss": correct.detach(), "follow": follow.detach()}

    def teach(self, model: nn.Module) -> None:
        """The average takes the student in; buffers are copied."""
        with torch.no_grad():
            student = model.state_dict()
            for name, value in self._teacher(model).state_dict().items():
                if value.is_floating_point():
                    value.lerp_(student[name], 1 - self.decay)
                else:
                    value.copy_(student[name])

    def state(self) -> dict[str, Any]:
        """The teacher's."""
        return {"teacher": self._kept if self.teacher is None else copy.deepcopy(self.teacher.state_dict())}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on; the teacher is made when it is next asked for."""
        self.teacher, self._kept = None, state["teacher"]

    def _teacher(self, model: nn.Module) -> nn.Module:
        if self.teacher is None:
            self.teacher = copy.deepcopy(model).eval().requires_grad_(False)
            if self._kept is not None:
                self.teacher.load_state_dict(self._kept)
        return self.teacher
