"""Record every case of the corpus, unmodified, and ask whether a rerun is identical and an extra draw is named.

    python benchmarks/corpus_recording.py --corpus CORPUS --home HOME [--python PYTHON] [--out FILE] [CASE …]

CORPUS holds corpus.json and drivers/; HOME holds the checkouts (`src/<repository>`), which are never written to. PYTHON
is the interpreter that has what the cases import; what the recorder needs comes from this one. Each case runs three
times: as it is, once more, and with one extra `torch.rand(1)` after its first step (which its driver draws). The exit
code is 1 where a rerun was not identical, or an extra draw was not found and named.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from corpus_cases import chosen, drive, markdown, parser

from lab_parity import ParityError, Scope, UpdateSite, Verdict, compare, diagnose, read, recording_environment

#: Cases whose updates no torch optimizer makes, and what a user would tell the recorder.
SITES: dict[str, list[UpdateSite]] = {}


@attrs.frozen
class Row:
    """One line of the table."""

    case: str
    steps: int
    tensors: int
    kib_a_step: float
    rerun: str
    extra_draw: str
    named: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases, print and write the table."""
    given = parser(__doc__ or "").parse_args(arguments)
    rows = []
    for case in chosen(given):
        started = time.monotonic()
        rows.append(measure(case["name"], given.corpus, given.home.resolve(), given.python))
        print(*attrs.astuple(rows[-1]), f"({time.monotonic() - started:.0f} s)", sep=" | ", flush=True)
    if given.out is not None:
        given.out.write_text(table(rows), encoding="utf-8")
    return int(any(row.rerun != "identical" or not good(row) for row in rows))


def good(row: Row) -> bool:
    """Whether the extra draw was found and named."""
    return row.extra_draw.startswith("step") and "torch.rand " in row.named


def measure(name: str, corpus: Path, home: Path, python: str) -> Row:
    """Three runs of a case, two comparisons."""
    with tempfile.TemporaryDirectory(prefix="lab-migrate-corpus-") as folder:
        work = Path(folder)
        traces = [work / f"{run}.trace" for run in ("first", "again", "extra")]
        for trace in traces:
            failed = record(name, corpus, home, python, work, trace)
            if failed:
                return Row(name, 0, 0, 0.0, failed, "", "")
        try:
            again, extra = compare(traces[0], traces[1]), compare(traces[0], traces[2])
            cause = diagnose(traces[0], traces[2], verdict=extra)
        except ParityError as error:
            return Row(name, 0, 0, 0.0, str(error), "", "")
        steps = len(read(traces[0]))
        size = traces[0].stat().st_size / 1024 / max(steps, 1)
        named = cause.sentence if cause is not None else ""
        return Row(name, steps, again.coverage.tensors, round(size, 1), said(again), said(extra), named)


def record(name: str, corpus: Path, home: Path, python: str, work: Path, trace: Path) -> str:
    """Run a case; how it failed, or an empty string."""
    more = {"PYTHONPATH": ""}
    if trace.stem == "extra":
        more["CORPUS_PERTURB"] = "1"
    more |= recording_environment(trace, SITES.get(name, ()), scope=Scope(ledger=True), environment=more)
    failed = drive(name, corpus, home, python, work / "run", more, trace.with_suffix(".log"))
    return failed or ("" if trace.exists() else "it wrote no trace")


def said(verdict: Verdict) -> str:
    """The verdict in a cell: identical, where it parts, or why nobody can tell."""
    if verdict.first is not None:
        return f"step {verdict.first.step}, {verdict.first.phase}"
    return verdict.rung if not verdict.reasons else f"{verdict.rung}: {verdict.reasons[0]}"


def table(rows: Sequence[Row]) -> str:
    """The page."""
    head: Mapping[str, str] = {
        "case": "case", "steps": "steps", "tensors": "tensors", "kib_a_step": "KiB a step", "rerun": "run again",
        "extra_draw": "one more draw: first difference", "named": "and its cause",
    }  # fmt: skip
    lines = [
        "# Recording public training code", "",
        "Made by `python benchmarks/corpus_recording.py`; see there. Each case is recorded unmodified, with a ledger,",
        "twice as it is and once with one extra `torch.rand(1)` after its first optimizer step, which its driver",
        "(`_shim.py`) draws.", "",
        *markdown(list(head.values()), map(attrs.astuple, rows)),
    ]  # fmt: skip
    same, found = sum(row.rerun == "identical" for row in rows), sum(map(good, rows))
    return "\n".join([*lines, "", f"{same} of {len(rows)} identical when run again; {found} extra draws named.", ""])


if __name__ == "__main__":
    sys.exit(main())
