"""torch.compile around a model, and around a whole training step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lab_parity
from lab_parity import Verdict, compare

# The compiler's own, from its looks at tensors.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


def trained(what: str = "", lr: float = 0.1) -> None:
    """Four steps, of which nothing, the model or the whole step is compiled."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    model: Any = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)

    def step(x: Tensor) -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        schedule.step()

    one: Callable[[Tensor], None] = step
    if what == "model":
        model = torch.compile(model, backend="aot_eager", fullgraph=True)
    if what == "step":
        one = torch.compile(step, backend="aot_eager")
    for _ in range(4):
        one(torch.randn(5, 3))


def verdict(tmp_path: Path, first: Callable[[], object], second: Callable[[], object], **how: Any) -> Verdict:
    """On two trainings."""
    for name, side in (("a", first), ("b", second)):
        (tmp_path / name).unlink(missing_ok=True)
        with lab_parity.record(tmp_path / name, **how):
            side()
    return compare(tmp_path / "a", tmp_path / "b")


def test_a_compiled_model_trains_as_the_plain_one(tmp_path: Path) -> None:
    """The compiler's stand-ins for its parameters are no averages of them."""
    found = verdict(tmp_path, trained, lambda: trained("model"))
    assert (found.rung, found.coverage.steps, found.reasons) == ("identical", 4, ())


@pytest.mark.sampled
@pytest.mark.parametrize("ledger", [False, True])
def test_a_compiled_step_is_recorded(tmp_path: Path, ledger: bool) -> None:
    """Loss, gradients, clipping, schedule and update; what the model is called with stands in the graph."""
    scope = lab_parity.Scope(ledger=ledger)
    found = verdict(tmp_path, lambda: trained("step"), lambda: trained("step"), scope=scope)
    assert (found.rung, found.coverage.steps, found.reasons) == ("identical", 4, ())
    found = verdict(tmp_path, lambda: trained("step"), lambda: trained("step", lr=0.11), scope=scope)
    assert found.first is not None
    assert (found.first.step, found.first.phase) == (0, "optimizer")
    found = verdict(tmp_path, trained, lambda: trained("step"), scope=scope)
    assert (found.rung, found.reasons) == ("identical", ())
    assert any("called in other pieces" in note for note in found.notes)
