"""Lab's optimizers own everything from the loss to the update."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from legacy_lab.optim.adam import Adam
from legacy_lab.optim.schedules import Ramp, WarmupCosine, combined
from legacy_lab.optim.sgd import SGD


def model() -> nn.Module:
    """Two layers, the same each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_parameters_change_at_every_accumulated_step_only(accumulate: int) -> None:
    """`step` returns True just then, and leaves zeros, not None."""
    net = model()
    optimizer = Adam(net, accumulate=accumulate)
    for micro in range(1, 7):
        before = [p.detach().clone() for p in net.parameters()]
        updated = optimizer.step(net(torch.randn(5, 3)).square().mean())
        assert updated == (micro % accumulate == 0)
        assert updated != all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
        if updated:
            assert all(p.grad is not None and not p.grad.any() for p in net.parameters())
    assert optimizer.steps == 6 // accumulate


def test_adam_is_its_formula() -> None:
    """One parameter, two steps, by hand in double precision; epsilon under the root, decay first."""
    p = nn.Parameter(torch.tensor([[2.0]], dtype=torch.float64))
    net = nn.Module()
    net.register_parameter("p", p)
    optimizer = Adam(net, lr=0.1, betas=(0.9, 0.99), eps=1e-3, decay=0.5)
    value, m, v = 2.0, 0.0, 0.0
    for step in (1, 2):
        g = 2 * value
        optimizer.step(p.square().sum())
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        value *= 1 - 0.1 * 0.5
        value -= 0.1 * (m / (1 - 0.9**step)) / (v / (1 - 0.99**step) + 1e-3) ** 0.5
        assert abs(p.item() - value) <= 1e-15 * 8


def test_decay_spares_vectors() -> None:
    """Without gradient only matrices shrink."""
    net = model()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    SGD(net, lr=0.1, decay=0.5).step(sum(p.sum() for p in net.parameters()) * 0.0)
    for name, p in net.named_parameters():
        assert torch.equal(p, before[name] * (1 - 0.1 * 0.5) if p.dim() == 2 else before[name]), name


def test_clipping_bounds_the_global_norm() -> None:
    """The norm that was found is kept for reports."""
    net = model()
    optimizer = SGD(net, lr=1.0, momentum=0.0, clip_norm=0.5)
    before = [p.detach().clone() for p in net.parameters()]
    optimizer.step(100 * net(torch.randn(5, 3)).square().mean())
    with torch.no_grad():
        squares = [(a - b).square().sum() for a, b in zip(before, net.parameters(), strict=True)]
    moved = torch.stack(squares).sum().sqrt()
    assert optimizer.last_norm is not None
    assert optimizer.last_norm > 0.5
    assert float(moved) == pytest.approx(0.5, rel=1e-5)


def test_a_multiplier_scales_what_it_matches_and_must_match() -> None:
    """A pattern that matches nothing is an error, not a no-op."""
    groups = Adam(model(), lr=1.0, multipliers={"2.*": 0.25}).groups
    assert {group["lr"]: group["names"] for group in groups} == {
        1.0: ["0.weight", "0.bias"],
        0.25: ["2.weight", "2.bias"],
    }
    with pytest.raises(ValueError, match=r"found none for \['head.*'\]"):
        Adam(model(), multipliers={"head.*": 0.25})


def test_the_schedule_is_asked_before_the_update() -> None:
    """Update n runs with what the schedule says of n."""
    optimizer = SGD(
        model(), schedule=combined([WarmupCosine(lr=1.0, total=10, warmup=2), Ramp("momentum", 0.0, 0.8, 4)])
    )
    seen = []
    for _ in range(3):
        optimizer.step(sum(p.sum() for p in optimizer.groups[0]["params"]))
        seen.append((optimizer.groups[0]["lr"], optimizer.groups[0]["momentum"]))
    assert seen == [(0.5, 0.0), (1.0, 0.2), (1.0, 0.4)]


@settings(max_examples=15, deadline=None)
@given(
    cls=st.sampled_from([Adam, SGD]),
    accumulate=st.integers(1, 3),
    at=st.integers(0, 5),
    clip=st.sampled_from([None, 0.1]),
)
def test_an_optimizer_goes_on_from_its_state(cls: type[Adam], accumulate: int, at: int, clip: float | None) -> None:
    """Also between two micro-steps of one update."""
    batches = torch.randn(12, 5, 3)
    nets, optimizers = [], []
    for _ in range(2):
        net = model()
        nets.append(net)
        optimizers.append(cls(net, accumulate=accumulate, clip_norm=clip))
    for x in batches[:at]:
        optimizers[0].step(nets[0](x).square().mean())
    nets[1].load_state_dict(nets[0].state_dict())
    optimizers[1].load_state(optimizers[0].state())
    for x in batches[at:]:
        for net, optimizer in zip(nets, optimizers, strict=True):
            optimizer.step(net(x).square().mean())
    assert all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))


def test_a_state_of_another_model_is_refused() -> None:
    """Names are compared before anything is loaded."""
    with pytest.raises(ValueError, match="differing names"):
        Adam(model()).load_state(Adam(nn.Linear(2, 2)).state())


def test_decay_multipliers_scale_the_decay_of_what_they_match() -> None:
    """And leave the learning rate and every other parameter alone; a pattern that matches nothing is refused."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    optimizer = SGD(model, lr=0.1, decay=0.5, multipliers={"1.*": 0.1}, decay_multipliers={"0.*": 0.0})
    found = {name: (group["lr"], group["decay"]) for group in optimizer.groups for name in group["names"]}
    assert found == {
        "0.weight": (0.1, 0.0),
        "0.bias": (0.1, 0.0),
        "1.weight": (0.1 * 0.1, 0.5),
        "1.bias": (0.1 * 0.1, 0.5),
    }
    with pytest.raises(ValueError, match=r"optimizer\.decay_multipliers.*found none for \['2\.\*'\]"):
        SGD(model, decay_multipliers={"2.*": 0.0})
