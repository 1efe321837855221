"""Marks that a program can set itself, where nothing else tells its updates: they do nothing but tell a recording.

class Momentum:
    @lab_parity.updates(groups="param_groups", slots="state")
    def update(self): ...

update = lab_parity.Update(model.parameters(), lr=0.1)
with update:
    for p in model.parameters():
        p.data -= 0.1 * p.grad
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar, cast

import torch

from lab_parity.record.sites import MARKED, UpdateSite, listening

__all__ = ["Update", "updates"]

F = TypeVar("F", bound=Callable[..., Any])


def updates(groups: str = "groups", slots: str | None = "slots") -> Callable[[F], F]:
    """Marks the method that updates the parameters of a home-grown optimizer.

    `groups` names the attribute with the list of {"params": [...], hyperparameters}, `slots` the one with {parameter or
    its name: {field: tensor}}.
    """

    def mark(method: F) -> F:
        owner, _, name = method.__qualname__.rpartition(".")
        site = UpdateSite(f"{method.__module__}:{owner.rpartition('.')[2] or '?'}.{name}", groups, slots)
        return cast(F, listening(method, site, MARKED, set()))

    return mark


class Update:
    """An update made by hand, to be used as `with update:` around it at every step.

    Takes the parameters that it changes and its hyperparameters, which `hyper` may change from step to step.
    """

    def __init__(self, parameters: Iterable[torch.Tensor], **hyper: Any) -> None:
        self.hyper = hyper
        self._parameters = list(parameters)

    @property
    def groups(self) -> list[dict[str, Any]]:
        """One group, as an optimizer has them."""
        return [{**self.hyper, "params": self._parameters}]

    def __enter__(self) -> Update:
        for listener in MARKED:
            listener.before_update(_SITE, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in MARKED:
            if kind is None:
                listener.after_update(_SITE, self)
            else:
                listener.failed_update(self)


_SITE = UpdateSite(f"{__name__}:Update.groups", slots=None)
