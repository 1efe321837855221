"""`within-noise`: what reruns span is measured, and nothing passes on too few or on nothing."""

from __future__ import annotations

import functools
import io
import json
import random
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import lab_parity
from lab_parity import ParityError, Scope, TraceError, Verdict
from lab_parity.noise import envelope_of, within_noise
from lab_parity.plant import plant
from lab_parity.record import Transplant
from lab_parity.report.terminal import render
from lab_parity.sketch import BUCKETS

Run = Callable[..., Path]
ROWS, BINS = 30, 40
STEPS = np.linspace(1, 400, BINS)


def train(steps: int, seed: int, stop_at: int | None = None) -> dict[str, Tensor]:
    """A small training in which noise shows: a bias before a norm has no gradient but rounding."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.2), nn.Linear(6, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    data = torch.Generator().manual_seed(5)
    for step in range(steps):
        if step == stop_at:
            raise RuntimeError("the disk is full")
        optimizer.zero_grad()
        model(torch.randn(8, 4, generator=data)).square().mean().backward()
        optimizer.step()
    return {name: value.clone() for name, value in model.state_dict().items()}


class Hidden(torch.optim.SGD):
    """Tells nobody that its rate is larger in the second half."""

    def __init__(self, parameters: Any, lr: float, factor: float = 1.0, late: int = 0) -> None:
        super().__init__(parameters, lr=lr, momentum=0.9)
        self.factor, self.late, self.taken = factor, late, 0

    def step(self, closure: Any = None) -> None:
        """As SGD, then as much again as the factor says."""
        before = [p.detach().clone() for group in self.param_groups for p in group["params"]]
        # torch hooks SGD's own step once an SGD has been made in this process, which would count a step in this step.
        plain: Any = torch.optim.SGD.step
        (plain.__wrapped__ if getattr(plain, "hooked", False) else plain)(self)
        self.taken += 1
        if self.factor != 1 and self.taken > self.late:
            with torch.no_grad():
                for p, old in zip((p for group in self.param_groups for p in group["params"]), before, strict=True):
                    p.add_(p - old, alpha=self.factor - 1)


class Flipping(nn.Module):
    """ReLUs, and a hidden state that goes from step to step: (64, 6), (64, 24) -> (64, 3), (64, 24)."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.RNNCell(6, 24, nonlinearity="relu"), nn.Linear(24, 3)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and the next state."""
        state = self.cell(x, state)
        return self.head(state), state


def train_flipping(steps: int = 30, factor: float = 1.0, late: int = 0, doubles: bool = False) -> None:
    """A training that parts soon, whatever its last bits."""
    torch.manual_seed(1)
    model = Flipping()
    optimizer = Hidden(model.parameters(), 0.02, factor, late)
    data = torch.Generator().manual_seed(5)
    state = torch.zeros(64, 24)
    for _ in range(steps):
        x, y = torch.randn(64, 6, generator=data), torch.randint(0, 3, (64,), generator=data)
        logits, state = model(x, state.detach())
        loss = nn.functional.cross_entropy(logits.double() if doubles else logits, y).float()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`resumed(fault, …)` trains from the legacy state at each step; without anything it is the legacy run."""
    folder = tmp_path_factory.mktemp("resumed")
    legacy = folder / "legacy.trace"
    with lab_parity.record(legacy, scope=Scope(buckets=BUCKETS), states=range(30)):
        train_flipping()

    @functools.cache
    def train_one(fault: str = "", given: bool = True, **settings: Any) -> Path:
        if not fault and not settings and given:
            return legacy
        path = folder / f"{fault.replace(':', '')}-{given}-{settings}.trace"
        source = Transplant(legacy) if given else None
        name, _, at = fault.partition("@")
        with (
            plant(name, int(at or 0)) if fault else nullcontext(),
            lab_parity.record(path, scope=Scope(buckets=BUCKETS), transplant=source),
        ):
            train_flipping(**settings)
        return path

    return train_one


def test_each_step_from_the_legacy_state_is_judged_to_the_end(resumed: Run) -> None:
    """Although ReLUs flip; the hidden state, a batch that noise moves, is no other data."""
    others = [resumed(f"bits:{number}") for number in range(1, 6)]
    verdict = judged(resumed(), resumed(doubles=True), others)
    assert verdict.rung == "within-noise", (verdict.reasons, verdict.first)
    assert (verdict.coverage.steps, verdict.coverage.micro_steps, verdict.coverage.batches) == (30, 30, 60)
    assert any("each of 30 steps from the legacy state, the last one step 29" in note for note in verdict.notes)


@pytest.mark.parametrize(("factor", "late"), [(1.05, 0), (1.005, 0), (1.05, 20), (1.05, 27)])
def test_a_rate_that_nobody_tells_is_found_whenever_it_begins(resumed: Run, factor: float, late: int) -> None:
    """5 % and 0.5 %, from the first step, in the last third, in the last three steps."""
    others = [resumed(f"bits:{number}") for number in range(1, 6)]
    verdict = judged(resumed(), resumed(factor=factor, late=late), others)
    assert verdict.rung == "diverged"
    assert verdict.first is not None
    assert (verdict.first.phase, verdict.first.step >= late) == ("param", True)


def test_free_runs_and_runs_from_legacy_states_are_not_held_against_each_other(resumed: Run) -> None:
    """Drift is no noise of a step."""
    others = [resumed(f"bits:{number}") for number in range(1, 4)]
    verdict = judged(resumed(), resumed(doubles=True, given=False), others)
    assert verdict.rung == "inconclusive"
    assert "record the migrated run and all reruns with --from, or none of them" in verdict.reasons[0]


def test_other_data_are_no_noise(resumed: Run) -> None:
    """A batch differs that is equal in all reruns."""
    others = [resumed(f"bits:{number}") for number in range(1, 4)]
    verdict = judged(resumed(), resumed("batch@3"), others)
    assert verdict.rung == "diverged"
    assert any("no noise changes batch call 0 argument 0" in note for note in verdict.notes)


def test_last_bits_are_moved_in_a_training_without_an_optimizer() -> None:
    """Its gradients come out of backward passes like any other's."""

    def by_hand() -> Tensor:
        torch.manual_seed(0)
        layer = nn.Linear(4, 4)
        layer(torch.ones(2, 4)).square().sum().backward()
        layer.weight.data -= 0.1 * layer.weight.grad  # type: ignore[operator]
        return layer.weight.detach()

    with plant("bits:1"):
        moved = by_hand()
    assert not torch.equal(moved, by_hand())
    assert torch.allclose(moved, by_hand(), atol=1e-6)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`run(fault)` trains with sketches, a fault planted at a step; the same call gives the same file."""
    folder = tmp_path_factory.mktemp("noise")

    @functools.cache
    def train_one(fault: str = "", copy: int = 0, *, level: int = BUCKETS, steps: int = 20, seed: int = 0) -> Path:
        path = folder / f"{fault.replace(':', '')}-{copy}-{level}-{steps}-{seed}.trace"
        name, _, at = fault.partition("@")
        with plant(name, int(at or 0)) if fault else nullcontext(), lab_parity.record(path, scope=Scope(buckets=level)):
            train(steps, seed)
        return path

    return train_one


def reruns(run: Run, count: int) -> list[Path]:
    """That many reruns of the legacy side, each with other last bits."""
    return [run(f"ulp:{number}") for number in range(count)]


def judged(legacy: Path, migrated: Path, others: list[Path]) -> Verdict:
    """The verdict on traces."""
    return within_noise(lab_parity.read(legacy), lab_parity.read(migrated), [lab_parity.read(path) for path in others])


def synthetic(draw: np.random.Generator, shift: float = 0.0) -> npt.NDArray[np.float64]:
    """Distances that grow like step^1.5, with a run's own level, a tensor's own, and correlated noise."""
    centre = -7 + 1.5 * np.log10(STEPS) + np.linspace(-1, 1, ROWS)[:, None]
    noise = np.zeros((ROWS, BINS))
    for place in range(1, BINS):
        noise[:, place] = 0.8 * noise[:, place - 1] + draw.normal(0, 0.1, ROWS)
    found: npt.NDArray[np.float64] = 10 ** (
        centre + draw.normal(0, 0.2) + draw.normal(0, 0.1, (ROWS, 1)) + noise + shift
    )
    return found


@pytest.mark.parametrize(("count", "power"), [(3, 0.1), (5, 0.6), (10, 0.9)])
def test_false_alarms_are_as_rare_as_asked_and_a_hundredfold_distance_is_found(count: int, power: float) -> None:
    """Of 300 runs like the others at most 3.3 % are called outside at alpha = 1 % (4 standard errors)."""
    draw = np.random.default_rng(0)
    alarms = found = 0
    for _ in range(300):
        envelope = envelope_of([synthetic(draw) for _ in range(count)], STEPS, ["param"] * ROWS)
        alarms += not envelope.judge(synthetic(draw)).inside
        found += not envelope.judge(synthetic(draw, shift=2.0)).inside
    assert alarms / 300 <= 0.01 + 4 * np.sqrt(0.01 * 0.99 / 300)
    assert found / 300 >= power


def test_one_tensor_that_stands_out_is_enough() -> None:
    """Also when it does so late only; where it is named."""
    draw = np.random.default_rng(1)
    envelope = envelope_of([synthetic(draw) for _ in range(8)], STEPS, ["param"] * ROWS)
    odd = synthetic(draw)
    odd[7, 33] *= 10**4
    found = envelope.judge(odd)
    assert (found.inside, found.row, found.bin) == (False, 7, 33)


def test_a_tensor_of_few_numbers_does_not_widen_the_envelope() -> None:
    """Its distance is nothing or a unit in the last place, and the smallest of other tensors far below that."""
    draw = np.random.default_rng(0)
    steps = np.arange(1.0, 21)
    reruns = []
    for _ in range(6):
        table = 1e-9 * np.exp(0.3 * draw.standard_normal((3, 20)))
        table[2] = np.where(draw.random(20) < 0.5, 0.0, 1e-8)
        table[0, :2] = 1e-13
        reruns.append(table)
    assert envelope_of(reruns, steps, ["param"] * 3).factor < 100


def test_closer_than_usual_is_inside() -> None:
    """Noise has no lower end."""
    draw = np.random.default_rng(2)
    envelope = envelope_of([synthetic(draw) for _ in range(5)], STEPS, ["param"] * ROWS)
    assert envelope.judge(np.zeros((ROWS, BINS))).inside


def test_another_last_bit_is_within_noise(run: Run) -> None:
    """Seven reruns with one ulp elsewhere; the verdict says how many, how far out, and what would be too far."""
    verdict = judged(run(), run("ulp:77"), reruns(run, 7))
    assert (verdict.rung, verdict.exit_code) == ("within-noise", 0)
    assert verdict.tolerance > 0
    assert verdict.coverage.micro_steps == verdict.coverage.steps > 1
    assert any("7 reruns; " in note and "the furthest rerun, limit" in note for note in verdict.notes)
    assert json.loads(json.dumps(verdict.to_dict()))["rung"] == "within-noise"


def test_a_pass_gives_no_advice_and_lists_no_differences(run: Run) -> None:
    """ "Same loss, other gradients: check accumulation" was said of it, below a screen of digests."""
    said = io.StringIO()
    Console(file=said, width=200).print(render(judged(run(), run("ulp:77"), reruns(run, 7))))
    assert said.getvalue().startswith("WITHIN-NOISE")
    assert not any(words in said.getvalue() for words in ("Next:", "values changed", "Differing observations"))


def test_reruns_that_repeat_every_bit_are_told_apart_from_noise(run: Run) -> None:
    """They would make the envelope as wide as the distance from nothing to something; too few others are too few."""
    same = [run(copy=copy) for copy in (1, 2, 3)]
    verdict = judged(run(), run("ulp:77"), [*same, *reruns(run, 7)])
    assert verdict.rung == "within-noise"
    assert any("3 of 10 reruns repeat the legacy run bit by bit" in note for note in verdict.notes)
    verdict = judged(run(), run("ulp:77"), [*same, *reruns(run, 2)])
    assert verdict.rung == "inconclusive"
    assert "3 of 5 reruns repeat the legacy run" in verdict.reasons[0]


@pytest.mark.parametrize("fault", ["decay@3", "lr@3"])
def test_a_fault_is_not_within_noise(run: Run, fault: str) -> None:
    """Decay by its distance; a learning rate because no noise changes a setting."""
    verdict = judged(run(), run(fault), reruns(run, 7))
    assert (verdict.rung, verdict.exit_code) == ("diverged", 1)
    assert verdict.first is not None
    assert ("times as far" in verdict.first.what) == (fault == "decay@3")
    assert any("no noise changes" in note for note in verdict.notes) == (fault == "lr@3")


def test_the_same_bits_need_no_reruns(run: Run) -> None:
    """The strongest rung that holds."""
    assert judged(run(), run(copy=1), []).rung == "identical"


def test_too_few_reruns_are_inconclusive(run: Run) -> None:
    """Two reruns do not tell how much reruns vary."""
    verdict = judged(run(), run("ulp:77"), reruns(run, 2))
    assert verdict.rung == "inconclusive"
    assert any("at least 3" in reason for reason in verdict.reasons)


def test_an_envelope_that_lets_anything_pass_is_inconclusive(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few reruns that vary much leave room for faults."""
    monkeypatch.setattr("lab_parity.noise.judged._LARGEST_FACTOR", 1.1)
    verdict = judged(run(), run("ulp:77"), reruns(run, 7))
    assert verdict.rung == "inconclusive"
    assert any("record more of them" in reason for reason in verdict.reasons)


def test_reruns_without_noise_make_no_envelope(run: Run) -> None:
    """On deterministic hardware a difference is a difference."""
    verdict = judged(run(), run("ulp:77"), [run(copy=copy) for copy in (1, 2, 3)])
    assert verdict.rung == "diverged"
    assert any("bitwise equal" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"seed": 1}, "no rerun of"), ({"steps": 15}, "no rerun of"), ({"level": 0}, "--level statistics")],
)
def test_what_is_no_rerun_is_no_measure(run: Run, settings: dict[str, int], reason: str) -> None:
    """Another seed, another length, no sketches: inconclusive, with the file's name."""
    odd = run(**settings)
    verdict = judged(run(), run("ulp:77"), [*reruns(run, 3), odd])
    assert verdict.rung == "inconclusive"
    assert any(reason in text and odd.name in text for text in verdict.reasons)


def test_sides_without_sketches_are_inconclusive(run: Run) -> None:
    """There is nothing to measure."""
    assert judged(run(level=0), run("ulp:77", level=0), []).rung == "inconclusive"


def test_a_migrated_run_that_dies_later_is_inconclusive(run: Run, tmp_path: Path) -> None:
    """Its steps were like the legacy ones, and then something happened."""
    with (
        pytest.raises(RuntimeError),
        plant("ulp:77"),
        lab_parity.record(tmp_path / "b", scope=Scope(buckets=BUCKETS)),
    ):
        train(30, 0, stop_at=20)
    verdict = judged(run(), tmp_path / "b", reruns(run, 4))
    assert verdict.rung == "inconclusive"
    assert any("did not finish" in reason for reason in verdict.reasons)


def test_a_damaged_rerun_is_refused(run: Run, tmp_path: Path) -> None:
    """Neither a pass nor a divergence."""
    content = bytearray(run("ulp:1").read_bytes())
    middle = slice(len(content) // 2, len(content) // 2 + 200)  # a single byte may lie where nothing is stored
    content[middle] = bytes(byte ^ 255 for byte in content[middle])
    (tmp_path / "damaged").write_bytes(content)
    with pytest.raises(TraceError, match="damaged"):
        judged(run(), run("ulp:77"), [*reruns(run, 3), tmp_path / "damaged"])


def test_where_noise_drowns_everything_nothing_is_judged(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise that moves the parameters far from the first steps on leaves nothing to say."""
    monkeypatch.setattr("lab_parity.noise.judged._SATURATED", 1e-12)
    verdict = judged(run(), run("ulp:77"), reruns(run, 4))
    assert verdict.rung == "inconclusive"
    assert any("several seeds" in reason for reason in verdict.reasons)


def test_variants_of_the_last_bit_differ_and_draw_nothing() -> None:
    """Each number is another rerun, repeatable, with the program's own generators untouched."""
    states, generators = [], []
    for fault in ("ulp:1", "ulp:1", "ulp:2"):
        with plant(fault):
            states.append(train(1, 0))
        generators.append(torch.get_rng_state())
    train(1, 0)
    assert all(torch.equal(generator, torch.get_rng_state()) for generator in generators)
    first, again, other = states
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    with pytest.raises(ParityError, match="variants"), plant("lr:3"):
        pass


def draws() -> list[float]:
    """What a program draws that seeds all it has."""
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(seed=3)
    own = torch.Generator().manual_seed(3)
    return [float(torch.rand(())), random.random(), float(np.random.rand()), float(torch.rand((), generator=own))]


def test_a_seed_is_shifted_wherever_a_global_generator_gets_one() -> None:
    """Not of the program's own generators; variant 0 is the program itself, and nothing stays shifted."""
    plain = draws()
    with plant("seed:0"):
        assert draws() == plain
    with plant("seed:1"):
        shifted = draws()
        assert shifted == draws()
    assert [a == b for a, b in zip(plain, shifted, strict=True)] == [False, False, False, True]
    assert draws() == plain


def test_a_program_that_sets_no_seed_has_other_ones_too() -> None:
    """torch starts from a seed of its own."""
    torch.manual_seed(0)
    with plant("seed:2"):
        shifted = float(torch.rand(()))
    torch.manual_seed(0)
    assert shifted != float(torch.rand(()))
