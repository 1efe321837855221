"""Gradients that come from torch.autograd.grad: of parameters a backward pass, of all else a penalty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

import lab_parity
from lab_parity import Verdict, compare
from lab_parity.trace import Step


def verdict(tmp_path: Path, first: Callable[[], object], second: Callable[[], object]) -> Verdict:
    """On two trainings."""
    for name, side in (("a", first), ("b", second)):
        with lab_parity.record(tmp_path / f"{name}.trace"):
            side()
    return compare(tmp_path / "a.trace", tmp_path / "b.trace")


def steps(trace: Path) -> list[Step]:
    """Of a trace."""
    return [item for item in lab_parity.read(trace).steps() if isinstance(item, Step)]


def by_hand(lr: float = 0.1, count: int = 3) -> Tensor:
    """No optimizer, and no gradient that lies beside its parameter."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    for _ in range(count):
        loss = model(torch.randn(5, 3)).square().mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.sub_(lr * gradient)
    return model[0].weight.detach().clone()


def assigned(lr: float = 0.1, scale: float = 1.0) -> None:
    """The gradients are put beside their parameters for an optimizer."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(3):
        loss = scale * model(torch.randn(5, 3)).square().mean()
        for parameter, gradient in zip(
            model.parameters(), torch.autograd.grad(loss, tuple(model.parameters())), strict=True
        ):
            parameter.grad = gradient
        optimizer.step()


def meta(inner: float = 0.1) -> None:
    """Two tasks a step, one inner step each, differentiated through."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        total = torch.zeros(())
        for _ in range(2):
            support, query = torch.randn(4, 2), torch.randn(4, 2)
            own = dict(model.named_parameters())
            gradients = torch.autograd.grad(model(support).square().mean(), list(own.values()), create_graph=True)
            fast = {name: p - inner * g for (name, p), g in zip(own.items(), gradients, strict=True)}
            total = total + functional_call(model, fast, (query,)).square().mean()
        total.backward()
        optimizer.step()


def penalised(target: float = 1.0, reuse: bool = True) -> None:
    """A critic whose slope is held near a target."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.01)
    for _ in range(2):
        x = torch.randn(6, 3, requires_grad=True)
        out = critic(x)
        if reuse:
            (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        else:
            slope = torch.func.vmap(torch.func.grad(lambda row: critic(row).squeeze()))(x)
        loss = out.mean() + ((slope.norm(dim=1) - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_an_update_by_hand_is_seen_with_its_gradients(tmp_path: Path) -> None:
    """Steps, batches, losses, gradients and parameters, as of a backward pass."""
    found = verdict(tmp_path, by_hand, by_hand)
    assert (found.rung, found.coverage.steps, found.coverage.micro_steps) == ("identical", 3, 3)
    (first, *_) = steps(tmp_path / "a.trace")
    assert {"batch", "loss", "grad", "param"} <= {key.phase for key in first.keys}
    assert len({first.digests[n].tobytes() for n, key in enumerate(first.keys) if key.phase == "grad"}) == 4


def test_another_rate_in_such_an_update_is_found_in_the_parameters(tmp_path: Path) -> None:
    """The gradients agree."""
    found = verdict(tmp_path, by_hand, lambda: by_hand(0.2))
    assert found.first is not None
    assert (found.first.step, found.first.phase) == (0, "param")


def test_gradients_that_are_assigned_belong_to_a_micro_step(tmp_path: Path) -> None:
    """With its loss; a scale that differs is found there."""
    assert verdict(tmp_path, assigned, assigned).coverage.micro_steps == 3
    for trace in tmp_path.glob("*.trace"):
        trace.unlink()
    found = verdict(tmp_path, assigned, lambda: assigned(scale=2.0))
    assert found.first is not None
    assert (found.first.step, found.first.phase) == (0, "loss")


def test_the_inner_steps_of_meta_learning_are_micro_steps(tmp_path: Path) -> None:
    """Each inner loss counts, and the outer one; another inner rate is found in the outer loss."""
    found = verdict(tmp_path, meta, lambda: meta(0.2))
    assert found.first is not None
    assert (found.first.step, found.first.micro_step, found.first.phase) == (0, 2, "loss")
    assert [step.micro_steps for step in steps(tmp_path / "a.trace")] == [3, 3]


def test_the_gradients_of_a_penalty_are_seen_before_the_loss(tmp_path: Path) -> None:
    """They are no micro-step; another target leaves them, and not the loss."""
    found = verdict(tmp_path, penalised, lambda: penalised(0.0))
    assert found.first is not None
    assert (found.first.step, found.first.phase) == (0, "loss")
    (first, _) = steps(tmp_path / "a.trace")
    keys = [key for key in first.keys if key.phase == "forward"]
    assert [(key.micro, key.name) for key in keys] == [(0, "autograd.grad 0 result 0")]
    assert first.micro_steps == 1


def test_a_penalty_that_is_made_in_another_way_is_noted(tmp_path: Path) -> None:
    """By torch.func on one side: what the loss is made of it is what counts."""
    found = verdict(tmp_path, penalised, lambda: penalised(reuse=False))
    assert any("torch.autograd.grad are only in the first trace" in note for note in found.notes)
    assert not found.coverage.unmatched


@pytest.mark.parametrize("training", [by_hand])
def test_looking_on_changes_no_number(tmp_path: Path, training: Callable[[], Tensor]) -> None:
    """A recorded run ends with the bits of an unrecorded one."""
    plain = training()
    with lab_parity.record(tmp_path / "a.trace"):
        recorded = training()
    assert torch.equal(plain, recorded)


def test_gradients_of_an_edge_of_the_graph_are_given_as_ever(tmp_path: Path) -> None:
    """An edge is a tuple, and no list of tensors."""
    model = nn.Linear(3, 1)
    hidden = model(torch.ones(2, 3))
    with lab_parity.record(tmp_path / "a.trace"):
        (found,) = torch.autograd.grad(hidden.sum(), torch.autograd.graph.get_gradient_edge(hidden))
    assert torch.equal(found, torch.ones(2, 1))


def transformed(share: float = 0.1) -> None:
    """Gradients of single examples, and a penalty on the Jacobian, beside an ordinary loss."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def of_one(own: dict[str, Tensor], x: Tensor) -> Tensor:
        made: Tensor = functional_call(model, own, (x[None],)).square().mean()
        return made

    for _ in range(3):
        x = torch.randn(5, 3)
        optimizer.zero_grad()
        single = vmap(grad(of_one), (None, 0))({name: one.detach() for name, one in model.named_parameters()}, x)
        (model(x).square().mean() + 0.1 * vmap(jacrev(model))(x).square().mean()).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            parameter.grad += share * single[name].mean(0)
        optimizer.step()


def test_transforms_of_torch_func_are_passed_over(tmp_path: Path) -> None:
    """What they call a model with has no bits; the step that they are a part of is recorded whole."""
    assert verdict(tmp_path, transformed, transformed).rung == "identical"
    (tmp_path / "a.trace").unlink(), (tmp_path / "b.trace").unlink()
    found = verdict(tmp_path, transformed, lambda: transformed(0.2))
    assert found.first is not None
    assert (found.first.step, found.first.phase) == (0, "grad")
