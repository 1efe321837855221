"""Convert every case of the corpus, run the original and the copy through the same driver, and write the table.

    python benchmarks/corpus.py --corpus CORPUS --home HOME [--python PYTHON] [--out docs/corpus.md] [CASE …]

CORPUS holds corpus.json and drivers/; HOME holds the checkouts (`src/<repository>`), which are never written to.
PYTHON is the interpreter that has what the cases import, and lab-migrate. The original is recorded on this machine,
since another CPU may round differently; `identical` means that the traces are the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from lab_migrate.convert import Conversion, convert_project
from lab_migrate.convert.engine import OUTLINING

#: Cases whose driver builds the trainer itself: the file that holds its loop.
LIBRARY_ENTRY = "(driver)"
TIMEOUT_S = 600
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tier", default="faithful")
    parser.add_argument("--target", default="lightning")
    parser.add_argument("cases", nargs="*")
    given = parser.parse_args(arguments)
    cases = json.loads((given.corpus / "corpus.json").read_text())["cases"]
    rows = []
    for case in cases:
        if not given.cases or case["name"] in given.cases:
            rows.append(measure(case, given.corpus, given.home.resolve(), given.python, given.tier, given.target))
            print(*attrs.astuple(rows[-1]), flush=True)
    if given.out is not None:
        given.out.write_text(table(rows), encoding="utf-8")
    return int(any(row.verdict not in ("identical", "refused") for row in rows))


def measure(
    case: Mapping[str, str], corpus: Path, home: Path, python: str, tier: str = "faithful", target: str = "lightning"
) -> Row:
    """Convert one case, and compare if anything was converted."""
    project = home / "src" / case["src"]
    entry = case["entry"].split(" ")[0]
    started = time.monotonic()
    entry = case["loop"].split(":")[0] if entry == LIBRARY_ENTRY else entry
    conversion = convert_project(project, entry=entry, tier=tier, target=target)
    seconds = time.monotonic() - started
    with tempfile.TemporaryDirectory(prefix="lab-migrate-corpus-") as work:
        sources = Path(work) / "src"
        sources.mkdir()
        for other in (home / "src").iterdir():
            if other.name != case["src"]:
                (sources / other.name).symlink_to(other)
        conversion.write(sources / case["src"])
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
        "| case | split | tier | edits | findings | verdict | seconds |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += ["| " + " | ".join(str(value) for value in attrs.astuple(row)) + " |" for row in rows]
    same = sum(row.verdict == "identical" for row in rows)
    return "\n".join([*lines, "", f"{same} of {len(rows)} identical.", ""])


def _edits(conversion: Conversion) -> int:
    return sum(sum(line.startswith("@@") for line in change.diff().splitlines()) for change in conversion.changes)


def _trace(name: str, corpus: Path, home: Path, sources: Path, work: Path, python: str) -> bytes | str:
    """What the case's driver wrote, or how it failed."""
    trace = work / f"{sources.name}.jsonl"
    environment = {
        **os.environ, "CORPUS_HOME": str(home), "CORPUS_SRC": str(sources), "CORPUS_WORK": str(work / "run"),
        "CORPUS_TRACE": str(trace), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    # A file, not a pipe: loader workers that outlive their driver would hold a pipe open for ever.
    said = work / f"{sources.name}.log"
    try:
        with said.open("wb") as log:
            done = subprocess.run(
                [python, f"{name}.py"], cwd=corpus / "drivers", env=environment, check=False, stdout=log, stderr=log,
                timeout=TIMEOUT_S,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no end after {TIMEOUT_S} s"
    if done.returncode or not trace.exists():
        return f"exit code {done.returncode}: {said.read_text(errors='replace').strip().splitlines()[-1:]}"
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
