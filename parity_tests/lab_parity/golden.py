"""Goldens: a trace as text that a repository can keep, and a run that is held against it.

One JSON document a line, UTF-8. The first line; a line of keys, before the first step that has them; one for each step,
with a digest a key, in hex; the last line:

    {"lab_parity.golden": 1, "level": "phase", "environment": {…}, "scope": {…}}
    {"layout": 0, "keys": [[phase, micro-step or -1, name, field], …]}
    {"step": 0, "optimizer": "opt0", "micro": 1, "layout": 0, "digests": ["…", …], "values": {"3": 2.31},
     "texts": {digest: JSON}, "notes": […]}
    {"end": "finished", "detail": "", "taken": 3, "notes": [], "root": "…"}

`values` are the numbers themselves, by the place of their key; `texts` stand where first seen. `root` is the root of a
Merkle tree: the xxh3-128 of all lines' digests, in their order, each the xxh3-128 of a line without its end, the last
one's as it is without the root. At the level "tensor" a golden is the whole trace, without sketches and ledger, and can
become one again; at the level "phase" it has one digest for all observations of a phase in a step (see condense.py),
about 1 KB a step.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from lab_parity.compare import compare
from lab_parity.condense import CONDENSED, condensed
from lab_parity.digest import digest_bytes
from lab_parity.errors import ParityError, TraceError
from lab_parity.keys import Key
from lab_parity.ranks import rank_path, ranks_beside
from lab_parity.trace import End, Row, Scope, Step, Trace, read
from lab_parity.trace_writer import TraceWriter
from lab_parity.verdict import Verdict

__all__ = ["LEVELS", "compare_with_golden", "export_golden", "import_golden", "is_golden", "level_of"]

VERSION = 1
LEVELS = ("phase", "tensor")
_FIRST = "lab_parity.golden"


def export_golden(trace: Trace, path: Path, level: str = "phase") -> list[Path]:
    """Write a run as a golden; of a distributed run one file a rank. A file that is there is replaced.

    Raises ParityError for an unknown level and for a run without a step, or one that did not end: a golden is to pass
    on something. TraceError where the trace is damaged.
    """
    if level not in LEVELS:
        raise ParityError(f"level {level!r}: expected one of {', '.join(LEVELS)}")
    written = []
    with tempfile.TemporaryDirectory(prefix="lab-parity-") as folder:
        for rank, one in ranks_beside(trace.path).items():
            whole = read(one)
            if not len(whole) or whole.end().status not in ("finished", "stopped"):
                raise ParityError(
                    f"{one}: expected a run of at least one step that ended by itself, found {len(whole)} steps and "
                    f"the end {whole.end().status!r}: a golden of it would pass on nothing"
                )
            small = whole if level == "tensor" else condensed(whole, Path(folder) / f"{rank}.trace")
            target = rank_path(path, rank)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("".join(f"{line}\n" for line in _lines(small, level)), encoding="utf-8")
            written.append(target)
    return written


def import_golden(golden: Path, path: Path) -> Trace:
    """Write the trace of which this is the golden to `path`, and open it.

    At the level "phase" it has one observation for each phase. Raises TraceError for a golden that is missing, damaged
    or of another version; FileExistsError where `path` exists.
    """
    for rank, one in ranks_beside(golden).items():
        document = _read(one)
        small = {CONDENSED: "yes"} if document.level == "phase" else {}
        writer = TraceWriter(rank_path(path, rank), {**document.environment, **small}, document.scope)
        for item in document.items:
            if isinstance(item, End):
                writer.close(item)
            else:
                writer.step(
                    item.rows, optimizer=item.optimizer, micro_steps=item.micro, step=item.step, texts=item.texts,
                    notes=item.notes,
                )  # fmt: skip
    return read(path)


def compare_with_golden(golden: Path, trace: Trace) -> Verdict:
    """The verdict on a run against its golden, at the golden's level. Raises TraceError where one is damaged."""
    level = level_of(golden)
    with tempfile.TemporaryDirectory(prefix="lab-parity-") as folder:
        legacy = import_golden(golden, Path(folder) / "golden.trace")
        if level == "tensor":
            return compare(legacy, trace)
        for rank, one in ranks_beside(trace.path).items():
            condensed(read(one), rank_path(Path(folder) / "run.trace", rank), {CONDENSED: "yes"})
        return compare(legacy, Path(folder) / "run.trace")


def is_golden(path: Path) -> bool:
    """Whether a file begins like a golden."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_FIRST) + 2).lstrip() == f'{{"{_FIRST}'.encode()
    except OSError:
        return False


def level_of(path: Path) -> str:
    """The level of a golden. Raises TraceError as `import_golden` does."""
    return _read(path).level


@attrs.frozen(slots=True)
class _Step:
    step: int
    optimizer: str
    micro: int
    rows: list[Row]
    texts: dict[bytes, str]
    notes: list[str]


@attrs.frozen(slots=True)
class _Document:
    level: str
    environment: Mapping[str, str]
    scope: Scope
    items: list[_Step | End]


def _lines(trace: Trace, level: str) -> Iterator[str]:
    tree = b""
    for document in _documents(trace, level):
        line = json.dumps(document, ensure_ascii=False)
        tree += digest_bytes(line.encode())
        if "end" in document:
            line = json.dumps({**document, "root": digest_bytes(tree).hex()}, ensure_ascii=False)
        yield line


def _documents(trace: Trace, level: str) -> Iterator[dict[str, Any]]:
    scope = {"every": trace.scope.every}
    yield {_FIRST: VERSION, "level": level, "environment": dict(trace.environment), "scope": scope}
    layouts: dict[tuple[Key, ...], int] = {}
    said: set[str] = set()
    for item in trace.steps():
        if isinstance(item, End):
            end = {"end": item.status, "detail": item.detail, "taken": item.taken, "notes": list(item.notes)}
            yield end | ({"evaluated": dict(item.evaluated)} if item.evaluated else {})
            return
        keys = tuple(item.keys)
        if keys not in layouts:
            layouts[keys] = len(layouts)
            yield {"layout": layouts[keys], "keys": [list(key) for key in keys]}
        yield _step(item, layouts[keys], said)


def _step(step: Step, layout: int, said: set[str]) -> dict[str, Any]:
    digests = [digest.tobytes().hex() for digest in step.digests]
    fresh = {digest: step.texts[digest] for digest in digests if digest in step.texts and digest not in said}
    said |= fresh.keys()
    document: dict[str, Any] = {
        "step": step.step, "optimizer": step.optimizer, "micro": step.micro_steps, "layout": layout,
        "digests": digests,
        "values": {str(place): _plain(value) for place, value in enumerate(step.values.tolist()) if value == value},
    }  # fmt: skip
    document |= {"texts": fresh} if fresh else {}
    return document | ({"notes": list(step.notes)} if step.notes else {})


def _plain(value: float) -> float | str:
    return value if np.isfinite(value) else repr(value)


def _read(path: Path) -> _Document:
    again = "Write it again with: lab-migrate trace export, or pytest --parity-record"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TraceError(f"{path}: no such golden. {again}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read as a golden ({error}). {again}") from None
    lines = text.splitlines()
    try:
        head = json.loads(lines[0]) if lines else {}
        version = head[_FIRST]
    except (ValueError, KeyError, TypeError) as error:
        raise TraceError(f"{path}: expected a golden of lab-migrate, found something else. {again}") from error
    if version != VERSION:
        raise TraceError(f"{path}: golden version {version}, this program reads version {VERSION}. {again}")
    try:
        return _document(head, lines)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise TraceError(f"{path}: is damaged, or was edited ({error}). {again}") from error


def _document(head: Mapping[str, Any], lines: list[str]) -> _Document:
    last = json.loads(lines[-1])
    if "end" not in last:
        raise ValueError("it has no end")
    root, bare = last.pop("root"), json.dumps(last, ensure_ascii=False)
    if root != digest_bytes(b"".join(digest_bytes(line.encode()) for line in (*lines[:-1], bare))).hex():
        raise ValueError("its root is not that of its lines")
    layouts: dict[int, list[Key]] = {}
    texts: dict[bytes, str] = {}
    items: list[_Step | End] = []
    for line in lines[1:-1]:
        found = json.loads(line)
        if "keys" in found:
            layouts[int(found["layout"])] = [Key(*key) for key in found["keys"]]
            continue
        keys, values = layouts[int(found["layout"])], found["values"]
        texts |= {bytes.fromhex(digest): str(text) for digest, text in found.get("texts", {}).items()}
        digests = [bytes.fromhex(digest) for digest in found["digests"]]
        numbers = [float(values[str(place)]) if str(place) in values else None for place in range(len(keys))]
        rows = [Row(*parts) for parts in zip(keys, digests, numbers, strict=True)]
        known = {digest: texts[digest] for digest in digests if digest in texts}
        items.append(
            _Step(int(found["step"]), str(found["optimizer"]), int(found["micro"]), rows, known,
                  list(found.get("notes", ())))
        )  # fmt: skip
    evaluated = {str(field): str(text) for field, text in last.get("evaluated", {}).items()}
    items.append(
        End(str(last["end"]), str(last["detail"]), tuple(last["notes"]), int(last["taken"]), evaluated=evaluated)
    )
    if head["level"] not in LEVELS:
        raise ValueError(f"level {head['level']!r}")
    return _Document(head["level"], dict(head["environment"]), Scope(every=int(head["scope"]["every"])), items)
