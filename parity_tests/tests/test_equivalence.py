"""`equivalent`: wrong passes are as rare as asked, power is what it is said to be, and few seeds decide nothing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

import lab_parity
from lab_parity import Scope, Trace, Verdict
from lab_parity.equivalence import equivalent
from lab_parity.report.terminal import render
from lab_parity.sketch import BUCKETS
from lab_parity.tost import compare_samples, seeds_needed
from lab_parity.trace import End, Key, Row
from lab_parity.trace_writer import TraceWriter

ROUNDS = 1500


def share(shift: float, count: int, *, paired: bool = False, spread: float = 1.0) -> float:
    """How often samples whose means differ by `shift` pass with a margin of 1."""
    draw = np.random.default_rng(0)
    passed = 0
    for _ in range(ROUNDS):
        common = draw.normal(0, 3, count) if paired else 0.0
        a, b = common + draw.normal(0, spread, count), common + shift + draw.normal(0, spread, count)
        passed += compare_samples(a, b, 1.0, paired=paired).p < 0.05
    return passed / ROUNDS


@pytest.mark.parametrize("count", [3, 6, 20])
@pytest.mark.parametrize("paired", [False, True])
def test_a_difference_as_large_as_the_margin_passes_in_at_most_five_percent(count: int, paired: bool) -> None:
    """Measured on 1,500 pairs of samples, within 4 standard errors; for every number of seeds."""
    for spread in (0.2, 1.0):
        assert share(1.0, count, paired=paired, spread=spread) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / ROUNDS)


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0])
def test_the_seeds_that_are_asked_for_give_the_power_that_was_promised(spread: float) -> None:
    """At least 0.8 without a difference, measured; one quarter of the seeds does not."""
    count = seeds_needed(spread, 1.0)
    assert count is not None
    assert share(0.0, count, spread=spread) >= 0.8 - 4 * np.sqrt(0.8 * 0.2 / ROUNDS)
    if count >= 12:
        assert share(0.0, count // 4, spread=spread) < 0.5


def test_the_stated_power_is_the_measured_one() -> None:
    """From the spread seen in one pair of samples, on the average over pairs."""
    draw = np.random.default_rng(3)
    stated = [compare_samples(draw.normal(0, 1, 15), draw.normal(0, 1, 15), 1.0).power for _ in range(300)]
    assert np.mean(stated) == pytest.approx(share(0.0, 15), abs=0.1)


def test_pairs_of_equal_seeds_need_far_fewer() -> None:
    """What the seeds have in common cancels."""
    assert share(0.0, 6, paired=True, spread=0.3) > 0.9


def test_a_difference_far_beyond_the_margin_is_called_that_and_no_other() -> None:
    """`beyond` at the margin itself is rarer than alpha."""
    draw = np.random.default_rng(1)
    assert compare_samples(draw.normal(0, 1, 8), draw.normal(9, 1, 8), 1.0).beyond
    wrong = sum(compare_samples(draw.normal(0, 1, 8), draw.normal(1, 1, 8), 1.0).beyond for _ in range(ROUNDS))
    assert wrong / ROUNDS <= 0.05


@pytest.mark.parametrize("spoilt", [([1.0], [1.0, 2.0], 1.0), ([1.0, 2.0], [1.0, 2.0], 0.0)])
def test_what_cannot_be_tested_is_refused(spoilt: tuple[list[float], list[float], float]) -> None:
    """One value, no margin."""
    a, b, margin = spoilt
    with pytest.raises(ValueError, match="expected at least 2"):
        compare_samples(np.array(a), np.array(b), margin)


def seed_run(
    path: Path, seed: int, *, shift: float = 0.0, spread: float = 0.01, steps: int = 40, end: str = "finished"
) -> Trace:
    """A loss that falls from 2 towards 1, with the seed's own level."""
    draw = np.random.default_rng(seed)
    level = draw.normal(0, spread) + shift
    writer = TraceWriter(path, {})
    for step in range(steps):
        loss = 1 + np.exp(-step / 8) + (level + draw.normal(0, spread / 3)) * (step > 0)
        rows = [Row(Key("loss", 0, "loss", ""), np.float64(loss).tobytes() * 2, float(loss))]
        writer.step(rows, optimizer="opt0", micro_steps=1)
    writer.close(End(end))
    return lab_parity.read(path)


def judged(folder: Path, count: int, *, paired: bool = False, margin: float = 0.05, **settings: float) -> Verdict:
    """Seeds of both sides; `settings` are of the second one."""
    legacy = [seed_run(folder / f"a{n}", n) for n in range(count)]
    migrated = [seed_run(folder / f"b{n}", 100 + n, **settings) for n in range(count)]  # type: ignore[arg-type]
    return equivalent(legacy, migrated, margin=margin, paired=paired)


def printed(verdict: Verdict) -> str:
    """As on a terminal."""
    out = Console(file=io.StringIO(), width=200)
    out.print(render(verdict))
    return str(out.file.getvalue())  # type: ignore[attr-defined]


def test_seeds_of_one_training_are_equivalent(tmp_path: Path) -> None:
    """With both means, the interval, the margin, and the power."""
    verdict = judged(tmp_path, 10)
    assert (verdict.rung, verdict.exit_code) == ("equivalent", 0)
    assert any("margin ±" in note and "10 and 10 seeds" in note for note in verdict.notes)
    assert any("power at least" in note for note in verdict.notes)
    assert verdict.coverage.steps == 40
    assert verdict.coverage.observations == 20 * 40
    assert verdict.coverage.seeds == (10, 10)
    said = "10 and 10 runs of 40 steps, 800 losses and metrics, the settings, no sizes of updates, within "
    assert said in str(verdict)
    assert said.removesuffix(", within ") in " ".join(printed(verdict).split())
    assert "0 tensors" not in printed(verdict)


def test_another_outcome_is_diverged(tmp_path: Path) -> None:
    """By ten times the margin."""
    verdict = judged(tmp_path, 10, shift=0.5)
    assert (verdict.rung, verdict.exit_code) == ("diverged", 1)
    assert verdict.first is not None
    assert "beyond doubt" in verdict.first.what


def test_too_few_seeds_for_the_spread_are_inconclusive_and_told_how_many(tmp_path: Path) -> None:
    """Never equivalent for want of evidence against it."""
    verdict = judged(tmp_path, 3, margin=0.01)
    assert verdict.rung == "inconclusive"
    assert any("seeds a side would decide it" in reason for reason in verdict.reasons)


def test_two_seeds_are_too_few_whatever_they_say(tmp_path: Path) -> None:
    """They can lie close by chance."""
    verdict = judged(tmp_path, 2)
    assert verdict.rung == "inconclusive"
    assert any("at least 3 seeds" in reason for reason in verdict.reasons)


def test_one_run_counts_once(tmp_path: Path) -> None:
    """The same seed copied is no further evidence."""
    copies = [seed_run(tmp_path / f"a{n}", 0) for n in range(4)]
    others = [seed_run(tmp_path / f"b{n}", n) for n in range(4)]
    verdict = equivalent(copies, others)
    assert verdict.rung == "inconclusive"
    assert any("a seed counts once" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("odd", "reason"), [({"steps": 30}, "has not the steps"), ({"end": "exception"}, "did not finish"),
                        ({"shift": float("nan")}, "no number"), ({"steps": 0}, "holds no loss")],
)  # fmt: skip
def test_one_odd_run_spoils_the_test(tmp_path: Path, odd: dict[str, float], reason: str) -> None:
    """Named with its file; nothing is left out silently."""
    legacy = [seed_run(tmp_path / f"a{n}", n) for n in range(4)]
    migrated = [seed_run(tmp_path / f"b{n}", 100 + n) for n in range(3)]
    migrated.append(seed_run(tmp_path / "odd", 103, **odd))  # type: ignore[arg-type]
    verdict = equivalent(legacy, migrated)
    assert verdict.rung == "inconclusive"
    assert any(reason in text and "odd" in text for text in verdict.reasons)


def test_nothing_is_not_equivalent_to_nothing() -> None:
    """No runs at all."""
    assert equivalent([], []).rung == "inconclusive"


def trained(path: Path, seed: int, lr: float, told: bool = True, scheduled: bool = False) -> Trace:
    """A small training whose rate is in the optimizer's settings, or else beside them."""
    torch.manual_seed(seed)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr if told else 0.05)
    with lab_parity.record(path, scope=Scope(buckets=BUCKETS)):
        for step in range(24):
            x = torch.randn(32, 4)
            loss = (model(x).squeeze(1) - x.sum(1)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            before = model.weight.detach().clone()
            optimizer.step()
            if not told:
                with torch.no_grad():
                    model.weight.add_((model.weight - before) * (lr / 0.05 - 1))
            if scheduled and step == 10 + seed % 3:  # hangs on the loss, in truth
                optimizer.param_groups[0]["lr"] = lr * 0.99
    return lab_parity.read(path)


def sides(folder: Path, lr: float, **settings: bool) -> Verdict:
    """Five seeds a side; the migrated rate is `lr` instead of 0.05."""
    legacy = [trained(folder / f"a{seed}", seed, 0.05, **settings) for seed in range(5)]
    migrated = [trained(folder / f"b{seed}", 5 + seed, lr, **settings) for seed in range(5)]
    return equivalent(legacy, migrated, margin=1.0)


def test_settings_must_be_equal_whatever_the_outcome(tmp_path: Path) -> None:
    """A rate that is 1 % off leaves the loss where it was, and the verdict not."""
    assert sides(tmp_path, 0.0505).first.sentence() == (  # type: ignore[union-attr]
        "First difference at step 0, phase optimizer, weight lr: lr is 0.05 with all legacy seeds, 0.0505 with all "
        "migrated ones."
    )


def test_settings_that_seeds_change_say_nothing(tmp_path: Path) -> None:
    """A plateau comes when it comes."""
    assert sides(tmp_path, 0.05, scheduled=True).rung == "equivalent"


@pytest.mark.parametrize(("lr", "rung"), [(0.05, "equivalent"), (0.06, "diverged")])
def test_updates_must_be_of_one_size(tmp_path: Path, lr: float, rung: str) -> None:
    """Of a rate that nobody tells."""
    verdict = sides(tmp_path, lr, told=False)
    assert verdict.rung == rung, verdict.reasons
    assert verdict.coverage.tensors == 2
    assert "param" not in verdict.coverage.not_exercised
    assert any("size of updates" in note for note in verdict.notes)
    if rung == "diverged":
        assert "beyond doubt more than 5% apart" in verdict.first.what  # type: ignore[union-attr]
