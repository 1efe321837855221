"""What a trace is: one run, step by step, in one file that survives the death of its writer.

A trace is an Arrow IPC stream (https://arrow.apache.org/docs/format/Columnar.html), so every Arrow reader opens
it. The schema's metadata holds `lab_parity.version`, `lab_parity.environment` (JSON, strings only), `lab_parity.scope`
(JSON: see `Scope`) and `lab_parity.check`, the digest in hex of the latter two. Each record batch is one optimizer
step, flushed at once; a row is one observation:

    digest   fixed_size_binary[16]           fingerprint of what was seen (see digest.py)
    value    float64, nullable               the number itself where it is a single one (loss, learning rate, norm)
    summary  fixed_size_list<float64>[4+k]   only at the level "statistics", NaN for what is no tensor: norm, mean,
                                             smallest and largest element, and a sketch of k numbers (see sketch.py)

What a row is about lies in the batch's custom metadata `lab_parity` (JSON), as tables that grow:

    kind     "step", or "end" for the last batch, which has no rows
    number   place among the recorded steps, from 0
    step     number of the optimizer step, from 0  optimizer  which optimizer stepped: "opt0", "opt1", …
    micro    number of micro-steps in it           layout     name of this batch's row layout
    block    number of the block that begins here; all tables begin anew
    keys     keys first used here: [phase, micro-step or -1, name, field]; numbered from 0 in order of appearance
    rows     the layout's key numbers, one per row, present when the layout is first used
    texts    {digest: JSON text} for observations whose content is kept (hyperparameters), when first seen
    ledger   who drew from the generators, where asked for: see ledger.py
    notes    what could not be recorded
    status, detail, taken   of the end: "finished" by itself, "exception", "signal" or "stopped", with its message, and
                            the number of optimizer steps that were taken, recorded or not
    evaluated               of the end: {field: text} of the phase "evaluation", behind the last step
    under, first            of the end: {framework: steps that its loop was around}, and the line that the first step
                            came from; see record/under.py

`lab_parity.check` is the digest of the columns and of the JSON: a damaged batch is noticed. No end batch means
that the run was cut short; all steps up to the last whole one are readable. Nothing in a trace is executed.

Behind the Arrow stream, where Arrow readers stop, lies the index of a run that ended (JSON: its blocks, see blocks.py,
and its end), followed by its 16-byte digest, its length as 8 bytes, little-endian, and the 8 bytes "LABPARIX". It only
saves reading; what has none is read from front to back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lab_parity.blocks import Block
from lab_parity.digest import DIGEST_BYTES, digest_bytes
from lab_parity.keys import Key
from lab_parity.ledger import Drawn

__all__ = ["VERSION", "End", "Index", "Row", "Scope", "Step", "checksum", "schema_of"]

VERSION = "3"
VERSION_FIELD, ENVIRONMENT_FIELD, SCOPE_FIELD = (
    f"lab_parity.{name}".encode() for name in ("version", "environment", "scope")
)
HEAD_FIELD, CHECK_FIELD = b"lab_parity", b"lab_parity.check"
INDEX_MARK = b"LABPARIX"
STATISTICS = 4
"""Numbers of a summary before its sketch."""


class Row(NamedTuple):
    """One observation: its key, its 16-byte digest, the number itself where there is a single one, its summary."""

    key: Key
    digest: bytes
    value: float | None = None
    summary: npt.NDArray[np.float64] | None = None


@attrs.frozen(slots=True)
class Scope:
    """What a run was asked to record.

    One of every `every` steps of each optimizer; `buckets` of each sketch, or 0; with `ledger` also who draws from the
    generators.
    """

    every: int = 1
    buckets: int = 0
    ledger: bool = False

    @property
    def level(self) -> str:
        """ "digest" or "statistics"."""
        return "statistics" if self.buckets else "digest"


@attrs.frozen(slots=True)
class End:
    """How a run ended: `finished` by itself, `exception`, `signal`, `stopped` (as asked), or `cut short` (no end).

    `taken` is the number of optimizer steps, recorded or not; -1 where nobody knows. `under` says how many of them were
    taken inside a framework's loop (see record/under.py), and `first` from which line the first one came.
    `evaluated` are the number of calls without a graph behind the last step ("count"), and the digests in hex of their
    "inputs" and "outputs"; empty where there were none.
    """

    status: str
    detail: str = ""
    notes: tuple[str, ...] = ()
    taken: int = -1
    under: Mapping[str, int] = attrs.field(factory=dict)
    first: str = ""
    evaluated: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(slots=True, eq=False)
class Step:
    """One optimizer step as recorded: `digests` is (rows, 16) uint8, `values` (rows,) float64 with NaN for none.

    `texts` are those that the block has said so far, {digest in hex: JSON}.
    `summaries` is (rows, 4 + k) float64, a row of NaN for what is no tensor, or None below the level "statistics".
    `ledger` are the draws since the step before, empty where nobody asked.
    """

    step: int
    optimizer: str
    micro_steps: int
    layout: str
    keys: Sequence[Key]
    digests: npt.NDArray[np.uint8]
    values: npt.NDArray[np.float64]
    texts: Mapping[str, str]
    notes: Sequence[str]
    summaries: npt.NDArray[np.float64] | None = None
    ledger: Sequence[Drawn] = ()


@attrs.frozen(slots=True)
class Index:
    """What lies behind a run that ended: its blocks in order, and its end."""

    blocks: tuple[Block, ...]
    end: End


def checksum(text: bytes, digests: bytes, values: npt.NDArray[np.float64], summaries: bytes = b"") -> bytes:
    """The check of a batch: of its header, and of its columns; every NaN of `values` is numpy's own."""
    return digest_bytes(text + digests + values.tobytes() + summaries)


def schema_of(environment: Mapping[str, str], scope: Scope) -> pa.Schema:
    """The columns of a trace with its metadata."""
    columns: Any = {"digest": pa.binary(DIGEST_BYTES), "value": pa.float64()}
    if scope.buckets:
        columns["summary"] = pa.list_(pa.float64(), STATISTICS + scope.buckets)
    facts, asked = json.dumps(dict(environment), sort_keys=True).encode(), json.dumps(attrs.asdict(scope)).encode()
    metadata = {
        VERSION_FIELD: VERSION.encode(),
        ENVIRONMENT_FIELD: facts,
        SCOPE_FIELD: asked,
        CHECK_FIELD: digest_bytes(facts + asked).hex().encode(),
    }
    return pa.schema(columns, metadata=metadata)
