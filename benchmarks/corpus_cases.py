"""What the benchmarks over the corpus share: their arguments, one run of a case's driver, and the table of a page."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab_migrate.convert import Conversion

TIMEOUT_S = 900
#: Cases whose driver builds the trainer itself: the file that holds its loop.
LIBRARY_ENTRY = "(driver)"


def parser(description: str) -> argparse.ArgumentParser:
    """Takes where the corpus, its checkouts and its interpreter are, where to write, and names of cases."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--corpus", type=Path, required=True, help="holds corpus.json and drivers/")
    made.add_argument("--home", type=Path, required=True, help="holds the checkouts, src/<repository>")
    made.add_argument("--python", default=sys.executable, help="has what the cases import")
    made.add_argument("--out", type=Path, help="the page")
    made.add_argument("cases", nargs="*", help="names; all without")
    return made


def chosen(given: argparse.Namespace) -> Iterator[Mapping[str, Any]]:
    """The cases that were asked for, as corpus.json describes them. Raises SystemExit for a name that it lacks."""
    cases = json.loads((given.corpus / "corpus.json").read_text())["cases"]
    unknown = set(given.cases) - {case["name"] for case in cases}
    if unknown:
        raise SystemExit(f"{given.corpus / 'corpus.json'} has no case {', '.join(sorted(unknown))}")
    return (case for case in cases if not given.cases or case["name"] in given.cases)


def entry_of(case: Mapping[str, str]) -> str:
    """The file to convert."""
    entry = case["entry"].split(" ")[0]
    return case["loop"].split(":")[0] if entry == LIBRARY_ENTRY else entry


def written(conversion: Conversion, home: Path, name: str, work: Path) -> Path:
    """The folder of checkouts that a driver takes the converted one from, and the others as they are."""
    sources = work / "src"
    sources.mkdir()
    for other in (home / "src").iterdir():
        if other.name != name:
            (sources / other.name).symlink_to(other)
    conversion.write(sources / name)
    return sources


def drive(name: str, corpus: Path, home: Path, python: str, work: Path, more: Mapping[str, str], log: Path) -> str:
    """Run a case's driver; how it failed, or an empty string. `more` joins the environment, `log` takes its output."""
    environment = {
        **os.environ, "CORPUS_HOME": str(home), "CORPUS_WORK": str(work), "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", **more,
    }  # fmt: skip
    # A file, not a pipe: loader workers that outlive their driver would hold a pipe open for ever.
    with log.open("wb") as said:
        try:
            done = subprocess.run(
                [python, f"{name}.py"], cwd=corpus / "drivers", env=environment, check=False, stdout=said, stderr=said,
                timeout=TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"no end after {TIMEOUT_S} s"
    if done.returncode:
        return f"exit code {done.returncode}: {log.read_text(errors='replace').strip().splitlines()[-1:]}"
    return ""


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(value).replace("|", "·") for value in row) + " |" for row in rows]
