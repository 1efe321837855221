"""Writing a trace; trace_format.py says what one is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import ipc

from lab_parity.blocks import BLOCK_STEPS, Block, BlockBuilder, layout_digest
from lab_parity.digest import DIGEST_BYTES, digest_bytes
from lab_parity.keys import Key
from lab_parity.ledger import Drawn
from lab_parity.trace_format import (
    CHECK_FIELD,
    HEAD_FIELD,
    INDEX_MARK,
    STATISTICS,
    End,
    Row,
    Scope,
    checksum,
    schema_of,
)

__all__ = ["TraceWriter"]


class TraceWriter:
    """Writes a trace; a step is on its way to the disk when `step()` returns.

    Raises FileExistsError when the file is there already: a recording never overwrites another.
    """

    def __init__(self, path: Path, environment: Mapping[str, str], scope: Scope | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._scope = scope or Scope()
        self._file = open(path, "xb")  # noqa: SIM115  (closed in close(); lives as long as the run)
        self._schema = schema_of(environment, self._scope)
        # Digests do not shrink: lz4 makes of the other column what zstd does, in half the time; threads cost more.
        options = ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        self._writer = ipc.new_stream(self._file, self._schema, options=options)
        self._file.flush()
        self._steps = 0
        self._last = -1
        self._builder = BlockBuilder()
        self._blocks: list[Block] = []
        self._begin_block()

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
        step: int | None = None,
        texts: Mapping[bytes, str] | None = None,
        notes: Sequence[str] = (),
        ledger: Sequence[Drawn] = (),
    ) -> None:
        """Append one step, by default the one after the last. `texts` maps digests to what they stand for (JSON)."""
        self._last = self._last + 1 if step is None else step
        head: dict[str, Any] = {
            "kind": "step", "number": self._steps, "step": self._last, "optimizer": optimizer, "micro": micro_steps,
        }  # fmt: skip
        if not self._builder.steps:
            head["block"] = len(self._blocks)
        layout, keys = self._layout(rows, head)
        known = {digest.hex(): text for digest, text in (texts or {}).items()}
        unknown = {name: text for name, text in known.items() if name not in self._texts}
        if unknown:
            head["texts"] = unknown
            self._texts.update(unknown)
        if notes:
            head["notes"] = list(notes)
        if ledger:
            head["ledger"] = list(ledger)
        digests, values = self._write(head, rows)
        self._builder.add(optimizer, layout, keys, digests, values, micro_steps, bool(notes))
        self._steps += 1
        if self._builder.steps == BLOCK_STEPS:
            self._end_block()

    def close(self, end: End) -> None:
        """Write the end and the index, and close the file."""
        if self._builder.steps:
            self._end_block()
        taken = end.taken if end.taken >= 0 else self._last + 1
        head = {"kind": "end", "number": self._steps, "status": end.status, "detail": end.detail, "taken": taken}
        head |= {"notes": list(end.notes)} if end.notes else {}
        head |= {"under": dict(end.under)} if end.under else {}
        head |= {"first": end.first} if end.first else {}
        head |= {"evaluated": dict(end.evaluated)} if end.evaluated else {}
        self._write(head, [])
        self._writer.close()
        index = {"at": self._file.tell(), "blocks": [block.to_json() for block in self._blocks], "end": head}
        text = json.dumps(index, separators=(",", ":")).encode()
        self._file.write(text + digest_bytes(text) + len(text).to_bytes(8, "little") + INDEX_MARK)
        self._file.close()

    def _layout(self, rows: Sequence[Row], head: dict[str, Any]) -> tuple[str, Sequence[Key]]:
        """The layout's name and keys; what the block has not said yet goes into the head."""
        numbers = []
        fresh: list[Key] = []
        for row in rows:
            number = self._keys.get(row.key)
            if number is None:
                number = self._keys[row.key] = len(self._keys)
                fresh.append(row.key)
            numbers.append(number)
        if fresh:
            head["keys"] = fresh
        order = tuple(numbers)
        known = self._layouts.get(order)
        if known is None:
            keys = [row.key for row in rows]
            known = self._layouts[order] = (layout_digest(keys), keys)
            head["rows"] = numbers
        head["layout"] = known[0]
        return known

    def _begin_block(self) -> None:
        self._offset = self._file.tell()
        self._keys: dict[Key, int] = {}
        self._layouts: dict[tuple[int, ...], tuple[str, list[Key]]] = {}
        self._texts: set[str] = set()

    def _end_block(self) -> None:
        self._blocks.append(self._builder.take(self._offset))
        self._begin_block()

    def _write(
        self, head: dict[str, Any], rows: Sequence[Row]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        text = json.dumps(head, separators=(",", ":")).encode()
        raw = b"".join([row.digest for row in rows])
        values = np.array([row.value for row in rows], np.float64)  # None becomes NaN
        values[values != values] = np.nan  # a null has no payload either
        numbers = pa.array(values, from_pandas=True)
        digests = pa.FixedSizeBinaryArray.from_buffers(pa.binary(DIGEST_BYTES), len(rows), [None, pa.py_buffer(raw)])
        columns: list[pa.Array[Any]] = [digests, numbers]
        summaries = b""
        if self._scope.buckets:
            table = self._summaries(rows)
            summaries = table.tobytes()
            columns.append(pa.FixedSizeListArray.from_arrays(pa.array(table.ravel()), table.shape[1]))
        check = checksum(text, raw, values, summaries)
        batch = pa.record_batch(columns, schema=self._schema)
        self._writer.write_batch(batch, custom_metadata={HEAD_FIELD: text, CHECK_FIELD: check})
        self._file.flush()
        return np.frombuffer(raw, np.uint8).reshape(-1, DIGEST_BYTES), values

    def _summaries(self, rows: Sequence[Row]) -> npt.NDArray[np.float64]:
        table = np.full((len(rows), STATISTICS + self._scope.buckets), np.nan)
        for place, row in enumerate(rows):
            if row.summary is not None:
                table[place] = row.summary
        return table
