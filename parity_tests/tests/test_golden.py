"""Goldens: text that is a trace, and nothing else that is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lab_parity
from lab_parity import ParityError, TraceError
from lab_parity.golden import LEVELS, compare_with_golden, export_golden, import_golden, is_golden
from lab_parity.plant import plant
from lab_parity.trace import Key, Row, Step
from lab_parity.trace_writer import TraceWriter

Train = Callable[..., Any]


@pytest.fixture
def run(train: Train, tmp_path: Path) -> Callable[..., Path]:
    """`run("name", "lr@2", …)` records a training with a fault planted."""

    def one(name: str, fault: str = "", **settings: Any) -> Path:
        path = tmp_path / f"{name}.trace"
        planted, _, at = fault.partition("@")
        if not planted:
            with lab_parity.record(path):
                train(**{"steps": 4, **settings})
        else:
            with plant(planted, int(at)), lab_parity.record(path):
                train(**{"steps": 4, **settings})
        return path

    return one


def golden_of(trace: Path, level: str) -> Path:
    """Beside it."""
    path = trace.with_suffix(f".{level}.golden")
    assert export_golden(lab_parity.read(trace), path, level) == [path]
    return path


@pytest.mark.parametrize("level", LEVELS)
def test_the_same_training_is_identical_to_its_golden(run: Callable[..., Path], level: str) -> None:
    """Also when another module holds the model, and with another micro-step count it is not."""
    golden = golden_of(run("a"), level)
    for name, settings in {"b": {}, "c": {"shell": True}, "d": {"closure": True}}.items():
        verdict = compare_with_golden(golden, lab_parity.read(run(name, **settings)))
        assert (verdict.rung, verdict.coverage.steps) == ("identical", 4), (verdict.reasons, verdict.first)
    assert compare_with_golden(golden, lab_parity.read(run("e", micro=3))).rung == "diverged"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("fault", "phase"), [("lr", "optimizer"), ("rng", "rng"), ("ulp", "param"), ("scale", "grad")])
def test_a_fault_is_found_at_its_step_and_phase(run: Callable[..., Path], level: str, fault: str, phase: str) -> None:
    """Whatever the level; at the level "tensor" the tensor is named."""
    verdict = compare_with_golden(golden_of(run("a"), level), lab_parity.read(run("b", f"{fault}@2")))
    assert verdict.first is not None, verdict.reasons
    assert (verdict.first.step, verdict.first.phase) == (2, phase)
    if level == "tensor" and phase != "rng":
        assert verdict.first.tensor.startswith("body.0")


def test_a_whole_golden_becomes_the_trace_again(run: Callable[..., Path], tmp_path: Path) -> None:
    """Every row of every step, with its digest and number, and the end."""
    legacy = lab_parity.read(run("a"))
    again = import_golden(golden_of(Path(legacy.path), "tensor"), tmp_path / "again.trace")
    assert again.environment == legacy.environment
    assert (len(again), again.end().status, again.end().taken) == (4, "finished", 4)
    for left, right in zip(legacy.steps(), again.steps(), strict=True):
        if isinstance(left, Step) and isinstance(right, Step):
            assert list(left.keys) == list(right.keys)
            np.testing.assert_array_equal(left.digests, right.digests)
            np.testing.assert_array_equal(left.values, right.values)
            shown = {digest.tobytes().hex() for digest in left.digests}
            assert {d: t for d, t in left.texts.items() if d in shown} == {
                d: t for d, t in right.texts.items() if d in shown
            }


def test_what_a_small_golden_becomes_is_not_compared_with_a_whole_trace(
    run: Callable[..., Path], tmp_path: Path
) -> None:
    """Dozens of "observations without a partner" were the reason that was given."""
    whole = run("a")
    again = import_golden(golden_of(whole, "phase"), tmp_path / "again.trace")
    verdict = lab_parity.compare(again, whole)
    assert verdict.rung == "inconclusive"
    assert "compare with the golden itself" in verdict.reasons[0]


def test_numbers_that_json_has_no_word_for_survive(tmp_path: Path) -> None:
    """A loss may be infinite; where it is no number there is none."""
    writer = TraceWriter(tmp_path / "a.trace", {})
    rows = [Row(Key("loss", 0, "loss", ""), b"1" * 16, float("inf")), Row(Key("param", -1, "w", ""), b"2" * 16)]
    writer.step(rows, optimizer="opt0", micro_steps=1)
    writer.close(lab_parity.trace.End("finished"))
    again = import_golden(golden_of(tmp_path / "a.trace", "tensor"), tmp_path / "b.trace")
    step = next(iter(again.steps()))
    assert isinstance(step, Step)
    assert step.values[0] == float("inf")
    assert np.isnan(step.values[1])


def test_a_small_golden_is_small(tmp_path: Path) -> None:
    """1 KB a step, however many tensors there are."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(*[torch.nn.Linear(2, 2) for _ in range(60)])
    adam = torch.optim.Adam(layers.parameters())
    with lab_parity.record(tmp_path / "a.trace"):
        for _ in range(20):
            adam.zero_grad()
            layers(torch.ones(2, 2)).sum().backward()
            adam.step()
    assert golden_of(tmp_path / "a.trace", "phase").stat().st_size < 20 * 1024 + 4096


@pytest.mark.parametrize(
    "damage", ["a digest", "a line less", "the end cut off", "taken", "a line twice", "edited text"]
)
@pytest.mark.parametrize("level", LEVELS)
def test_a_damaged_golden_is_refused(run: Callable[..., Path], level: str, damage: str) -> None:
    """Whatever is changed in it; the message says what to do."""
    trace = run("a")
    golden = golden_of(trace, level)
    lines = golden.read_text().splitlines()
    if damage == "a digest":
        at = lines[2].index('"digests": ["') + 13
        lines[2] = lines[2][:at] + ("0" if lines[2][at] != "0" else "1") + lines[2][at + 1 :]
    elif damage == "a line less":
        del lines[3]
    elif damage == "the end cut off":
        lines[-1] = lines[-1][: len(lines[-1]) // 2]
    elif damage == "taken":
        lines[-1] = lines[-1].replace('"taken": 4', '"taken": 3')
    elif damage == "a line twice":
        lines.insert(3, lines[3])
    else:
        lines[0] = lines[0].replace("lab-migrate", "lab-nigrate")
    assert lines != golden.read_text().splitlines()
    golden.write_text("\n".join(lines) + "\n")
    with pytest.raises(TraceError, match=r"is damaged, or was edited .*lab-migrate trace export"):
        compare_with_golden(golden, lab_parity.read(trace))


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "something else"), ("{}", "something else"), ("ARROW1", "something else"), ("[1]", "something else"),
     ('{"lab_parity.golden": 2}', "golden version 2"), ('{"lab_parity.golden": 1}', "damaged")],
)  # fmt: skip
def test_what_is_no_golden_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Another file, another version."""
    (tmp_path / "foreign.golden").write_text(text)
    with pytest.raises(TraceError, match=said):
        import_golden(tmp_path / "foreign.golden", tmp_path / "x.trace")
    with pytest.raises(TraceError, match="no such golden"):
        import_golden(tmp_path / "nothing.golden", tmp_path / "x.trace")


def test_nothing_makes_no_golden(run: Callable[..., Path]) -> None:
    """It would pass for ever; so would a run that died, up to where it died."""
    with pytest.raises(ParityError, match="found 0 steps"):
        golden_of(run("a", steps=0), "phase")
    path = run("b")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ParityError, match="'cut short'"):
        golden_of(path, "phase")
    with pytest.raises(ParityError, match="expected one of phase, tensor"):
        golden_of(run("c"), "byte")


def test_a_golden_and_a_trace_are_told_apart(run: Callable[..., Path]) -> None:
    """A command that takes traces says what the file is."""
    trace = run("a")
    golden = golden_of(trace, "phase")
    assert (is_golden(golden), is_golden(trace), is_golden(trace.with_name("nothing"))) == (True, False, False)
    with pytest.raises(TraceError, match="is a golden, where a trace is expected"):
        lab_parity.read(golden)
