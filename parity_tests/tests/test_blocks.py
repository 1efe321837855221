"""Blocks: skipping equal stretches never changes a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lab_parity
from lab_parity.digest import digest_bytes
from lab_parity.trace import End, Key, Row
from lab_parity.trace_writer import TraceWriter

STEPS = 9


def digest(*parts: object) -> bytes:
    """Sixteen bytes that stand for the parts."""
    return digest_bytes(repr(parts).encode())


def written(
    path: Path, *, steps: int = STEPS, prefix: str = "", changes: frozenset[tuple[int, str]] = frozenset(),
    reverse: bool = False, seeded: bool = True, extra: bool = False, notes: frozenset[int] = frozenset(),
) -> Path:  # fmt: skip
    """A run of two parameters under `prefix`; `changes` are (step, phase) whose digests are others."""
    path.unlink(missing_ok=True)
    writer = TraceWriter(path, {})
    for step in range(steps):
        rows = []
        for phase in (("config",) if step == 0 else ()) + ("grad", "optimizer", "param", "buffer"):
            for name in ("w", "b"):
                changed = path.name if (step, phase) in changes else ""
                field = "hyper" if phase == "optimizer" else ""
                rows.append(Row(Key(phase, -1, prefix + name, field), digest(step, phase, name, changed)))
        rows.append(Row(Key("loss", 0, "loss", ""), digest(step, "loss"), 1.0))
        if extra:
            rows.append(Row(Key("buffer", -1, "elsewhere", ""), digest(step)))
        changed = path.name if (step, "rng") in changes or not seeded else ""
        rows.append(Row(Key("rng", -1, "numpy", "state"), digest(step, changed), None if seeded else float(step)))
        if reverse:
            rows.reverse()
        note = ["lost"] if step in notes else []
        writer.step(rows, optimizer="opt0", micro_steps=1, notes=note)
    writer.close(End("finished"))
    return path


def without_index(path: Path) -> Path:
    """The same trace, as one reads it that has no index."""
    copy = path.with_name(path.name + ".plain")
    content = path.read_bytes()
    copy.write_bytes(content[: -int.from_bytes(content[-16:-8], "little") - 32])
    assert lab_parity.read(copy).index() is None
    return copy


phases = st.sampled_from(["grad", "optimizer", "param", "buffer", "rng"])
sides = st.fixed_dictionaries(
    {"steps": st.integers(STEPS - 2, STEPS)},
    optional={
        "prefix": st.just("outer.model."),
        "changes": st.frozensets(st.tuples(st.integers(0, STEPS - 1), phases), max_size=1),
        "reverse": st.booleans(),
        "seeded": st.booleans(),
        "extra": st.booleans(),
        "notes": st.frozensets(st.integers(0, STEPS - 1), max_size=1),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=sides, b=sides)
def test_the_verdict_with_blocks_is_the_verdict_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, a: dict[str, object], b: dict[str, object]
) -> None:
    """Other names, orders, lengths, differences, generators, buffers, notes: the same words either way."""
    monkeypatch.setattr("lab_parity.trace_writer.BLOCK_STEPS", 2)
    first, second = written(tmp_path / "a", **a), written(tmp_path / "b", **b)
    with_index = lab_parity.compare(first, second).to_dict()
    assert with_index == lab_parity.compare(without_index(first), without_index(second)).to_dict()


def test_equal_blocks_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another holder and in another order: after the two kinds of steps, only the end is looked at."""
    monkeypatch.setattr("lab_parity.trace_writer.BLOCK_STEPS", 2)
    first = written(tmp_path / "a", steps=40)
    second = written(tmp_path / "b", steps=40, prefix="shell.", reverse=True)
    read = []
    original = lab_parity.Trace.steps

    def steps(self: lab_parity.Trace, block: object = None) -> object:
        read.append(block)
        return original(self, block)  # type: ignore[arg-type]

    monkeypatch.setattr(lab_parity.Trace, "steps", steps)
    verdict = lab_parity.compare(first, second)
    assert (verdict.rung, verdict.coverage.steps, verdict.coverage.observations) == ("identical", 40, 40 * 10 + 2)
    assert len(read) <= 2 * 2


def test_a_block_is_read_without_what_stands_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block says its keys and texts itself."""
    monkeypatch.setattr("lab_parity.trace_writer.BLOCK_STEPS", 2)
    trace = lab_parity.read(written(tmp_path / "a"))
    index = trace.index()
    assert index is not None
    assert [len(list(trace.steps(block))) for block in index.blocks] == [2, 2, 2, 2, 1]
    whole = [step for step in trace.steps() if not isinstance(step, End)]
    parts = [step for block in index.blocks for step in trace.steps(block) if not isinstance(step, End)]
    for left, right in zip(whole, parts, strict=True):
        assert (left.step, left.layout, list(left.keys)) == (right.step, right.layout, list(right.keys))
        assert (left.digests == right.digests).all()
