"""A trace made small: one fingerprint for each phase of a step. It says where two runs part, not in which tensor.

What each observation is called counts as well: canonical names, in alphabetical order, as in the blocks of a trace (see
blocks.py). Losses, generators, settings and what is called around the update (clipping, schedules) stay as they are;
buffers beside the trained module are left out, as a comparison may excuse them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from lab_parity.blocks import layout_digest
from lab_parity.consequence import CALLED
from lab_parity.digest import digest_bytes
from lab_parity.keys import AT_FORWARD, Key
from lab_parity.side import Side
from lab_parity.trace import End, Row, Scope, Step, Trace, read
from lab_parity.trace_writer import TraceWriter

__all__ = ["CONDENSED", "condensed"]

CONDENSED = "condensed"
"""The fact in the environment of a trace that is made of a golden of the level "phase"."""

_AS_THEY_ARE = CALLED | {"loss", "rng"}


def condensed(trace: Trace, path: Path, facts: Mapping[str, str] | None = None) -> Trace:
    """Write the small trace to `path`, with `facts` in its environment, and open it. Raises TraceError as `read`."""
    writer = TraceWriter(path, {**trace.environment, **(facts or {})}, Scope(every=trace.scope.every))
    side = Side()
    for item in trace.steps():
        if isinstance(item, End):
            writer.close(item if item.status != "cut short" else attrs.evolve(item, taken=-1))
            break
        rows = list(_rows(item, side.keys(item), side.outside))
        texts = {bytes.fromhex(digest): text for digest, text in item.texts.items()}
        writer.step(
            rows, optimizer=item.optimizer, micro_steps=item.micro_steps, step=item.step, texts=texts, notes=item.notes
        )
    return read(path)


def _rows(step: Step, keys: Sequence[Key], outside: set[str]) -> list[Row]:
    rows: list[Row] = []
    parts: dict[tuple[str, int, str], list[int]] = {}
    settings: dict[bytes, list[str]] = {}
    for place, key in enumerate(keys):
        digest = step.digests[place].tobytes()
        if key.field == "hyper":
            settings.setdefault(digest, []).append(key.name)
        elif key.phase in _AS_THEY_ARE:
            rows.append(Row(key, digest, _number(step, place)))
        elif key.phase != "buffer" or key.name not in outside:
            parts.setdefault((key.phase, key.micro, key.field if key.field == AT_FORWARD else ""), []).append(place)
    for (phase, micro, field), places in parts.items():
        places.sort(key=lambda place: keys[place])
        head = layout_digest([keys[place] for place in places]).encode()
        whole = digest_bytes(head + step.digests[places].tobytes())
        rows.append(Row(Key(phase, micro, f"{len(places)} observations", field), whole))
    for digest, names in settings.items():
        group = digest_bytes("\n".join(sorted(names)).encode()).hex()[:8]
        rows.append(Row(Key("optimizer", -1, f"{len(names)} parameters {group}", "hyper"), digest))
    return _in_causal_order(rows, [(key.phase, key.field == "hyper", key.micro) for key in keys])


def _in_causal_order(rows: list[Row], order: Sequence[tuple[str, bool, int]]) -> list[Row]:
    """The rows by where the first of their kind stands in the step."""
    place: dict[tuple[str, bool, int], int] = {}
    for number, kind in enumerate(order):
        place.setdefault(kind, number)
    return sorted(rows, key=lambda row: place[row.key.phase, row.key.field == "hyper", row.key.micro])


def _number(step: Step, place: int) -> float | None:
    value = float(step.values[place])
    return None if value != value else value
