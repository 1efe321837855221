"""The weaker rungs, each by runs of its own: what they pass, what they never pass, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import nn

import lab_parity
from lab_migrate.ladder import Rungs, climb
from lab_migrate.repeats import kept_steps, reruns, with_seed
from lab_parity import Scope, compare
from lab_parity.plant import plant
from lab_parity.record import Transplant


class Quiet(torch.optim.Optimizer):
    """SGD that tells no settings."""

    def __init__(self, parameters: Any, lr: float) -> None:
        super().__init__(parameters, {})
        self.lr = lr

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update."""
        for p in self.param_groups[0]["params"]:
            p.sub_(self.lr * p.grad)


@attrs.define
class Sides:
    """Two trainings; `calls` are the recordings that were made of them."""

    folder: Path
    migrated: dict[str, Any] = attrs.field(factory=dict)
    both: dict[str, Any] = attrs.field(factory=dict)
    calls: list[str] = attrs.field(factory=list)

    def __call__(self, side: str, where: str = "", **options: Any) -> Path:
        """Record one, as a project is."""
        self.calls.append(f"{where}/{side}")
        path = self.folder / where / f"{side}.trace"
        path.parent.mkdir(parents=True, exist_ok=True)
        settings = self.both | (self.migrated if side == "migrated" else {})
        name = options.get("plant")
        source = options.get("transplant")
        with (
            plant(name) if name else nullcontext(),
            lab_parity.record(
                path, scope=options.get("scope", Scope()), states=options.get("states", ()),
                transplant=None if source is None else Transplant(source[0], source[1]),
            ),
        ):  # fmt: skip
            train(**settings | ({"seed": options["seed"]} if "seed" in options else {}))
        return path

    def climbed(self, **asked: int | float) -> lab_parity.Verdict:
        """The verdict, from the first run on."""
        legacy, migrated = self("legacy"), self("migrated")
        self.calls.clear()
        return climb(compare(legacy, migrated), legacy, Rungs(**asked), self)  # type: ignore[arg-type]


def train(seed: int = 0, lr: float = 0.1, optimizer: Callable[..., Any] = Quiet, doubles: bool = False) -> None:
    """A regression that converges."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
    stepper = optimizer(model.parameters(), lr)
    for _ in range(40):
        x = torch.randn(64, 6)
        y = model(x).squeeze(1)
        wanted = x.sum(1)
        difference = y.double() - wanted.double() if doubles else y - wanted
        model.zero_grad()
        difference.square().mean().float().backward()
        stepper.step()


def test_another_order_of_summation_is_within_noise(tmp_path: Path) -> None:
    """And what was said bit by bit is noted; the states, which are large, are gone."""
    verdict = Sides(tmp_path, {"doubles": True}).climbed(reruns=7)
    assert (verdict.rung, verdict.exit_code) == ("within-noise", 0), verdict.reasons
    assert verdict.coverage.steps == 40
    assert any(note.startswith("bit by bit: diverged. First difference at step") for note in verdict.notes)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("optimizer", [Quiet, torch.optim.SGD])
@pytest.mark.parametrize("asked", [{"reruns": 7}, {"seeds": 4}])
def test_a_rate_that_is_five_percent_off_passes_on_no_rung(
    tmp_path: Path, optimizer: Callable[..., Any], asked: dict[str, int]
) -> None:
    """Whether the optimizer tells it or not; over seeds, too, whose outcomes it hardly changes."""
    verdict = Sides(tmp_path, {"lr": 0.105}, {"optimizer": optimizer}).climbed(**asked, margin=0.5)
    assert verdict.rung in ("diverged", "inconclusive")
    assert verdict.exit_code
    if optimizer is torch.optim.SGD or "reruns" in asked:
        assert verdict.rung == "diverged"


def test_another_stream_of_seeds_is_equivalent(tmp_path: Path) -> None:
    """Neither the bits nor the noise of one seed; the margin is wide, as four seeds need it."""
    verdict = Sides(tmp_path, {"seed": 9}).climbed(reruns=3, seeds=4, margin=0.5)
    assert verdict.rung == "equivalent", (verdict.reasons, verdict.first)
    assert any("size of updates" in note for note in verdict.notes)
    assert sum(note.startswith(("bit by bit: diverged", "with the same seed: diverged")) for note in verdict.notes) == 2


def test_what_no_rerun_can_change_costs_none(tmp_path: Path) -> None:
    """Other initial weights are no noise: one run a side is enough to say so."""
    sides = Sides(tmp_path, {"seed": 9})
    assert sides.climbed(reruns=7).rung == "diverged"
    assert sides.calls == ["noise/legacy", "noise/migrated"]


def test_what_is_not_asked_for_is_not_run(tmp_path: Path) -> None:
    """Nor is anything where the bits agree."""
    sides = Sides(tmp_path / "a", {"lr": 0.2})
    assert (sides.climbed().rung, sides.calls) == ("diverged", [])
    equal = Sides(tmp_path / "b")
    assert (equal.climbed(reruns=5, seeds=5).rung, equal.calls) == ("identical", [])


def test_states_are_kept_of_every_optimizer_that_takes_turns(tmp_path: Path) -> None:
    """A step begins in the legacy state where all of them are back in it."""
    first, second = nn.Linear(2, 1), nn.Linear(2, 1)
    steppers = [torch.optim.SGD(layer.parameters(), 0.1) for layer in (first, second)]
    with lab_parity.record(tmp_path / "a.trace"):
        for step in range(12):
            number = int(step % 3 == 2)
            steppers[number].zero_grad()
            second(torch.ones(1, 2) * first(torch.ones(1, 2))).sum().backward()
            steppers[number].step()
    assert kept_steps(tmp_path / "a.trace", judged=4) == [1, 2, 4, 5, 7, 8]
    assert kept_steps(tmp_path / "a.trace", judged=100) == list(range(11))


def test_reruns_are_of_three_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is, other threads, other bits."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    listed = reruns(5)
    assert [rerun.plant for rerun in listed] == [None, None, "bits:1", "bits:2", "bits:3"]
    assert [dict(rerun.extra) for rerun in listed[:2]] == [{}, {"OMP_NUM_THREADS": "2"}]


def test_a_seed_goes_where_the_command_wants_it() -> None:
    """Or it is a plant."""
    assert with_seed(["train.py", "--seed={seed}"], 3) == (["train.py", "--seed=3"], None)
    assert with_seed(["train.py"], 3) == (["train.py"], "seed:3")
