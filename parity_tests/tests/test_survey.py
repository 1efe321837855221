"""Two runs beside each other, behind their first difference too, in a bounded size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lab_parity
from lab_parity import Scope
from lab_parity.plant import plant
from lab_parity.sketch import BUCKETS
from lab_parity.survey import MapRow, Survey, survey
from lab_parity.trace import End, Key, Row
from lab_parity.trace_writer import TraceWriter

Train = Callable[..., Any]
RICH = Scope(buckets=BUCKETS)


def surveyed(a: Path, b: Path, **settings: int) -> Survey:
    """The survey of two traces."""
    return survey(lab_parity.read(a), lab_parity.read(b), **settings)


def row(found: Survey, phase: str, name: str) -> Any:
    """One row's distances, by step."""
    return found.far[list(found.rows).index(MapRow(phase, name))]


@pytest.fixture
def pair(train: Train, tmp_path: Path) -> tuple[Path, Path]:
    """Six steps, the learning rate 0.1 % too large from step 2 on in the second run."""
    for name in "ab":
        with plant("lr", 2 if name == "b" else 99), lab_parity.record(tmp_path / name, scope=RICH):
            train(6)
    return tmp_path / "a", tmp_path / "b"


def test_distances_go_on_behind_the_first_difference(pair: tuple[Path, Path]) -> None:
    """0 before; the settings' own size; the parameters', which grow; batches stay equal."""
    found = surveyed(*pair)
    assert found.sized
    assert row(found, "optimizer settings", "head.bias") == pytest.approx([0, 0, 1e-3, 1e-3, 1e-3, 1e-3], rel=2e-3)
    weights = row(found, "param", "head.weight")
    assert (weights[:2] == 0).all()
    assert (weights[2:] > 0).all()
    assert weights[2] < weights[5] < 1e-3
    assert (row(found, "batch", "call 0 argument 0") == 0).all()
    assert row(found, "grad", "head.weight")[2] == 0 < row(found, "grad", "head.weight")[3]


def test_rows_stand_in_causal_order(pair: tuple[Path, Path]) -> None:
    """What can cause what comes first."""
    phases = list(dict.fromkeys(row.phase for row in surveyed(*pair).rows))
    assert phases == [
        "config", "rng", "batch", "loss", "grad", "optimizer settings", "optimizer state", "param", "buffer",
    ]  # fmt: skip


def test_without_summaries_the_size_is_unknown_but_not_the_difference(train: Train, tmp_path: Path) -> None:
    """Infinity stands for it; single numbers still have theirs."""
    for name in "ab":
        with lab_parity.record(tmp_path / name):
            train(3, lr=0.01 if name == "a" else 0.02)
    found = surveyed(tmp_path / "a", tmp_path / "b")
    assert not found.sized
    assert np.isinf(row(found, "param", "head.weight")).all()
    assert row(found, "optimizer settings", "head.weight") == pytest.approx(0.5)


def test_the_longer_run_keeps_its_losses(train: Train, tmp_path: Path) -> None:
    """And nothing is compared there."""
    for name, steps in (("a", 3), ("b", 5)):
        with lab_parity.record(tmp_path / name):
            train(steps)
    found = surveyed(tmp_path / "a", tmp_path / "b")
    (mine,), (other,) = found.curves
    assert np.isnan(mine.mean).tolist() == [False] * 3 + [True] * 2
    assert not np.isnan(other.mean).any()
    assert (mine.mean[:3] == other.mean[:3]).all()
    assert np.isnan(found.far[:, 3:]).all()


def test_long_runs_are_gathered_in_bins_that_keep_the_extremes(tmp_path: Path) -> None:
    """1,000 steps of 300 tensors in 50 bins of at most 40 rows a phase; the one difference stays visible."""
    for side in "ab":
        writer = TraceWriter(tmp_path / side, {})
        for step in range(1000):
            rows = [Row(Key("loss", 0, "loss", ""), b"0" * 16, 9.0 if step == 777 else 1.0)]
            for n in range(300):
                odd = (step, n, side) == (777, 123, "b")
                rows.append(Row(Key("param", -1, f"layers.{n // 10}.{n % 10}", ""), (b"1" if odd else b"2") * 16))
            writer.step(rows, optimizer="opt0", micro_steps=1)
        writer.close(End("finished"))
    found = surveyed(tmp_path / "a", tmp_path / "b", bins=50, group_rows=40)
    assert found.far.shape == (31, 50)
    assert [MapRow("param", "layers.12", 10)] == [found.rows[n] for n in np.nonzero(found.far.any(axis=1))[0]]
    assert np.nonzero(found.far.any(axis=0))[0].tolist() == [38]
    assert (found.starts[38], found.ends[38]) == (760, 779)
    assert found.curves[0][0].high[38] == 9.0


def test_names_without_modules_are_gathered_by_neighbourhood(tmp_path: Path) -> None:
    """Nothing is left out."""
    for side in "ab":
        writer = TraceWriter(tmp_path / side, {})
        writer.step(
            [Row(Key("param", -1, f"p{n}", ""), b"1" * 16) for n in range(100)], optimizer="opt0", micro_steps=0
        )
        writer.close(End("finished"))
    found = surveyed(tmp_path / "a", tmp_path / "b", group_rows=10)
    assert len(found.rows) == 10
    assert sum(row.members for row in found.rows) == 100


def test_a_generator_that_nobody_seeded_is_not_shown_as_a_difference(tmp_path: Path) -> None:
    """There is nothing to compare."""
    for side in "ab":
        writer = TraceWriter(tmp_path / side, {})
        writer.step([Row(Key("rng", -1, "numpy", "state"), side.encode() * 16, 3.0)], optimizer="opt0", micro_steps=0)
        writer.close(End("finished"))
    assert np.isnan(surveyed(tmp_path / "a", tmp_path / "b").far).all()
