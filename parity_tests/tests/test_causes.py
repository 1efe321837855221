"""Causes that were given where another one was right: each of these sentences has been wrong once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import lab_parity

Step = Callable[[nn.Module, int], Tensor]


class Net(nn.Module):
    """With a queue, and an activation that is no module."""

    def __init__(self, act: Callable[[Tensor], Tensor] = torch.tanh) -> None:
        super().__init__()
        self.act = act
        self.enc = nn.Linear(3, 4)
        self.dec = nn.Linear(4, 3)
        self.queue: Tensor
        self.register_buffer("queue", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3) -> (B, 3)."""
        made: Tensor = self.dec(self.act(self.enc(x)))
        return made


class Renamed(Net):
    """The same, under another name."""


def train(
    path: Path,
    make: Callable[[], Net] = Net,
    *,
    optimizers: Callable[[Net], list[torch.optim.Optimizer]] = lambda net: [torch.optim.SGD(net.parameters(), lr=0.1)],
    zero: Callable[[list[torch.optim.Optimizer]], object] = lambda all_: [one.zero_grad() for one in all_],
    before: Callable[[Net, int], object] = lambda net, step: None,
    between: Callable[[Net, int], object] = lambda net, step: None,
    steps: int = 4,
) -> Path:
    """A plain loop that can go wrong in many places; recorded with all of its tensors."""
    torch.manual_seed(0)
    net = make()
    stepping = optimizers(net)
    with lab_parity.record(path, capture=range(2 * steps)):
        for step in range(steps):
            zero(stepping)
            net(torch.randn(5, 3)).square().mean().backward()
            before(net, step)
            for optimizer in stepping:
                optimizer.step()
            between(net, step)
    return path


def cause(tmp_path: Path, legacy: dict[str, Any], migrated: dict[str, Any]) -> lab_parity.Cause:
    """Of two such trainings."""
    found = lab_parity.diagnose(train(tmp_path / "a", **legacy), train(tmp_path / "b", **migrated))
    assert found is not None
    return found


def parts(net: Net) -> list[torch.optim.Optimizer]:
    """An optimizer of each part."""
    return [torch.optim.SGD(part.parameters(), lr=0.1) for part in (net.enc, net.dec)]


def test_gradients_that_the_second_optimizer_keeps_are_not_scaled(tmp_path: Path) -> None:
    """The one backward pass belongs to the first optimizer's step; what it found is known of all."""
    found = cause(
        tmp_path, {"optimizers": parts}, {"optimizers": parts, "zero": lambda all_: all_[0].zero_grad()}
    )  # fmt: skip
    assert (found.name, found.affected) == ("zero_grad", ("weight", "bias"))


def test_a_queue_that_is_not_written_has_no_running_statistics(tmp_path: Path) -> None:
    """It has no momentum, either."""

    def enqueue(net: Net, step: int) -> None:
        net.queue[step % 4] = step + 1

    found = cause(tmp_path, {"before": enqueue}, {})
    assert (found.name, found.affected) == ("buffer", ("queue",))
    assert "Only the legacy run" in found.sentence


def test_an_update_that_is_next_to_nothing_is_no_learning_rate(tmp_path: Path) -> None:
    """The difference of the two is nearly the legacy one, whatever the migrated one is."""

    class Other(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.add_(parameter.grad.sign(), alpha=-1e-5)

    wrong = {"optimizers": lambda net: [Other(net.parameters(), lr=0.1)]}
    assert cause(tmp_path, {}, wrong).name != "lr"


def test_one_number_is_explained_by_no_fit(tmp_path: Path) -> None:
    """A factor explains any other gradient of a single number."""

    class Scaled(Net):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))
            self.shift = 0.0

        def forward(self, x: Tensor) -> Tensor:
            x = super().forward(x)
            # The same value, and another derivative.
            other = x + self.shift * (self.scale - self.scale.detach())
            return other * self.scale

    def only_scale(net: Net) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD([net.scale], lr=0.1)]  # type: ignore[list-item]

    def shifted() -> Net:
        net = Scaled()
        net.shift = 1.0
        return net

    found = cause(tmp_path, {"make": Scaled, "optimizers": only_scale}, {"make": shifted, "optimizers": only_scale})
    assert (found.name, found.fit) == ("backward", None)


def test_one_threshold_on_both_sides_is_no_other_clipping(tmp_path: Path) -> None:
    """The norm of the parameters in another order is another sum: rounding."""

    def by_torch(net: Net, step: int) -> None:
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.05)

    def in_doubles(net: Net, step: int) -> None:
        gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
        norm = torch.stack([gradient.double().norm() for gradient in gradients]).norm()
        for gradient in gradients:
            gradient *= 0.05 / (norm + 1e-6)

    assert cause(tmp_path, {"before": by_torch}, {"before": in_doubles}).name == "rounding"


def test_a_class_of_ones_own_may_have_another_name(tmp_path: Path) -> None:
    """What is wrong inside is named, or what its output shows; its name is no difference."""
    wrong = {"make": lambda: Renamed(torch.relu)}
    found = cause(tmp_path, {}, wrong)
    assert "Renamed" not in found.sentence
    found = lab_parity.diagnose(tmp_path / "a", train(tmp_path / "c", Renamed, optimizers=parts))
    assert found is None or "Renamed" not in found.sentence


def test_weights_that_change_before_another_optimizer_begins_are_no_initial_ones(tmp_path: Path) -> None:
    """They have been trained before."""

    def two(path: Path, pruned: bool) -> Path:
        torch.manual_seed(0)
        net = Net()
        with lab_parity.record(path, capture=range(4)):
            for phase in range(2):
                optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
                for _ in range(2):
                    optimizer.zero_grad()
                    net(torch.randn(5, 3)).square().mean().backward()
                    optimizer.step()
                if pruned and not phase:
                    with torch.no_grad():
                        net.enc.weight[0] = 0
        return path

    found = lab_parity.diagnose(two(tmp_path / "a", True), two(tmp_path / "b", False))
    assert found is not None
    assert (found.name, found.affected) == ("between_steps", ("enc.weight",))


def test_a_target_that_is_overwritten_at_other_steps_is_an_average(tmp_path: Path) -> None:
    """Nothing is left to fit of a copy."""

    def targeted(path: Path, every: int) -> Path:
        torch.manual_seed(0)
        net = Net()
        target = copy.deepcopy(net).requires_grad_(False)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with lab_parity.record(path, capture=range(6)):
            for step in range(6):
                x = torch.randn(5, 3)
                optimizer.zero_grad()
                (net(x) - target(x)).sub(1).square().mean().backward()
                optimizer.step()
                if step % every == 1:
                    target.load_state_dict(net.state_dict())
        return path

    found = lab_parity.diagnose(targeted(tmp_path / "a", 4), targeted(tmp_path / "b", 2))
    assert found is not None
    assert found.name == "ema"
    assert (
        "not updated after step 3 in the legacy run, and is made a copy of them in the migrated one" in found.sentence
    )


def critics(path: Path, decay: float = 0.9, capture: range | tuple[int, ...] = range(8)) -> Path:
    """A critic that learns from its slow copy, and an actor, in turns."""
    torch.manual_seed(0)
    actor, critic = nn.Linear(3, 2), nn.Linear(5, 1)
    target = copy.deepcopy(critic).requires_grad_(False)
    mine, other = (torch.optim.SGD(part.parameters(), lr=0.1) for part in (critic, actor))
    with lab_parity.record(path, capture=capture):
        for _ in range(4):
            x = torch.randn(5, 3)
            with torch.no_grad():
                wanted = target(torch.cat([x, actor(x)], 1)) + 1
            mine.zero_grad()
            (critic(torch.cat([x, torch.ones(5, 2)], 1)) - wanted).square().mean().backward()
            mine.step()
            other.zero_grad()
            critic(torch.cat([x, actor(x)], 1)).mean().backward()
            other.step()
            with torch.no_grad():
                for slow, quick in zip(target.parameters(), critic.parameters(), strict=True):
                    slow.lerp_(quick, 1 - decay)
    return path


def test_the_decay_of_a_target_is_told_where_another_optimizer_steps_between(tmp_path: Path) -> None:
    """From the last step of the optimizer whose parameters it follows, though others have stepped since."""
    pair = critics(tmp_path / "a", capture=(0, 2)), critics(tmp_path / "b", decay=0.8, capture=(0, 2))
    found = lab_parity.diagnose(*pair)
    assert found is not None
    assert found.name == "ema"
    assert "keeps 0.8 of its old value after step 0 instead of 0.9" in found.sentence


def test_another_optimizers_turn_is_no_lost_state(tmp_path: Path) -> None:
    """Where a critic has stepped twice, its state is there; the generator's, which begins, is none that was lost."""

    def adversaries(path: Path, turns: int) -> Path:
        torch.manual_seed(0)
        maker, judge = nn.Linear(2, 3), nn.Linear(3, 1)
        mine, other = (torch.optim.Adam(part.parameters(), lr=0.1) for part in (judge, maker))
        with lab_parity.record(path, capture=range(6)):
            for _ in range(2):
                for _ in range(turns):
                    mine.zero_grad()
                    judge(maker(torch.randn(4, 2)).detach()).mean().backward()
                    mine.step()
                other.zero_grad()
                judge(maker(torch.randn(4, 2))).mean().backward()
                other.step()
        return path

    found = lab_parity.diagnose(adversaries(tmp_path / "a", 2), adversaries(tmp_path / "b", 1))
    assert found is not None
    assert found.name == "turns"


def test_weights_that_are_tied_no_more_are_told_of_an_update_by_hand(tmp_path: Path) -> None:
    """Whose settings nobody knows."""

    def by_hand(path: Path, tied: bool) -> Path:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3, bias=False))
        if tied:
            net[2].weight = net[0].weight
        else:
            net[2].weight.data.copy_(net[0].weight.data)
        with lab_parity.record(path, capture=range(3)):
            for _ in range(3):
                net.zero_grad()
                net(torch.randn(5, 3)).square().mean().backward()
                with torch.no_grad():
                    for parameter in net.parameters():
                        parameter -= 0.1 * parameter.grad
        return path

    found = lab_parity.diagnose(by_hand(tmp_path / "a", True), by_hand(tmp_path / "b", False))
    assert found is not None
    assert found.name == "tied"


def test_an_average_of_the_parameters_in_the_state_takes_in_no_decay(tmp_path: Path) -> None:
    """A setting that differs is said; averaged SGD's `ax` was fitted as a gradient with a decay of -100."""

    def averaged(decay: float) -> Callable[[Net], list[torch.optim.Optimizer]]:
        return lambda net: [torch.optim.ASGD(net.parameters(), lr=0.01, lambd=decay)]

    pair = train(tmp_path / "a", optimizers=averaged(1e-4)), train(tmp_path / "b", optimizers=averaged(1e-3))
    found = lab_parity.diagnose(*pair)
    assert found is not None
    assert found.sentence == "lambd is 0.001 instead of 0.0001 on all parameters."


class Normed(nn.Module):
    """A norm that gradient checkpointing may call twice, and a state that may be given."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.again = again
        self.norm = nn.BatchNorm1d(3)
        self.out = nn.Linear(3, 3)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """(B, 3) -> (B, 3)."""
        x = x if state is None else x + state
        made: Tensor = checkpoint(self.norm, x, use_reentrant=False) if self.again else self.norm(x)
        out: Tensor = self.out(made)
        return out


def normed(path: Path, *, again: bool = False, given: bool = True) -> Path:
    """Two steps of it."""
    torch.manual_seed(0)
    net = Normed(again)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with lab_parity.record(path, capture=range(2)):
        for _ in range(2):
            x, state = torch.randn(5, 3), torch.randn(5, 3)
            net(x, state if given else None).square().mean().backward()
            optimizer.step()
    return path


def test_a_norm_that_is_called_again_has_no_other_momentum(tmp_path: Path) -> None:
    """Under gradient checkpointing it takes in each batch twice, which looks like a momentum of 1 - 0.9²."""
    found = lab_parity.diagnose(normed(tmp_path / "a"), normed(tmp_path / "b", again=True))
    assert found is not None
    assert found.name == "batchnorm"
    assert found.sentence.startswith("norm takes in 2 batches in this step instead of 1")


def test_a_tensor_that_a_model_is_not_given_is_named(tmp_path: Path) -> None:
    """It was said of the first module that sees its lack that it computes something else."""
    found = lab_parity.diagnose(normed(tmp_path / "a"), normed(tmp_path / "b", given=False))
    assert found is not None
    assert "The legacy run calls the model with a tensor that the migrated one does not give it" in found.sentence


def test_a_factor_of_each_tensors_own_is_no_learning_rate(tmp_path: Path) -> None:
    """As of an update that is scaled by its own norm: nobody has set such rates."""

    class Scaled(torch.optim.SGD):
        """SGD of which each tensor's update is scaled a little."""

        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            """Longer updates are scaled more."""
            for parameter in self.param_groups[0]["params"]:
                if parameter.ndim == 2:
                    parameter.sub_(0.01 * parameter.grad * parameter.grad.norm())
            super().step(closure)

    def scaled(kind: type[torch.optim.SGD]) -> Callable[[Net], list[torch.optim.Optimizer]]:
        return lambda net: [kind(net.parameters(), lr=0.1)]

    class Deeper(Net):
        """Of three layers."""

        def __init__(self) -> None:
            super().__init__()
            self.act = nn.Sequential(nn.Tanh(), nn.Linear(4, 4))

    pair = [train(tmp_path / kind.__name__, Deeper, optimizers=scaled(kind)) for kind in (torch.optim.SGD, Scaled)]
    found = lab_parity.diagnose(*pair)
    assert found is not None
    assert found.name == "unknown"


def scaled_loss(path: Path, *, scale: float = 4.0, overflow: bool = False) -> Path:
    """Three steps under a scaler, the second one's loss infinite where asked; batches of 4 samples."""
    torch.manual_seed(0)
    net = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    with lab_parity.record(path, capture=range(3)):
        for step in range(3):
            optimizer.zero_grad()
            loss = net(torch.randn(4, 3)).square().mean() * (torch.inf if overflow and step == 1 else 1.0)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    return path


def test_a_loss_scale_that_is_undone_is_no_sum_over_the_batch(tmp_path: Path) -> None:
    """Four times the loss, as the sum over four samples is; but the update sees the same gradients."""
    found = lab_parity.diagnose(scaled_loss(tmp_path / "a"), scaled_loss(tmp_path / "b", scale=16.0))
    assert found is not None
    assert (found.name, found.size) == ("scale", pytest.approx(4.0))
    assert "a loss scale that is undone" in found.sentence


def test_an_infinite_loss_is_no_accumulation(tmp_path: Path) -> None:
    """The scaler skips that step, and its backward pass counts to the next one."""
    found = lab_parity.diagnose(scaled_loss(tmp_path / "a"), scaled_loss(tmp_path / "b", overflow=True))
    assert found is not None
    assert found.name == "objective"


def test_the_momentum_of_a_norm_that_is_called_beside_the_step_is_read(tmp_path: Path) -> None:
    """A generator's, in its critic's step: what its statistics were before is not known there."""

    def gan(path: Path, momentum: float) -> Path:
        torch.manual_seed(0)
        nets = nn.ModuleDict({
            "maker": nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, momentum=momentum)), "critic": nn.Linear(3, 1),
        })  # fmt: skip
        optimizers = [torch.optim.SGD(nets[name].parameters(), lr=0.1) for name in ("critic", "maker")]
        with lab_parity.record(path, capture=range(2)):
            for step, optimizer in enumerate(optimizers):
                made = nets["maker"](torch.randn(5, 2))
                nets.zero_grad()
                nets["critic"](made if step else made.detach()).square().mean().backward()
                optimizer.step()
        return path

    found = lab_parity.diagnose(gan(tmp_path / "a", 0.2), gan(tmp_path / "b", 0.1))
    assert found is not None
    assert (found.name, found.size) == ("batchnorm", 0.1)


def test_another_optimizer_of_torchs_is_named(tmp_path: Path) -> None:
    """Of which no setting that both have differs."""
    pair = [
        train(tmp_path / kind.__name__, optimizers=lambda net, kind=kind: [kind(net.parameters(), lr=0.1)])
        for kind in (torch.optim.SGD, torch.optim.Adam)
    ]
    found = lab_parity.diagnose(*pair)
    assert found is not None
    assert found.sentence == "The migrated optimizer is Adam, the legacy one SGD."
