"""Convert every case of the corpus, interrupt the copy by a checkpoint, go on from it, and compare with the whole run.

    python benchmarks/corpus_resume.py --corpus CORPUS --home HOME [--python PYTHON] [--at 7 --at 20] [CASE …]

The arguments are those of corpus.py. The copy is driven once, and writes a Lightning checkpoint after a batch; then it
is driven anew with `ckpt_path`. `identical` means that each optimizer step that follows has the same losses, learning
rates, gradients, parameters and optimizer state, bit for bit; what was said of it on the way is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from corpus_cases import chosen, drive, entry_of, markdown, parser, written

from lab_migrate.convert import convert_project

PLUGIN = Path(__file__).parent / "resuming"


@attrs.frozen
class Row:
    """One line of the table: how many optimizer steps came before the checkpoint, and how many were compared."""

    case: str
    batch: int
    before: int
    compared: int
    verdict: str
    said: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases; the exit code is 1 where one went on differently and nothing was said."""
    made = parser(__doc__ or "")
    made.add_argument("--at", type=int, action="append", help="batches after which to interrupt")
    given = made.parse_args(arguments)
    rows = []
    for case in chosen(given):
        for row in measure(case, given, given.at or [7]):
            rows.append(row)
            print(*attrs.astuple(row), sep=" | ", flush=True)
    if given.out is not None:
        given.out.write_text(table(rows), encoding="utf-8")
    return int(any(row.verdict != "identical" and not row.said for row in rows))


def measure(case: Mapping[str, str], given: argparse.Namespace, at: Sequence[int]) -> list[Row]:
    """Convert one case and interrupt it after these batches."""
    home = given.home.resolve()
    conversion = convert_project(home / "src" / case["src"], entry=entry_of(case), tier="faithful", target="lightning")
    if not conversion.changes:
        return [Row(case["name"], 0, 0, 0, "refused", "by convert")]
    with tempfile.TemporaryDirectory(prefix="lab-migrate-resume-") as work:
        sources = written(conversion, home, case["src"], Path(work))
        return [_interrupted(case["name"], given, home, sources, Path(work), batch) for batch in at]


def _interrupted(name: str, given: argparse.Namespace, home: Path, sources: Path, work: Path, batch: int) -> Row:
    file, note = work / f"{batch}.ckpt", work / f"{batch}.note"
    common = {
        "CORPUS_SRC": str(sources), "RESUME_FILE": str(file), "RESUME_NOTE": str(note),
        "PYTHONPATH": os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep),
    }  # fmt: skip

    def run(part: str, **more: str) -> tuple[list[dict[str, Any]], str, str]:
        trace, log = work / f"{batch}.{part}.jsonl", work / f"{batch}.{part}.log"
        more = {**common, "CORPUS_TRACE": str(trace), **more}
        failed = drive(name, given.corpus, home, given.python, work / f"run{batch}{part}", more, log)
        lines = [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []
        return lines, failed, log.read_text(errors="replace")

    whole, failed, _ = run("whole", RESUME_AT=str(batch))
    notes = sorted(work.glob(f"{batch}.note*"))
    if failed or not notes:
        return Row(name, batch, 0, 0, f"inconclusive: {failed or 'the training has fewer batches'}", "no checkpoint")
    before = int(notes[0].read_text())
    rest = whole[before:]
    resumed, failed, log = run("resumed", CORPUS_STEPS=str(len(rest))) if rest else ([], "", "")
    said = sorted({line.partition("Warning: ")[2].strip() for line in log.splitlines() if "Warning: resume:" in line})
    return Row(name, batch, before, len(rest), _verdict(rest, resumed, failed), "; ".join(said))


def _verdict(rest: list[dict[str, Any]], resumed: list[dict[str, Any]], failed: str) -> str:
    if failed:
        return f"failed: {failed}"
    if not rest:
        return "inconclusive: no step follows"
    if len(resumed) != len(rest):
        return f"diverged: {len(resumed)} steps follow, expected {len(rest)}"
    for at, (one, other) in enumerate(zip(rest, resumed, strict=True)):
        # The recorder numbers optimizers as they come, and the first step's losses may have come before.
        parts = [key for key in one if key not in ("step", "opt", "losses") and one[key] != other.get(key)]
        losses = one["losses"] if at else one["losses"][-len(other["losses"]) :]
        parts += ["losses"] if losses != other["losses"] else []
        if parts:
            return f"diverged at step {at + 1} after it: {', '.join(parts)}"
    return "identical"


def table(rows: Sequence[Row]) -> str:
    """The page."""
    lines = [
        "# The corpus, interrupted", "", "Made by `python benchmarks/corpus_resume.py`; see there.", "",
        *markdown([field.name for field in attrs.fields(Row)], map(attrs.astuple, rows)),
    ]  # fmt: skip
    same = sum(row.verdict == "identical" for row in rows)
    return "\n".join([*lines, "", f"{same} of {len(rows)} identical.", ""])


if __name__ == "__main__":
    sys.exit(main())
