"""The trace file: what is written is read back, and damage is never read as something else."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lab_parity
from lab_parity import TraceError, read
from lab_parity.ledger import Drawn
from lab_parity.trace import VERSION, End, Key, Row, Scope, Step
from lab_parity.trace_writer import TraceWriter

ROW = Row(Key("loss", 0, "loss", ""), b"0123456789abcdef", 0.5)
UNSPECIFIC = Row(Key("param", -1, "w", ""), b"fedcba9876543210")


def written(path: Path, steps: int, *, killed: bool = False) -> Path:
    """A trace of some equal steps; `killed` leaves the bytes that are on the disk before the end is written."""
    writer = TraceWriter(path, {"threads": "1"})
    for _ in range(steps):
        writer.step([ROW, UNSPECIFIC], optimizer="opt0", micro_steps=1, texts={ROW.digest: "{}"}, notes=["n"])
    on_disk = path.read_bytes()
    writer.close(End("finished"))
    if killed:
        path.write_bytes(on_disk)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Keys, digests, values, texts, notes, environment and the end."""
    trace = read(written(tmp_path / "a", 2))
    first, second, end = trace.steps()
    assert isinstance(first, Step)
    assert isinstance(second, Step)
    assert (first.step, second.step, first.micro_steps, first.optimizer) == (0, 1, 1, "opt0")
    assert list(second.keys) == [ROW.key, UNSPECIFIC.key]
    assert first.digests[1].tobytes() == UNSPECIFIC.digest
    assert first.values[0] == 0.5
    assert first.texts == {ROW.digest.hex(): "{}"}
    assert second.texts == first.texts
    assert first.notes == ["n"]
    assert trace.environment == {"threads": "1"}
    assert end == End("finished", taken=2)


def test_a_trace_is_never_overwritten(tmp_path: Path) -> None:
    """A recording is evidence."""
    written(tmp_path / "a", 1)
    with pytest.raises(FileExistsError):
        TraceWriter(tmp_path / "a", {})
    with pytest.raises(FileExistsError, match="choose another path"), lab_parity.record(tmp_path / "a"):
        pass


def test_a_trace_without_an_end_is_read_up_to_its_last_whole_step(tmp_path: Path) -> None:
    """What a killed process leaves: its steps, and the fact that it did not finish."""
    trace = read(written(tmp_path / "a", 3, killed=True))
    assert len(trace) == 3
    assert trace.end().status == "cut short"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no such trace"), (b"", "the file is empty"), (b"step,loss\n1,2\n" * 50, "is no trace")],
)
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    """The message starts with the path."""
    path = tmp_path / "a"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TraceError, match=said) as error:
        read(path)
    assert str(error.value).startswith(str(path))


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never read on a guess."""
    monkeypatch.setattr("lab_parity.trace_format.VERSION", "999")
    written(tmp_path / "a", 1)
    monkeypatch.undo()
    with pytest.raises(TraceError, match="version 999"):
        read(tmp_path / "a")


def outcome(whole: Path, other: Path) -> str:
    """The verdict's rung, or "refused" for a TraceError that names the file."""
    try:
        return lab_parity.compare(whole, other).rung
    except TraceError as error:
        return "refused" if str(other) in str(error) else f"refused without its path: {error}"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_trace_cut_anywhere_gives_its_whole_steps_or_a_clear_error(recorded_bytes: Path, share: float) -> None:
    """Never a wrong verdict: compared with the whole one it is inconclusive, or refused."""
    whole = recorded_bytes.read_bytes()
    size = int(share * (len(whole) - 1))
    cut = recorded_bytes.with_name("cut")
    cut.write_bytes(whole[:size])
    # Arrow's own end-of-stream mark (8 bytes) and the index add nothing to our end batch.
    length = int.from_bytes(whole[-16:-8], "little")
    stream = len(whole) - 8 - 8 - 16 - length - 8
    assert outcome(recorded_bytes, cut) in ({"identical"} if size >= stream else {"inconclusive", "refused"})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_never_a_divergence(recorded_bytes: Path, share: float, bit: int) -> None:
    """It is noticed, or it lies where nothing is stored; it is never read as another number."""
    content = bytearray(recorded_bytes.read_bytes())
    content[int(share * (len(content) - 1))] ^= 1 << bit
    damaged = recorded_bytes.with_name("damaged")
    damaged.write_bytes(content)
    assert outcome(recorded_bytes, damaged) in {"identical", "inconclusive", "refused"}


@pytest.fixture
def recorded_bytes(recorded: Callable[..., Path]) -> Path:
    """A finished trace of three steps."""
    return recorded("whole")


def test_a_step_of_200_tensors_costs_at_most_20_kilobytes(tmp_path: Path) -> None:
    """With Adam's three states, gradients and hyperparameters; measured on steps after the first."""
    import torch

    parameters = [torch.nn.Parameter(torch.randn(3)) for _ in range(200)]
    optimizer = torch.optim.Adam(parameters)
    sizes = []
    with lab_parity.record(tmp_path / "a"):
        for _ in range(4):
            optimizer.zero_grad()
            torch.stack([p.square().sum() for p in parameters]).sum().backward()
            optimizer.step()
            sizes.append(os.path.getsize(tmp_path / "a"))
    assert max(b - a for a, b in itertools.pairwise(sizes)) <= 20 * 1024


def test_the_format_is_documented_as_it_is(tmp_path: Path) -> None:
    """docs/trace.md names the version, the columns, the metadata and every field of a head; its example runs."""
    page = (Path(__file__).parents[2] / "docs" / "trace.md").read_text(encoding="utf-8")
    writer = TraceWriter(tmp_path / "run.trace", {"threads": "1"}, Scope(buckets=3, ledger=True))
    drawn = Drawn(0, "torch", "torch.rand", "train.py:1", "", 1, 1)
    writer.step(
        [ROW, UNSPECIFIC], optimizer="opt0", micro_steps=1, texts={ROW.digest: "{}"}, notes=["n"], ledger=[drawn]
    )
    writer.close(End("finished"))
    reader = pa.ipc.open_stream(tmp_path / "run.trace")
    fields = set(reader.schema.names) | {name.decode() for name in reader.schema.metadata}
    for _ in range(2):
        _, metadata = reader.read_next_batch_with_custom_metadata()
        fields |= {name.decode() for name in metadata} | set(json.loads(metadata[b"lab_parity"]))
    assert {name for name in fields if f"`{name}`" not in page} == set()
    assert f"Version {VERSION}." in page
    assert f"`{VERSION}`; another version is refused" in page
    example = page.partition("```python\n")[2].partition("```")[0]
    found: dict[str, pa.Table] = {}
    exec(example.replace("run.trace", str(tmp_path / "run.trace")), found)
    assert found["table"].num_rows == 2
