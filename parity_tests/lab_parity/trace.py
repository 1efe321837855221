"""The trace: one run, step by step, in one file that survives the death of its writer.

A trace is an Arrow IPC stream (https://arrow.apache.org/docs/format/Columnar.html), so every Arrow reader opens
it. The schema's metadata holds `lab_parity.version` and `lab_parity.environment` (JSON, strings only). Each
record batch is one optimizer step, flushed at once; a row is one observation:

    digest  fixed_size_binary[16]   fingerprint of what was seen (see digest.py)
    value   float64, nullable       the number itself where it is a single one (loss, learning rate, norm)

What a row is about lies in the batch's custom metadata `lab_parity` (JSON), as tables that grow:

    kind     "step", or "end" for the last batch, which has no rows
    step     number of the step, from 0            optimizer  which optimizer stepped: "opt0", "opt1", …
    micro    number of micro-steps in it            layout     number of this batch's row layout
    keys     keys first used here: [phase, micro-step or -1, name, field]; numbered from 0 in order of appearance
    rows     the layout's key numbers, one per row, present when the layout is first used
    texts    {digest: JSON text} for observations whose content is kept (hyperparameters), when first seen
    notes    what could not be recorded
    status, detail      of the end: "finished" by itself, "exception", "signal" or "stopped", with its message

`lab_parity.check` is the digest of the columns and of the JSON: a damaged batch is noticed. No end batch means
that the run was cut short; all steps up to the last whole one are readable. Nothing in a trace is executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import ipc

from lab_parity.digest import DIGEST_BYTES, digest_bytes
from lab_parity.errors import TraceError

__all__ = ["VERSION", "End", "Key", "Row", "Step", "Trace", "TraceWriter", "read"]

VERSION = "1"
_VERSION_FIELD, _ENVIRONMENT_FIELD = b"lab_parity.version", b"lab_parity.environment"
_HEAD_FIELD, _CHECK_FIELD = b"lab_parity", b"lab_parity.check"


class Key(NamedTuple):
    """What an observation is about; `micro` is -1 for what belongs to the whole step."""

    phase: str
    micro: int
    name: str
    field: str


class Row(NamedTuple):
    """One observation: its key, its 16-byte digest, and the number itself where there is a single one."""

    key: Key
    digest: bytes
    value: float | None = None


@attrs.frozen(slots=True)
class End:
    """How a run ended: `finished` by itself, `exception`, `signal`, `stopped` (as asked), or `cut short` (no end)."""

    status: str
    detail: str = ""
    notes: tuple[str, ...] = ()


@attrs.frozen(slots=True, eq=False)
class Step:
    """One optimizer step as recorded: `digests` is (rows, 16) uint8, `values` (rows,) float64 with NaN for none."""

    step: int
    optimizer: str
    micro_steps: int
    layout: int
    keys: Sequence[Key]
    digests: npt.NDArray[np.uint8]
    values: npt.NDArray[np.float64]
    texts: Mapping[str, str]
    notes: Sequence[str]


class TraceWriter:
    """Writes a trace; a step is on its way to the disk when `step()` returns.

    Raises FileExistsError when the file is there already: a recording never overwrites another.
    """

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = open(path, "xb")  # noqa: SIM115  (closed in close(); lives as long as the run)
        columns: Any = {"digest": pa.binary(DIGEST_BYTES), "value": pa.float64()}
        self._schema = pa.schema(
            columns,
            metadata={_VERSION_FIELD: VERSION, _ENVIRONMENT_FIELD: json.dumps(dict(environment), sort_keys=True)},
        )
        self._writer = ipc.new_stream(self._file, self._schema, options=ipc.IpcWriteOptions(compression="zstd"))
        self._file.flush()
        self._keys: dict[Key, int] = {}
        self._layouts: dict[tuple[int, ...], int] = {}
        self._texts: set[str] = set()
        self._steps = 0

    @property
    def steps(self) -> int:
        """Steps written so far."""
        return self._steps

    def step(
        self,
        rows: Sequence[Row],
        *,
        optimizer: str,
        micro_steps: int,
        texts: Mapping[bytes, str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Append one step. `texts` maps digests to the JSON text that they stand for."""
        fresh: list[Key] = []
        numbers = []
        for row in rows:
            number = self._keys.get(row.key)
            if number is None:
                number = self._keys[row.key] = len(self._keys)
                fresh.append(row.key)
            numbers.append(number)
        head: dict[str, Any] = {
            "kind": "step", "step": self._steps, "optimizer": optimizer, "micro": micro_steps,
        }  # fmt: skip
        order = tuple(numbers)
        layout = self._layouts.get(order)
        if layout is None:
            layout = self._layouts[order] = len(self._layouts)
            head["rows"] = numbers
        head["layout"] = layout
        if fresh:
            head["keys"] = fresh
        known = {digest.hex(): text for digest, text in (texts or {}).items()}
        unknown = {name: text for name, text in known.items() if name not in self._texts}
        if unknown:
            head["texts"] = unknown
            self._texts.update(unknown)
        if notes:
            head["notes"] = list(notes)
        self._write(head, [row.digest for row in rows], [row.value for row in rows])
        self._steps += 1

    def close(self, end: End) -> None:
        """Write the end and close the file."""
        head = {"kind": "end", "status": end.status, "detail": end.detail, "steps": self._steps}
        self._write(head | ({"notes": list(end.notes)} if end.notes else {}), [], [])
        self._writer.close()
        self._file.close()

    def _write(self, head: dict[str, Any], digests: list[bytes], values: list[float | None]) -> None:
        text = json.dumps(head, separators=(",", ":")).encode()
        numbers = pa.array(values, pa.float64())
        check = _checksum(text, b"".join(digests), _value_array(numbers))
        columns: list[pa.Array[Any]] = [pa.array(digests, pa.binary(DIGEST_BYTES)), numbers]
        batch = pa.record_batch(columns, schema=self._schema)
        self._writer.write_batch(batch, custom_metadata={_HEAD_FIELD: text, _CHECK_FIELD: check})
        self._file.flush()


@attrs.frozen(slots=True)
class Trace:
    """A trace on disk. Steps are read one at a time, so a trace of any length fits in memory."""

    path: Path
    environment: Mapping[str, str]

    def steps(self) -> Iterator[Step | End]:
        """Every whole step in order, then one End. Raises TraceError when a batch is damaged."""
        with open(self.path, "rb") as file:
            yield from _steps(self.path, _open(self.path, file)[0])

    def end(self) -> End:
        """How the run ended (reads the whole trace)."""
        *_, last = self.steps()
        assert isinstance(last, End)
        return last

    def __len__(self) -> int:
        """Number of whole steps (reads the whole trace)."""
        return sum(isinstance(item, Step) for item in self.steps())


def read(path: str | os.PathLike[str]) -> Trace:
    """Open a trace. Raises TraceError when the file is missing, is no trace, or is of another version."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            _, environment = _open(path, file)
    except FileNotFoundError:
        raise TraceError(f"{path}: no such trace. Record one with: lab-migrate record --out {path} -- CMD") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read as a trace: {error.strerror or error}") from None
    return Trace(path, environment)


def _open(path: Path, file: Any) -> tuple[ipc.RecordBatchStreamReader, dict[str, str]]:
    try:
        reader = ipc.open_stream(file)
        metadata = reader.schema.metadata or {}
        version = metadata[_VERSION_FIELD].decode()
        environment = json.loads(metadata[_ENVIRONMENT_FIELD])
    except (pa.ArrowException, KeyError, ValueError, EOFError, OSError, MemoryError) as error:
        empty = " (the file is empty)" if os.path.getsize(path) == 0 else ""
        raise TraceError(
            f"{path}: is no trace, or was cut short before its first step{empty}. Record the run again."
        ) from error
    if version != VERSION:
        raise TraceError(f"{path}: trace version {version}, this program reads version {VERSION}. Record it again.")
    if reader.schema.names != ["digest", "value"] or not isinstance(environment, dict):
        raise TraceError(f"{path}: columns {reader.schema.names}, expected ['digest', 'value']: the file is damaged.")
    return reader, {str(name): str(value) for name, value in environment.items()}


def _steps(path: Path, reader: ipc.RecordBatchStreamReader) -> Iterator[Step | End]:
    keys: list[Key] = []
    layouts: dict[int, list[Key]] = {}
    count = 0
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
        except (StopIteration, pa.ArrowException, EOFError, OSError, MemoryError):
            # A writer that died leaves a torn last batch, or none: what came before it is whole.
            yield End("cut short", f"no end after {count} whole steps")
            return
        try:
            head, digests, values = _verified(batch, metadata)
            if head["kind"] == "end":
                if head["steps"] != count:
                    raise ValueError(f"the end counts {head['steps']} steps")
                yield End(str(head["status"]), str(head["detail"]), tuple(head.get("notes", ())))
                return
            keys.extend(Key(*parts) for parts in head.get("keys", ()))
            if "rows" in head:
                layouts[head["layout"]] = [keys[number] for number in head["rows"]]
            layout = layouts[head["layout"]]
            if len(layout) != len(digests) or head["step"] != count:
                raise ValueError("rows and layout disagree")
            step = Step(
                count, head["optimizer"], head["micro"], head["layout"], layout, digests, values,
                head.get("texts", {}), head.get("notes", ()),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, IndexError, pa.ArrowException) as error:
            raise TraceError(
                f"{path}: damaged at step {count} ({error}); the {count} steps before it are whole. Record it again."
            ) from error
        yield step
        count += 1


def _verified(
    batch: pa.RecordBatch, metadata: Mapping[bytes, bytes] | None
) -> tuple[dict[str, Any], npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    if metadata is None or _HEAD_FIELD not in metadata or _CHECK_FIELD not in metadata:
        raise ValueError("no header")
    batch.validate(full=True)
    text = metadata[_HEAD_FIELD]
    raw = b"".join(digest for digest in batch.column(0).to_pylist() if digest is not None)
    values = _value_array(batch.column(1))
    if _checksum(text, raw, values) != metadata[_CHECK_FIELD]:
        raise ValueError("checksum does not match")
    head = json.loads(text)
    if not isinstance(head, dict):
        raise ValueError("header is no object")
    return head, np.frombuffer(raw, np.uint8).reshape(-1, DIGEST_BYTES), values


def _value_array(column: pa.Array[Any]) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return values


def _checksum(text: bytes, digests: bytes, values: npt.NDArray[np.float64]) -> bytes:
    # NaN stands for "no value" and may carry any payload: only the places count.
    return digest_bytes(text + digests + np.nan_to_num(values, nan=-0.0).tobytes() + np.isnan(values).tobytes())
