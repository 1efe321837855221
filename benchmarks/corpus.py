"""Convert every case of the corpus, run the original and the copy through the same driver, and write the table.

    python benchmarks/corpus.py --corpus CORPUS --home HOME [--python PYTHON] [--out docs/corpus.md] [CASE …]

CORPUS holds corpus.json and drivers/; HOME holds the checkouts (`src/<repository>`), which are never written to.
PYTHON is the interpreter that has what the cases import, and lab-migrate. The original is recorded on this machine,
since another CPU may round differently; `identical` means that the traces are the same files.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from corpus_cases import chosen, drive, entry_of, markdown, parser, written

from lab_migrate.convert import Conversion, convert_project
from lab_migrate.convert.engine import OUTLINING

#: What a conversion did, by the code that says so.
WAYS = {"LM301": "idiomatic", OUTLINING: "faithful", "LM310": "fabric"}


@attrs.frozen
class Row:
    """One line of the table."""

    case: str
    split: str
    tier: str
    edits: int
    findings: str
    verdict: str
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases; the exit code is 1 where one of them diverged or failed without a finding that says so."""
    given = asked(arguments)
    rows = []
    for case in chosen(given):
        rows.append(measure(case, given.corpus, given.home.resolve(), given.python, given.tier, given.target))
        print(*attrs.astuple(rows[-1]), flush=True)
    if given.out is not None:
        given.out.write_text(table(rows), encoding="utf-8")
    return int(any(row.verdict not in ("identical", "refused") for row in rows))


def asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    made = parser(__doc__ or "")
    made.add_argument("--tier", default="faithful")
    made.add_argument("--target", default="lightning")
    return made.parse_args(arguments)


def measure(
    case: Mapping[str, str], corpus: Path, home: Path, python: str, tier: str = "faithful", target: str = "lightning"
) -> Row:
    """Convert one case, and compare if anything was converted."""
    project = home / "src" / case["src"]
    started = time.monotonic()
    conversion = convert_project(project, entry=entry_of(case), tier=tier, target=target)
    seconds = time.monotonic() - started
    with tempfile.TemporaryDirectory(prefix="lab-migrate-corpus-") as work:
        sources = written(conversion, home, case["src"], Path(work))
        legacy = Path(work) / "legacy"
        shutil.copytree(sources, legacy, symlinks=True)
        shutil.rmtree(legacy / case["src"])
        shutil.copytree(project, legacy / case["src"], symlinks=True)
        verdict = "refused"
        if conversion.changes:
            traces = [_trace(case["name"], corpus, home, place, Path(work), python) for place in (legacy, sources)]
            verdict = _verdict(traces)
    found = {finding.code for finding in conversion.findings}
    done = " and ".join(way for code, way in WAYS.items() if code in found) or "-"
    codes = sorted({f"{finding.code} {finding.status}" for finding in conversion.findings})
    return Row(
        case["name"], case["split"], done, _edits(conversion), ", ".join(codes), verdict,
        round(seconds, 1),
    )  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """The page."""
    lines = [
        "# The corpus: public training code, converted without a hand edit", "",
        "Made by `python benchmarks/corpus.py`; see there. `edits` counts changed places, `seconds` is what the",
        "conversion took. `identical`: losses, learning rates, gradients, parameters and optimizer state are the same",
        "bits at every optimizer step, through the case's own unmodified driver.", "",
        *markdown([field.name for field in attrs.fields(Row)], map(attrs.astuple, rows)),
    ]  # fmt: skip
    same = sum(row.verdict == "identical" for row in rows)
    return "\n".join([*lines, "", f"{same} of {len(rows)} identical.", ""])


def _edits(conversion: Conversion) -> int:
    return sum(sum(line.startswith("@@") for line in change.diff().splitlines()) for change in conversion.changes)


def _trace(name: str, corpus: Path, home: Path, sources: Path, work: Path, python: str) -> bytes | str:
    """What the case's driver wrote, or how it failed."""
    trace = work / f"{sources.name}.jsonl"
    more = {"CORPUS_SRC": str(sources), "CORPUS_TRACE": str(trace)}
    failed = drive(name, corpus, home, python, work / "run", more, work / f"{sources.name}.log")
    if failed or not trace.exists():
        return failed or "it wrote no trace"
    return trace.read_bytes()


def _verdict(traces: Sequence[bytes | str]) -> str:
    legacy, migrated = traces
    if isinstance(legacy, str) or not legacy:
        return f"inconclusive: the original gave {legacy!r}"
    if isinstance(migrated, str):
        return f"failed: {migrated}"
    if legacy == migrated:
        return "identical"
    pairs = zip(legacy.splitlines(), migrated.splitlines(), strict=False)
    first = next((step for step, (one, other) in enumerate(pairs, 1) if one != other), "the end")
    return f"diverged at {first}"


if __name__ == "__main__":
    sys.exit(main())
