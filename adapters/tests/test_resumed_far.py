"""What a training steps is resumed however far from the loop's names it is held, and whichever way leads there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lab_adapters import outlined


class Holder:
    """Has one object, which may hold the next."""

    def __init__(self, one: Any) -> None:
        self.one = one


class Policy(torch.nn.Module):
    """Makes its own optimizer, as stable-baselines3's policies do."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(2, 1)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 1)."""
        y: Tensor = self.net(x)
        return y


@pytest.mark.parametrize("which", ["model", "optimizer", "schedule"])
def test_what_is_held_far_away_resumes_bitwise(checkpoint: Any, which: str) -> None:
    """A callback in the list of a trainer's container has the schedule, say."""

    def run() -> list[tuple[str, float]]:
        torch.manual_seed(0)
        model: Any = torch.nn.Linear(2, 1)
        optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        schedule: Any = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        held = {"model": model, "optimizer": optimizer, "schedule": schedule}
        near: Any = {key: one for key, one in held.items() if key != which}
        far = Holder([Holder({"here": Holder([Holder(held[which])])})])

        def training_step(number: int) -> None:
            one = {**near, which: far.one[0].one["here"].one[0].one}
            loss = one["model"](torch.ones(1, 2)).square().sum()
            loss.backward()
            one["optimizer"].step()
            one["optimizer"].zero_grad()
            one["schedule"].step()
            said.append((loss.item().hex(), one["schedule"].get_last_lr()[0]))

        said: list[tuple[str, float]] = []
        outlined.fit(training_step, range(6))
        return said

    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole


def test_an_object_at_the_end_of_a_long_way_is_looked_into_by_a_short_one(checkpoint: Any) -> None:
    """`callback` comes before `policy`, and leads to the policy, too, whose optimizer was passed by from there."""

    def run() -> list[str]:
        torch.manual_seed(0)
        policy = Policy()
        callback = Holder({"self": Holder(policy)})

        def training_step(number: int) -> None:
            loss = policy(torch.ones(1, 2)).square().sum()
            policy.optimizer.zero_grad()
            loss.backward()
            policy.optimizer.step()
            callback.one["number"] = number
            said.append(loss.item().hex())

        said: list[str] = []
        outlined.fit(training_step, range(6))
        return said

    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole
    assert len(set(whole)) == 6


@pytest.mark.parametrize("kind", [list, dict])
def test_a_hundred_clients_resume_bitwise(checkpoint: Any, kind: Any) -> None:
    """Each with a model and an optimizer of its own, in one large container."""

    def run() -> list[str]:
        torch.manual_seed(0)
        policies = [Policy() for _ in range(100)]
        server = Holder(dict(enumerate(policies)) if kind is dict else policies)

        def training_step(number: int) -> None:
            for client in range(100):
                policy = server.one[client]
                loss = policy(torch.ones(1, 2)).square().sum()
                policy.optimizer.zero_grad()
                loss.backward()
                policy.optimizer.step()
                said.append(loss.item().hex())

        said: list[str] = []
        outlined.fit(training_step, range(4))
        return said

    whole = checkpoint.written_at(2, run)
    assert checkpoint.resumed(run) == whole
