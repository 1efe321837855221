"""What the program's own `load_state_dict` makes anew, or sets, is as in the uninterrupted training."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import pytest
import torch

from lab_adapters import outlined
from six_steps import resumes, trained


class Learner:
    """Learns towards two copies of its network that follow it, and that its own state leaves out."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = torch.nn.Linear(2, 1)
        self.target = copy.deepcopy(self.net).requires_grad_(False)
        self.targets = [copy.deepcopy(self.target)]
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.9)
        self.average = [one.detach().clone() for one in self.net.parameters()]
        self.loaded, self.count = False, 0

    def step(self) -> str:
        """The loss, and what else the training goes by."""
        x = torch.ones(1, 2)
        loss = (self.net(x) - self.target(x) - self.targets[0](x) - 1).square().sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.count += 1
        follow = [*self.target.parameters()], [*self.targets[0].parameters()], self.average
        for followers in follow:
            for mine, one in zip(followers, self.net.parameters(), strict=True):
                mine.data.copy_(0.9 * mine.data + 0.1 * one.data)
        rate = self.optimizer.param_groups[0]["lr"]
        return f"{loss.item().hex()} {rate} {self.loaded} {self.count} {self.average[0].tolist()}"

    def state_dict(self) -> dict[str, Any]:
        """Without the copies."""
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the copies anew, as public implementations of implicit Q-learning do."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.count = state["count"]
        self.target = copy.deepcopy(self.net)
        self.targets = [copy.deepcopy(self.net)]


class Filling(Learner):
    """Loads into the copies that are there."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """All three are the network then."""
        for one in (self.net, self.target, self.targets[0]):
            one.load_state_dict(state["net"])


class Setting(Learner):
    """Trains on in another way from its own checkpoints."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """A flag, and a schedule of another kind."""
        self.loaded = True
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.5)


class Config:
    """Of which no checkpoint holds an object."""


class Configured(Learner):
    """Saves its network, which no other name leads to, beside its settings."""

    def state_dict(self) -> dict[str, Any]:
        """Their object."""
        return {**super().state_dict(), "config": Config()}


class Opaque(Learner):
    """Counts in C, too, which no attribute tells."""

    def __init__(self) -> None:
        super().__init__()
        self.digest, self.large = hashlib.md5(), torch.zeros(20_000)

    def step(self) -> str:
        """The count is said as well."""
        self.digest.update(b"a")
        self.large += 1
        return f"{super().step()} {self.digest.hexdigest()} {self.large.sum()}"

    def state_dict(self) -> dict[str, Any]:
        """With what is needed to count so far again."""
        return {**super().state_dict(), "digest": self.digest.hexdigest(), "large": self.large}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Count anew."""
        super().load_state_dict(state)
        self.large.copy_(state["large"])
        self.digest = hashlib.md5()
        while self.digest.hexdigest() != state["digest"]:
            self.digest.update(b"a")


@pytest.mark.filterwarnings("error:resume")
@pytest.mark.parametrize("kind", [Learner, Filling, Setting, Configured, Opaque])
def test_what_a_program_loads_of_itself_does_not_change_the_training(checkpoint: Any, kind: type[Learner]) -> None:
    """Copies that were made anew of the network went on as it, in silence; of the last, the network began anew."""

    def run() -> list[str]:
        learner, said = kind(), []

        def training_step(number: int) -> None:
            said.append(learner.step())

        outlined.fit(training_step, range(6))
        return said

    resumes(checkpoint, run)


class Lost:
    """Says where it is, and does not go there."""

    def __init__(self) -> None:
        self.digest = hashlib.md5()

    def next(self) -> float:
        """A number that depends on how many there were."""
        self.digest.update(b"a")
        return 1.0 + self.digest.digest()[0]

    def state_dict(self) -> dict[str, Any]:
        """For a log."""
        return {"digest": self.digest.hexdigest()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""


def test_what_says_another_state_than_it_had_is_warned_of(checkpoint: Any) -> None:
    """Its own `state_dict` is asked when all has been put back."""

    def run() -> list[str]:
        return trained(Lost().next)

    checkpoint.written_at(3, run)
    with pytest.warns(UserWarning, match=r"resume: .*: expected its state_dict to say what it said"):
        checkpoint.resumed(run)
