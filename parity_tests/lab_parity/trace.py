"""Reading a trace; trace_format.py says what one is, trace_writer.py writes it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import ipc

from lab_parity.blocks import Block
from lab_parity.digest import DIGEST_BYTES, digest_bytes
from lab_parity.errors import TraceError
from lab_parity.keys import Key
from lab_parity.ledger import Drawn
from lab_parity.trace_format import (
    CHECK_FIELD,
    ENVIRONMENT_FIELD,
    HEAD_FIELD,
    INDEX_MARK,
    SCOPE_FIELD,
    STATISTICS,
    VERSION,
    VERSION_FIELD,
    End,
    Index,
    Row,
    Scope,
    Step,
    checksum,
    schema_of,
)

__all__ = ["VERSION", "End", "Index", "Key", "Row", "Scope", "Step", "Trace", "read"]


@attrs.frozen(slots=True)
class Trace:
    """A trace on disk. Steps are read one at a time, so a trace of any length fits in memory."""

    path: Path
    environment: Mapping[str, str]
    scope: Scope = attrs.field(factory=Scope)

    def steps(self, block: Block | None = None) -> Iterator[Step | End]:
        """Every whole step in order, then one End; or only the steps of one block of the index.

        Raises TraceError when a batch is damaged.
        """
        with open(self.path, "rb") as file:
            reader, _, scope = _open(self.path, file)
            if block is None:
                yield from _steps(self.path, file, reader, scope)
            else:
                # Arrow reads message after message where the file stands: behind the schema now, where block 0 is.
                if block.offset:
                    file.seek(block.offset)
                yield from _block(self.path, reader, scope, block)

    def index(self) -> Index | None:
        """The index, or None for a run without an end, or where the index is damaged."""
        with open(self.path, "rb") as file:
            return _index(file)

    def end(self) -> End:
        """How the run ended."""
        index = self.index()
        if index is not None:
            return index.end
        *_, last = self.steps()
        assert isinstance(last, End)
        return last

    def __len__(self) -> int:
        """Number of whole steps that were recorded."""
        index = self.index()
        if index is not None:
            return sum(block.steps for block in index.blocks)
        return sum(isinstance(item, Step) for item in self.steps())


def read(path: str | os.PathLike[str]) -> Trace:
    """Open a trace. Raises TraceError when the file is missing, is no trace, or is of another version."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            _, environment, scope = _open(path, file)
    except FileNotFoundError:
        raise TraceError(f"{path}: no such trace. Record one with: lab-migrate record --out {path} -- CMD") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read as a trace: {error.strerror or error}") from None
    return Trace(path, environment, scope)


def _open(path: Path, file: Any) -> tuple[ipc.RecordBatchStreamReader, dict[str, str], Scope]:
    try:
        reader = ipc.open_stream(file)
        metadata = reader.schema.metadata or {}
        version = metadata[VERSION_FIELD].decode()
        environment = json.loads(metadata[ENVIRONMENT_FIELD])
    except (pa.ArrowException, KeyError, ValueError, EOFError, OSError, MemoryError) as error:
        if _begins_with(path, b'{"lab_parity.golden"'):
            raise TraceError(
                f"{path}: is a golden, where a trace is expected. Compare a run with it: lab-migrate compare GOLDEN "
                "RUN.trace; or make a trace of it: lab-migrate trace import"
            ) from error
        empty = " (the file is empty)" if os.path.getsize(path) == 0 else ""
        raise TraceError(
            f"{path}: is no trace, or was cut short before its first step{empty}. Record the run again."
        ) from error
    if version != VERSION:
        raise TraceError(f"{path}: trace version {version}, this program reads version {VERSION}. Record it again.")
    try:
        scope = Scope(**json.loads(metadata[SCOPE_FIELD]))
        if metadata[CHECK_FIELD].decode() != digest_bytes(metadata[ENVIRONMENT_FIELD] + metadata[SCOPE_FIELD]).hex():
            raise ValueError("checksum does not match")
        if not isinstance(environment, dict) or not reader.schema.equals(schema_of({}, scope)):
            raise ValueError(f"columns {reader.schema.names}")
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise TraceError(f"{path}: its head is damaged ({error}). Record it again.") from error
    return reader, {str(name): str(value) for name, value in environment.items()}, scope


def _begins_with(path: Path, text: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(text)) == text


@attrs.define(slots=True)
class _Tables:
    """What earlier batches of a block have said; `blocks` counts those that began."""

    blocks: int = 0
    keys: list[Key] = attrs.field(factory=list)
    layouts: dict[str, list[Key]] = attrs.field(factory=dict)
    texts: dict[str, str] = attrs.field(factory=dict)


def _steps(path: Path, file: Any, reader: ipc.RecordBatchStreamReader, scope: Scope) -> Iterator[Step | End]:
    tables = _Tables()
    count, last = 0, -1
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
        except (StopIteration, pa.ArrowException, EOFError, OSError, MemoryError) as error:
            if _goes_on(file):
                raise TraceError(
                    f"{path}: damaged after step {last}; the {count} steps before are whole. Record it again."
                ) from error
            # A writer that died leaves a torn last batch, or none: what came before it is whole.
            yield End("cut short", f"no end after {count} whole steps")
            return
        item = _item(path, batch, metadata, tables, scope, count, last)
        yield item
        if isinstance(item, End):
            return
        count, last = count + 1, item.step


def _goes_on(file: Any) -> bool:
    """Whether there is more behind what could not be read: then no writer's death explains it."""
    here, size = file.tell(), file.seek(0, os.SEEK_END)
    return here < size or _index(file) is not None


def _block(path: Path, reader: ipc.RecordBatchStreamReader, scope: Scope, block: Block) -> Iterator[Step]:
    tables = _Tables()
    last = -1
    for place in range(block.steps):
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
        except (StopIteration, pa.ArrowException, EOFError, OSError, MemoryError) as error:
            raise TraceError(f"{path}: damaged in step {place} after byte {block.offset}. Record it again.") from error
        item = _item(path, batch, metadata, tables, scope, None, last)
        if isinstance(item, End) or tables.blocks != 1:
            raise TraceError(f"{path}: no step where the index says that there is one. Record it again.")
        last = item.step
        yield item


def _item(
    path: Path, batch: pa.RecordBatch, metadata: Mapping[bytes, bytes] | None, tables: _Tables, scope: Scope,
    count: int | None, last: int,
) -> Step | End:  # fmt: skip
    """A verified batch; `count` is its expected place, `last` the step before it."""
    whole = "" if count is None else f"; the {count} steps before it are whole"
    try:
        head, digests, values, summaries = _verified(batch, metadata, scope)
        if head["kind"] == "end":
            if count is not None and head["number"] != count:
                raise ValueError(f"the end counts {head['number']} steps")
            return _end(head)
        if "block" in head:
            tables.blocks, tables.keys, tables.layouts, tables.texts = tables.blocks + 1, [], {}, {}
        tables.texts.update(head.get("texts", {}))
        tables.keys.extend(Key(*parts) for parts in head.get("keys", ()))
        if "rows" in head:
            tables.layouts[head["layout"]] = [tables.keys[number] for number in head["rows"]]
        layout = tables.layouts[head["layout"]]
        ledger = [Drawn.from_json(drawn) for drawn in head.get("ledger", ())]
        if len(layout) != len(digests) or head["step"] <= last or (count is not None and head["number"] != count):
            raise ValueError("rows and layout disagree")
        return Step(
            head["step"], head["optimizer"], head["micro"], head["layout"], layout, digests, values,
            tables.texts, head.get("notes", ()), summaries, ledger,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, IndexError, pa.ArrowException) as error:
        where = f"after step {last}" if last >= 0 else "at the first step"
        raise TraceError(f"{path}: damaged {where} ({error}){whole}. Record it again.") from error


def _end(head: Mapping[str, Any]) -> End:
    return End(
        str(head["status"]), str(head["detail"]), tuple(map(str, head.get("notes", ()))), int(head["taken"]),
        {str(name): int(steps) for name, steps in head.get("under", {}).items()}, str(head.get("first", "")),
        {str(field): str(text) for field, text in head.get("evaluated", {}).items()},
    )  # fmt: skip


def _verified(
    batch: pa.RecordBatch, metadata: Mapping[bytes, bytes] | None, scope: Scope
) -> tuple[dict[str, Any], npt.NDArray[np.uint8], npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
    if metadata is None or HEAD_FIELD not in metadata or CHECK_FIELD not in metadata:
        raise ValueError("no header")
    batch.validate(full=True)
    text = metadata[HEAD_FIELD]
    digests = batch.column(0)
    if digests.null_count:
        raise ValueError("an observation without a digest")
    raw = _bytes_of(digests, len(digests) * DIGEST_BYTES)
    values = _numbers(batch.column(1))
    summaries = None
    if scope.buckets:
        summaries = _numbers(batch.column(2).values).reshape(len(digests), STATISTICS + scope.buckets)
    if checksum(text, raw, values, b"" if summaries is None else summaries.tobytes()) != metadata[CHECK_FIELD]:
        raise ValueError("checksum does not match")
    head = json.loads(text)
    if not isinstance(head, dict):
        raise ValueError("header is no object")
    return head, np.frombuffer(raw, np.uint8).reshape(-1, DIGEST_BYTES), values, summaries


def _bytes_of(column: pa.Array[Any], size: int) -> bytes:
    data = column.buffers()[1]
    return b"" if data is None or not size else bytes(memoryview(data)[:size])


def _numbers(column: pa.Array[Any]) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return values


def _index(file: Any) -> Index | None:
    tail = DIGEST_BYTES + 8 + len(INDEX_MARK)
    size = file.seek(0, os.SEEK_END)
    if size < tail:
        return None
    file.seek(size - tail)
    check, length, mark = file.read(DIGEST_BYTES), int.from_bytes(file.read(8), "little"), file.read()
    if mark != INDEX_MARK or length > size - tail:
        return None
    file.seek(size - tail - length)
    text = file.read(length)
    if digest_bytes(text) != check:
        return None
    plain = json.loads(text)
    if plain["at"] != size - tail - length:  # something was cut out of the file, or put in
        return None
    return Index(tuple(Block.from_json(block) for block in plain["blocks"]), _end(plain["end"]))
