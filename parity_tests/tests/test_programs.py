"""Programs of every kind, recorded as they are: what a training is made of must not matter."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lab_parity
from lab_parity.trace import Step


def steps_of(path: Path) -> list[Step]:
    """The steps of a trace."""
    return [item for item in lab_parity.read(path).steps() if isinstance(item, Step)]


def model(seed: int = 0) -> nn.Sequential:
    """(B, 3) -> (B, 1), with dropout."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.1), nn.Linear(4, 1))


def gradients(net: nn.Module, micro_steps: int = 1) -> Tensor:
    """Of random batches."""
    for parameter in net.parameters():
        parameter.grad = None
    for _ in range(micro_steps):
        loss: Tensor = net(torch.randn(5, 3)).square().mean()
        loss.backward()
    return loss


def same(a: Path, b: Path) -> lab_parity.Verdict:
    """Their verdict, which is identical and rests on something."""
    verdict = lab_parity.compare(a, b)
    assert (verdict.rung, verdict.reasons) == ("identical", ())
    assert verdict.coverage.steps
    return verdict


def by_hand(net: nn.Module, lr: float = 0.1) -> None:
    """As in a tutorial."""
    for parameter in net.parameters():
        assert parameter.grad is not None
        parameter.data.add_(parameter.grad, alpha=-lr)


@pytest.mark.parametrize("zeroed", ["before", "after"])
@pytest.mark.parametrize("micro_steps", [1, 2])
def test_an_update_by_hand_is_a_step(tmp_path: Path, zeroed: str, micro_steps: int) -> None:
    """Nobody tells it: the parameters have changed after a backward pass. It equals SGD's."""
    for name in ("hand", "again", "torch"):
        net = model()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name):
            for _ in range(3):
                gradients(net, micro_steps)
                if name == "torch":
                    optimizer.step()
                else:
                    by_hand(net)
                    if zeroed == "after":
                        net.zero_grad()
    assert [step.micro_steps for step in steps_of(tmp_path / "hand")] == [micro_steps] * 3
    assert {key.phase for key in steps_of(tmp_path / "hand")[0].keys} >= {"config", "batch", "loss", "grad", "param"}
    same(tmp_path / "hand", tmp_path / "again")
    assert any("by hand" in note for note in same(tmp_path / "hand", tmp_path / "torch").notes)


def test_another_update_by_hand_is_another_training(tmp_path: Path) -> None:
    """Found in the parameters of its step."""
    for name, lr in (("a", 0.1), ("b", 0.2)):
        net = model()
        with lab_parity.record(tmp_path / name):
            for step in range(3):
                gradients(net)
                by_hand(net, lr if step else 0.1)
    first = lab_parity.compare(tmp_path / "a", tmp_path / "b").first
    assert first is not None
    assert (first.step, first.phase) == (1, "param")


def test_a_model_without_modules_is_recorded(tmp_path: Path) -> None:
    """Two tensors and a formula; they have no names, and keep those that they get."""
    for name in "ab":
        torch.manual_seed(0)
        w, b = torch.randn(3, requires_grad=True), torch.zeros((), requires_grad=True)
        with lab_parity.record(tmp_path / name):
            for _ in range(3):
                ((torch.randn(3) * w).sum() + b).square().backward()
                for leaf in (w, b):
                    assert leaf.grad is not None
                    leaf.data -= 0.1 * leaf.grad
                    leaf.grad.zero_()
    assert same(tmp_path / "a", tmp_path / "b").coverage.tensors == 2


def test_backward_passes_without_an_update_are_no_step(tmp_path: Path) -> None:
    """A saliency map, a gradient check: nothing changes, nothing was trained."""
    net = model()
    with lab_parity.record(tmp_path / "a"):
        for _ in range(3):
            gradients(net)
    assert steps_of(tmp_path / "a") == []


def test_an_optimizer_that_is_known_makes_all_steps(tmp_path: Path) -> None:
    """Parameters that change beside it (clipped weights, as of a critic) do not add steps of their own."""
    net = model()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with lab_parity.record(tmp_path / "a"):
        for _ in range(3):
            gradients(net)
            optimizer.step()
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.clamp_(-0.1, 0.1)
    assert [key.field for key in steps_of(tmp_path / "a")[1].keys if key.phase == "optimizer"] == ["hyper"] * 4
    assert len(steps_of(tmp_path / "a")) == 3


def test_a_marked_update_carries_its_settings(tmp_path: Path) -> None:
    """`with lab_parity.Update(...)`: the learning rate is recorded, and another one is found there."""
    for name, lr in (("a", 0.1), ("b", 0.1), ("c", 0.2)):
        net = model()
        update = lab_parity.Update(net.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name):
            for step in range(3):
                update.hyper["lr"] = lr if step else 0.1
                gradients(net)
                with update:
                    by_hand(net, update.hyper["lr"])
    same(tmp_path / "a", tmp_path / "b")
    first = lab_parity.compare(tmp_path / "a", tmp_path / "c").first
    assert first is not None
    assert (first.step, first.phase, first.what) == (1, "optimizer", "lr is 0.1 against 0.2")


def test_a_marked_method_is_an_optimizers_update(tmp_path: Path) -> None:
    """`@lab_parity.updates`: settings and slots of a home-grown optimizer; without a recording it does nothing."""

    class Momentum:
        def __init__(self, net: nn.Module) -> None:
            self.param_groups = [{"params": list(net.parameters()), "lr": 0.1}]
            self.state: dict[Tensor, dict[str, Tensor]] = {}

        @lab_parity.updates(groups="param_groups", slots="state")
        def apply(self) -> str:
            for parameter in self.param_groups[0]["params"]:
                slot = self.state.setdefault(parameter, {"m": torch.zeros_like(parameter)})
                slot["m"].mul_(0.9).add_(parameter.grad)
                parameter.data -= self.param_groups[0]["lr"] * slot["m"]
            return "done"

    net = model()
    optimizer = Momentum(net)
    gradients(net)
    assert optimizer.apply() == "done"
    with lab_parity.record(tmp_path / "a"):
        for _ in range(2):
            gradients(net)
            assert optimizer.apply() == "done"
    fields = {key.field for key in steps_of(tmp_path / "a")[1].keys if key.phase == "optimizer"}
    assert (len(steps_of(tmp_path / "a")), fields) == (2, {"hyper", "m"})


def test_a_step_that_the_scaler_skips_is_no_step(tmp_path: Path) -> None:
    """Its micro-step is counted to the next one; the gradients are the unscaled ones."""
    for name in "ab":
        net = model()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        with lab_parity.record(tmp_path / name):
            for step in range(4):
                optimizer.zero_grad()
                loss = net(torch.randn(5, 3)).square().mean()
                scaler.scale(loss * (float("inf") if step == 1 else 1.0)).backward()
                scaler.step(optimizer)
                scaler.update()
    assert [step.micro_steps for step in steps_of(tmp_path / "a")] == [1, 2, 1]
    same(tmp_path / "a", tmp_path / "b")


def test_lbfgs_is_one_step_with_many_micro_steps(tmp_path: Path) -> None:
    """Its parameters change between the closure's calls, which makes no steps."""
    net = model().eval()
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=4)
    data = torch.randn(5, 3)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = net(data).square().mean()
        loss.backward()
        return loss

    with lab_parity.record(tmp_path / "a"):
        for _ in range(2):
            optimizer.step(closure)  # type: ignore[arg-type]
    steps = steps_of(tmp_path / "a")
    assert len(steps) == 2
    assert all(step.micro_steps > 1 for step in steps)


def compiled(net: nn.Module) -> nn.Module:
    """Wrapped in torch.compile's module."""
    wrapped: Any = torch.compile(net, backend="aot_eager")
    return wrapped  # type: ignore[no-any-return]


class Shell(nn.Module):
    """Holds the model and forwards to it, as a LightningModule's `self.model` does."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """What the model says."""
        found: Tensor = self.net(x)
        return found


@pytest.mark.parametrize("wrap", [compiled, Shell, nn.DataParallel, lambda net: Shell(compiled(net))])
def test_a_wrapped_model_has_the_names_of_the_plain_one(tmp_path: Path, wrap: Callable[[Any], nn.Module]) -> None:
    """`_orig_mod.`, `module.` and a holder's path add nothing; no dropout, which compiled code draws otherwise."""
    torch._dynamo.reset()
    for name in ("plain", "wrapped"):
        net = model()
        net[2] = nn.Identity()
        called = wrap(net) if name == "wrapped" else net
        optimizer = torch.optim.SGD(called.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name):
            for _ in range(2):
                gradients(called)
                optimizer.step()
    first = lab_parity.compare(tmp_path / "plain", tmp_path / "wrapped")
    # Compiled code may round otherwise: the names are what is asked for here.
    assert first.coverage.unmatched == ()
    assert first.coverage.tensors == 4


def test_tied_weights_match_whatever_holds_them(tmp_path: Path) -> None:
    """Both names, in any order, under any holder."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(4, 3), nn.Linear(3, 4, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(self.embed(x))
            return found

    for name in ("plain", "held"):
        torch.manual_seed(0)
        net: nn.Module = Tied() if name == "plain" else Shell(Tied())
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name):
            for _ in range(2):
                optimizer.zero_grad()
                net(torch.tensor([1, 2])).square().mean().backward()
                optimizer.step()
    assert same(tmp_path / "plain", tmp_path / "held").coverage.tensors == 1


def test_regrouped_parameters_match(tmp_path: Path) -> None:
    """One group, or one per kind of parameter in another order, with the same settings."""
    for name in ("one", "many"):
        net = model()
        weights = [p for p in net.parameters() if p.ndim > 1]
        biases = [p for p in net.parameters() if p.ndim == 1]
        groups: Any = net.parameters() if name == "one" else [{"params": biases}, {"params": weights}]
        optimizer = torch.optim.Adam(groups, lr=0.1)
        with lab_parity.record(tmp_path / name):
            for _ in range(2):
                gradients(net)
                optimizer.step()
    same(tmp_path / "one", tmp_path / "many")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_loader_workers_are_no_ranks(tmp_path: Path) -> None:
    """Forked from a recorded process, they write nothing and hinder nothing."""

    def trained(path: Path, workers: int) -> None:
        net = model()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        data = TensorDataset(torch.randn(8, 3, generator=torch.Generator().manual_seed(1)))
        with lab_parity.record(path):
            for (batch,) in DataLoader(data, batch_size=4, num_workers=workers):
                optimizer.zero_grad()
                net(batch).mean().backward()
                optimizer.step()

    trained(tmp_path / "none.trace", 0)
    trained(tmp_path / "two.trace", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["none.trace", "two.trace"]
    same(tmp_path / "none.trace", tmp_path / "two.trace")


def test_a_generator_that_yields_trained_models_is_recorded_where_it_is_used(tmp_path: Path) -> None:
    """As in a notebook: cells in any order inside one recording, the model copied in between."""

    def cells() -> Iterator[nn.Module]:
        net = model()
        for _ in range(2):
            gradients(net)
            torch.optim.SGD(net.parameters(), lr=0.1).step()
            yield net
            net = copy.deepcopy(net)

    with lab_parity.record(tmp_path / "a"):
        list(cells())
    steps = steps_of(tmp_path / "a")
    assert [step.optimizer for step in steps] == ["opt0", "opt1"]
    assert [key.name for key in steps[1].keys if key.phase == "param"] == ["0.weight", "0.bias", "3.weight", "3.bias"]


def test_a_forward_call_that_fails_and_is_caught_is_forgotten(tmp_path: Path) -> None:
    """The next one is recorded as ever, and nothing of ours is said."""

    class Fragile(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if x.isnan().any():
                raise FloatingPointError("not a number")
            return super().forward(x)

    net = Fragile(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with lab_parity.record(tmp_path / "a"):
        for step in range(3):
            optimizer.zero_grad()
            if step == 1:
                with pytest.raises(FloatingPointError):
                    net(torch.full((2, 3), float("nan")))
            net(torch.randn(5, 3)).mean().backward()
            optimizer.step()
    assert [[key.name for key in step.keys if key.phase == "batch"] for step in steps_of(tmp_path / "a")] == [
        ["call 0 argument 0"]
    ] * 3


def test_torch_knows_of_no_hook_afterwards(tmp_path: Path) -> None:
    """A compiled module would warn of one."""
    with lab_parity.record(tmp_path / "a"):
        assert torch.nn.modules.module._has_any_global_hook()
    assert not torch.nn.modules.module._has_any_global_hook()
