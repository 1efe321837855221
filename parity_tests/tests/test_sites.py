"""Home-grown optimizers, told by an update site."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import lab_parity
from lab_parity import SiteError, UpdateSite
from lab_parity.plant import plant
from lab_parity.trace import Step

HOME_GROWN = dedent(
    """
    import torch

    class Base:
        def __init__(self, model, lr):
            names, params = zip(*model.named_parameters())
            self.groups = [{"params": list(params), "names": list(names), "lr": lr}]
            self.slots = {}
            self.steps = 0

        def step(self, loss):
            loss.backward()
            with torch.no_grad():
                self.update()
            self.steps += 1
            for p in self.groups[0]["params"]:
                p.grad = torch.zeros_like(p)

        def update(self):
            raise NotImplementedError

    class Momentum(Base):
        def update(self):
            for name, p in zip(self.groups[0]["names"], self.groups[0]["params"]):
                m = self.slots.setdefault(name, {"m": torch.zeros_like(p)})["m"]
                m.mul_(0.9).add_(p.grad)
                p.sub_(self.groups[0]["lr"] * m)

    class Slower(Momentum):
        def update(self):
            super().update()
    """
)
SITE = UpdateSite("home_grown_optimizer:Base.update")


@pytest.fixture
def home_grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that is not imported yet."""
    (tmp_path / "home_grown_optimizer.py").write_text(HOME_GROWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "home_grown_optimizer", raising=False)
    return "home_grown_optimizer"


def imported(name: str) -> ModuleType:
    """The module, imported now."""
    import importlib

    return importlib.import_module(name)


def train(optimizer: Any, model: nn.Module) -> None:
    """Two steps."""
    for number in range(2):
        optimizer.step(model(torch.full((2, 3), float(number + 1))).square().mean())


def steps_of(path: Path) -> list[Step]:
    """The steps of a trace."""
    return [item for item in lab_parity.read(path).steps() if isinstance(item, Step)]


@pytest.mark.parametrize("kind", ["Momentum", "Slower"])
@pytest.mark.parametrize("early", [False, True])
def test_an_update_is_one_step_with_everything_in_it(home_grown: str, tmp_path: Path, kind: str, early: bool) -> None:
    """Imported before or during the recording; a subclass that calls super().update() counts once."""
    module = imported(home_grown) if early else None
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    with lab_parity.record(tmp_path / "a", [SITE]):
        module = module or imported(home_grown)
        train(getattr(module, kind)(model, 0.1), model)
    steps = steps_of(tmp_path / "a")
    assert [step.micro_steps for step in steps] == [1, 1]
    found = {(key.phase, key.name, key.field) for key in steps[1].keys}
    assert {("grad", "weight", ""), ("optimizer", "weight", "hyper"), ("optimizer", "bias", "m")} <= found
    assert all("_lab_parity" not in name for kind in (module.Base, module.Momentum) for name in vars(kind.update))


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(
    ("fault", "phase", "tensor"),
    [("lr", "optimizer", "weight lr"), ("decay", "param", "bias"), ("ulp", "param", "weight")],
)
def test_a_planted_fault_is_seen_before_and_after_the_update(
    home_grown: str, tmp_path: Path, fault: str, phase: str, tensor: str, early: bool
) -> None:
    """At its step, although two watchers share one method."""
    if early:
        imported(home_grown)
    for name in ("healthy", "planted"):
        if not early:
            sys.modules.pop(home_grown, None)
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        with (
            plant(fault, 1, [SITE]) if name == "planted" else nullcontext(),
            lab_parity.record(tmp_path / name, [SITE]),
        ):
            train(imported(home_grown).Slower(model, 0.1), model)
    first = lab_parity.compare(tmp_path / "healthy", tmp_path / "planted").first
    assert first is not None
    assert (first.step, first.phase, first.tensor) == (1, phase, tensor)


def test_a_subclass_made_later_is_covered(home_grown: str, tmp_path: Path) -> None:
    """As a project's own optimizer in train.py is."""
    base: Any = imported(home_grown).Base

    with lab_parity.record(tmp_path / "a", [SITE]):

        class Own(base):  # type: ignore[misc]
            def update(self) -> None:
                for p in self.groups[0]["params"]:
                    p.sub_(p.grad)

        model = nn.Linear(3, 2)
        train(Own(model, 0.1), model)
    assert len(steps_of(tmp_path / "a")) == 2


def test_a_torch_optimizer_around_a_home_grown_one_is_one_step(home_grown: str, tmp_path: Path) -> None:
    """An adapter for a framework: the inner optimizer, which knows more, is the one recorded."""
    momentum: Any = imported(home_grown).Momentum

    class Adapter(torch.optim.Optimizer):
        def __init__(self, inner: Any) -> None:
            self.inner = inner
            super().__init__(inner.groups[0]["params"], {"lr": 123.0})

        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            with torch.no_grad():
                self.inner.update()

    for name in ("plain", "adapted"):
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        inner = momentum(model, 0.1)
        with lab_parity.record(tmp_path / name, [SITE]):
            if name == "plain":
                train(inner, model)
            else:
                adapter = Adapter(inner)
                for number in range(2):
                    adapter.zero_grad()
                    model(torch.full((2, 3), float(number + 1))).square().mean().backward()
                    adapter.step()
    verdict = lab_parity.compare(tmp_path / "plain", tmp_path / "adapted")
    assert (verdict.rung, verdict.reasons, verdict.coverage.steps) == ("identical", (), 2)


def test_an_optimizer_laid_out_otherwise_is_noted(home_grown: str, tmp_path: Path) -> None:
    """The program goes on; the trace says what the site expected."""
    with lab_parity.record(tmp_path / "a", [UpdateSite("home_grown_optimizer:Base.update", groups="steps")]):
        model = nn.Linear(3, 2)
        train(imported(home_grown).Momentum(model, 0.1), model)
    assert any("expected a list of dicts" in note for note in lab_parity.read(tmp_path / "a").end().notes)
    assert lab_parity.compare(tmp_path / "a", tmp_path / "a").exit_code == 3


@pytest.mark.parametrize("target", ["home_grown_optimizer", "home_grown_optimizer:update", ":Base.update"])
def test_a_site_that_cannot_be_one_is_refused(target: str) -> None:
    """Before anything runs."""
    with pytest.raises(SiteError, match=r"package\.module:Class\.method"):
        UpdateSite(target)


def test_a_site_whose_method_does_not_exist_is_refused(home_grown: str, tmp_path: Path) -> None:
    """A typo in a profile must not end in an empty trace."""
    imported(home_grown)
    with (
        pytest.raises(SiteError, match=r"has no Base\.upgrade"),
        lab_parity.record(tmp_path / "a", [UpdateSite("home_grown_optimizer:Base.upgrade")]),
    ):
        pass
