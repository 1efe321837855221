"""How long scan and convert take on real sources, and how much memory: the figures of docs/benchmarks.md.

    python benchmarks/scan_speed.py            # about 100,000 lines of the installed torch, lightning and sklearn
    python benchmarks/scan_speed.py FOLDER     # the sources of your own

Each runs in a process of its own, as a person would run it, with the start of the interpreter in the figure.
"""

from __future__ import annotations

import importlib.util
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from interleaved import write_section

SOURCES = (
    ("torch", ("optim", "nn", "utils/data", "distributed/fsdp")),
    ("lightning", ("",)),
    ("sklearn", ("linear_model",)),
)
LINES = 100_000
WAYS = {
    "scan": "from lab_migrate.scan import scan_project; scan_project(root)",
    "convert": "from lab_migrate.convert import convert_project; convert_project(root)",
}


def gather(into: Path) -> None:
    """Copy installed sources into one project until it has the lines."""
    lines = 0
    for package, parts in SOURCES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        home = Path(spec.origin).parent
        for file in sorted(path for part in parts for path in (home / part).rglob("*.py")):
            if lines >= LINES:
                return
            target = into / package / file.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            lines += file.read_bytes().count(b"\n")


def measure(code: str, root: Path) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of the processor, and the most memory (MiB) that one process so far had."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = perf_counter()
    prepare = "import sys; from pathlib import Path; root = Path(sys.argv[1])"
    subprocess.run([sys.executable, "-c", f"{prepare}; {code}", root], check=True)
    seconds = perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, busy, after.ru_maxrss / 1024


def main() -> None:
    """Measure each, print, and write the section."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch)
        if len(sys.argv) < 2:
            gather(root)
        files = list(root.rglob("*.py"))
        lines = sum(file.read_bytes().count(b"\n") for file in files)
        rows = [(name, *measure(code, root)) for name, code in WAYS.items()]
    rows.append(("together", *(sum(row[column] for row in rows) for column in (1, 2)), max(row[3] for row in rows)))
    body = [f"{len(files)} files, {lines} lines of real sources, 2 cores; the interpreter's start is in it.", ""]
    body += ["| | seconds | of the processor | memory, MiB |", "|---|---|---|---|"]
    body += [f"| {name} | {seconds:.1f} | {busy:.1f} | {memory:.0f} |" for name, seconds, busy, memory in rows]
    print("\n".join(body))
    if len(sys.argv) < 2:
        write_section("Scanning and converting", "\n".join(body))


if __name__ == "__main__":
    main()
