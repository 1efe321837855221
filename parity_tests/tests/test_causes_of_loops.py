"""Trainings with loops of their own, and one bug each: what it is called."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

import lab_parity
from lab_parity.diagnose.causes import batches, reduction
from lab_parity.diagnose.scene import Scene, read_runs
from lab_parity.verdict import Divergence

Training = Callable[[bool], None]


def network(*sizes: int) -> nn.Sequential:
    """Linear layers with tanh between."""
    layers: list[nn.Module] = []
    for size, following in itertools.pairwise(sizes):
        layers += [nn.Linear(size, following), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def data(count: int, width: int, seed: int = 5) -> Tensor:
    """Numbers of their own generator."""
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One update."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def taking_turns(bug: bool) -> None:
    """Two optimizers, of other classes; one takes a turn that is the other's."""
    a, b, x = network(4, 6, 3), network(3, 6, 1), data(24, 4)
    first, second = torch.optim.Adam(a.parameters(), 1e-2), torch.optim.RMSprop(b.parameters(), 1e-3)
    for number in range(6):
        part = x[4 * number : 4 * number + 4]
        step(first if number % 2 == 0 or (bug and number == 3) else second, b(a(part)).square().mean())


def left_over(bug: bool) -> None:
    """Seven batches, three a step: the last window has one."""
    model = network(4, 6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for number, part in enumerate(data(28, 4).split(4)):
        (model(part).square().mean() / (3 if number < 6 or bug else 1)).backward()
        if number % 3 == 2 or number == 6:
            optimizer.step()
            optimizer.zero_grad()


def projected(bug: bool) -> None:
    """The weights are clipped behind each step, as a critic's."""
    model = network(4, 6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for part in data(12, 4).split(4):
        step(optimizer, model(part).square().mean())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.clamp_(-0.3 if bug else -0.4, 0.4)


def double_loss(bug: bool) -> None:
    """The loss is worked out in doubles."""
    model = network(4, 6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for part in data(12, 4).split(4):
        said = model(part)
        step(optimizer, (said.double() if bug else said).square().mean())


def written_out(bug: bool) -> None:
    """Adam in a loop, whose moments nobody sees; of numbers that do not round at the first step."""
    model, beta = network(4, 6, 1), 0.5 if bug else 0.75
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in model.parameters()]
    for number, part in enumerate(data(12, 4).split(4), 1):
        model.zero_grad()
        model(part).square().mean().backward()
        with torch.no_grad():
            for parameter, (first, second) in zip(model.parameters(), moments, strict=True):
                assert parameter.grad is not None
                first.mul_(0.5).add_(parameter.grad, alpha=0.5)
                second.mul_(beta).addcmul_(parameter.grad, parameter.grad, value=1 - beta)
                root = (second / (1 - beta**number)).sqrt() + 1e-8
                parameter.sub_(0.01 * (first / (1 - 0.5**number)) / root)


def replaced_head(bug: bool) -> None:
    """The head is replaced behind the optimizer's back."""
    model = network(4, 6, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model[2] = nn.Linear(6, 2)
    if not bug:
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for part in data(12, 4).split(4):
        step(optimizer, model(part).square().mean())


def late_group(bug: bool) -> None:
    """The trunk joins at step 1, or at step 2."""
    model = network(4, 6, 2)
    optimizer = torch.optim.SGD(model[2].parameters(), 0.1)
    for number, part in enumerate(data(16, 4).split(4)):
        if number == 1 + bug:
            optimizer.add_param_group({"params": model[0].parameters()})
        model.zero_grad()
        step(optimizer, model(part).square().mean())


def other_shapes(bug: bool) -> None:
    """Weight norm over the other dimension."""
    model = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2), dim=int(bug))
    step(torch.optim.SGD(model.parameters(), 0.1), model(data(4, 4)).square().mean())


class Plain:
    """An optimizer of a program's own, whose momentum nobody sees."""

    def __init__(self, model: nn.Module, lr: float, momentum: float, nesterov: bool = False) -> None:
        self._parameters = list(model.parameters())
        self._buffers = [torch.zeros_like(p) for p in self._parameters]
        self._lr, self._momentum, self._nesterov = lr, momentum, nesterov

    def step(self) -> None:
        """p -= lr · (momentum · buffer + gradient), or Nesterov's."""
        for parameter, buffer in zip(self._parameters, self._buffers, strict=True):
            assert parameter.grad is not None
            buffer.mul_(self._momentum).add_(parameter.grad)
            ahead = parameter.grad + self._momentum * buffer if self._nesterov else buffer
            parameter.data -= self._lr * ahead
            parameter.grad = None


def unseen(lr: float = 0.05, momentum: float = 0.9, nesterov: bool = False) -> Training:
    """The migrated settings of such an optimizer."""

    def train(bug: bool) -> None:
        model = network(4, 6, 2)
        optimizer = Plain(model, lr, momentum, nesterov) if bug else Plain(model, 0.05, 0.9)
        for part in data(12, 4).split(4):
            model(part).square().mean().backward()
            optimizer.step()

    return train


def two_of_a_kind(bug: bool) -> None:
    """Two linear layers that nobody holds both of; what goes from one to the other is rounded."""
    a, b = nn.Linear(4, 6), nn.Linear(6, 2)
    optimizer = torch.optim.SGD([*a.parameters(), *b.parameters()], 0.1)
    for part in data(8, 4).split(4):
        inner = torch.tanh(a(part))
        step(optimizer, b(inner.bfloat16().float() if bug else inner).square().mean())


def norm_behind(bug: bool) -> None:
    """The norm stands behind the activation."""
    middle = [nn.BatchNorm1d(6), nn.ReLU()]
    model = nn.Sequential(nn.Linear(4, 6), *(reversed(middle) if bug else middle), nn.Linear(6, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for part in data(12, 4).split(6):
        step(optimizer, model(part).square().mean())


def labels_left(bug: bool) -> None:
    """At step 1 the samples are shuffled, and what they are compared with is not."""
    model = network(4, 6, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for number, (part, labels) in enumerate(zip(data(24, 4).split(8), data(24, 2, 6).split(8), strict=True)):
        step(optimizer, F.mse_loss(model(part.flip(0) if bug and number == 1 else part), labels))


def not_anew(bug: bool) -> None:
    """The second epoch has the order of the first."""
    model = network(4, 6, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for epoch in range(2):
        order = torch.randperm(12, generator=torch.Generator().manual_seed(0 if bug else epoch))
        for part in data(12, 4)[order].split(4):
            step(optimizer, model(part).square().mean())


def penalty(bug: bool) -> None:
    """A penalty on one weight, of a loss that is differentiated by torch.func."""
    weights = [nn.Parameter(data(4, 6)), nn.Parameter(data(6, 2))]
    optimizer = torch.optim.SGD(weights, 0.1)

    def loss(weights: Sequence[Tensor], part: Tensor) -> Tensor:
        found = (torch.tanh(part @ weights[0]) @ weights[1]).square().mean()
        return found + 1e-3 * weights[0].square().sum() if bug else found

    for part in data(8, 4, 6).split(4):
        gradients = torch.func.grad(loss)(tuple(weight.detach() for weight in weights), part)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        optimizer.step()


CASES: list[tuple[Training, int, str, str]] = [
    (taking_turns, 3, "turns", "At step 3 opt1 steps in the legacy run, opt0 in the migrated one"),
    (left_over, 2, "accumulation", "the last, short window of 1 is divided by 3 instead of by its own count"),
    (replaced_head, 1, "missing", "(2.weight, 2.bias): they are never updated; it has 2 instead that no module holds"),
    (late_group, 2, "missing", "does not know 2 of 4 parameters (0.weight, 0.bias) yet at step 1"),
    (other_shapes, 0, "initial", "is (1, 4) instead of (2, 1)"),
    (unseen(momentum=0.89), 1, "momentum", "keeps 0.89 of the one before instead of 0.9"),
    (unseen(nesterov=True), 0, "momentum_form", "1 + momentum where the migrated momentum 0.9 is Nesterov's"),
    (unseen(lr=0.045), 0, "lr", "0.9 times the legacy one on all parameters: the learning rate, or, at this first"),
    (two_of_a_kind, 0, "module", "The first module whose output differs is Linear#"),
    (norm_behind, 0, "module", "behind 0 (Linear) the legacy run calls 1 (BatchNorm1d), the migrated one 1' (ReLU)"),
    (labels_left, 1, "batches", "the same 8 samples in another order, and what the loss compares them with does not"),
    (not_anew, 3, "order", "its own batches again, in the order of step 0 on"),
    (penalty, 0, "decay", "by 0.002 times the parameter on 1 of 2 parameters (0)"),
    (written_out, 1, "betas", "beta2 is 0.5 instead of 0.75"),
    (projected, 1, "between_steps", "not to the same values"),
    (double_loss, 0, "precision", "The loss is float64 instead of float32"),
]


@pytest.mark.parametrize(("train", "at", "name", "said"), CASES)
def test_a_bug_in_a_loop_of_its_own_is_called_what_it_is(
    train: Training, at: int, name: str, said: str, tmp_path: Path
) -> None:
    """These had names of other causes, or none."""
    for side in ("legacy", "again", "migrated"):
        torch.manual_seed(0)
        with lab_parity.record(tmp_path / side, capture=range(6)):
            train(side == "migrated")
    assert lab_parity.compare(tmp_path / "legacy", tmp_path / "again").rung == "identical"
    verdict = lab_parity.compare(tmp_path / "legacy", tmp_path / "migrated")
    assert verdict.first is not None, verdict
    assert verdict.first.step == at, verdict
    found = lab_parity.diagnose(tmp_path / "legacy", tmp_path / "migrated", verdict=verdict)
    assert found is not None
    assert (found.name, said in found.sentence) == (name, True), found.sentence


def test_a_missing_no_sync_is_named(tmp_path: Path) -> None:
    """Of the phase `reduce` no cause knew anything. One rank is told what to do as two are."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        for side in ("legacy", "migrated"):
            torch.manual_seed(0)
            model = nn.parallel.DistributedDataParallel(nn.Linear(4, 2))
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            with lab_parity.record(tmp_path / side, capture=range(2)):
                for number, part in enumerate(data(16, 4).split(4)):
                    model.require_backward_grad_sync = side == "migrated" or number % 2 == 1  # as no_sync() sets it
                    model(part).square().mean().backward()
                    if number % 2:
                        optimizer.step()
                        optimizer.zero_grad()
    finally:
        dist.destroy_process_group()
    # With one rank the gradients are the same, whenever they are reduced.
    verdict = lab_parity.compare(tmp_path / "legacy", tmp_path / "migrated")
    assert verdict.rung == "identical", verdict
    runs = read_runs(lab_parity.read(tmp_path / "legacy"), lab_parity.read(tmp_path / "migrated"), 0)
    first = Divergence(0, 0, "reduce", "DistributedDataParallel synchronized", "the numbers differ", 0.0, 1.0, 0)
    (found,) = reduction.find(Scene(verdict, first, *runs))
    assert found.name == "reduction"
    assert "The migrated run reduces the gradients over the ranks in micro-step 0" in found.sentence


def test_a_sum_over_ranks_in_place_of_their_mean_is_no_accumulation(tmp_path: Path) -> None:
    """With as many micro-steps as ranks it was called one. What goes into the reduction tells."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        for side in ("legacy", "migrated"):
            torch.manual_seed(0)
            model = nn.Linear(4, 2)
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            with lab_parity.record(tmp_path / side, capture=range(1)):
                for part in data(8, 4).split(4):
                    model(part).square().mean().backward()
                for parameter in model.parameters():
                    assert parameter.grad is not None
                    dist.all_reduce(parameter.grad)
                    parameter.grad /= 2 if side == "legacy" else 1
                optimizer.step()
    finally:
        dist.destroy_process_group()
    found = lab_parity.diagnose(tmp_path / "legacy", tmp_path / "migrated")
    assert found is not None
    assert found.name == "reduction", found.sentence
    assert "The gradients that are reduced over 1 ranks agree, what comes of them is 2 times" in found.sentence


def test_ranks_that_have_exchanged_their_shares_are_named(tmp_path: Path) -> None:
    """They were said to see other samples."""
    for side, seed in (("legacy", 1), ("migrated", 2)):
        torch.manual_seed(0)
        model = network(4, 6, 2)
        with lab_parity.record(tmp_path / side, capture=range(1)):
            step(torch.optim.SGD(model.parameters(), 0.1), model(data(4, 4, seed)).square().mean())
    verdict = lab_parity.compare(tmp_path / "legacy", tmp_path / "migrated")
    assert verdict.first is not None
    runs = read_runs(lab_parity.read(tmp_path / "legacy"), lab_parity.read(tmp_path / "migrated"), 0)
    shares = {rank: runs[rank].history.steps[0].batches[0] for rank in (0, 1)}
    found = list(batches.find(Scene(verdict, attrs.evolve(verdict.first, rank=0), *runs, shares)))
    said = "Rank 0 of the migrated run sees the batch that rank 1 of the legacy run sees"
    assert [cause.name for cause in found if said in cause.sentence] == ["order"]
