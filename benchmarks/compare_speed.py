"""How long two long, equal traces take to compare, and how much memory.

    python benchmarks/compare_speed.py                 # 1,000,000 steps; writing them takes some minutes
    python benchmarks/compare_speed.py --steps 100000 --write

The trace is written by the recorder's own writer with made-up digests (a model of four parameters under Adam), and
compared with a copy of itself, once as it is and once with one digest changed in the middle.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
from pathlib import Path
from time import process_time

import lab_parity
from lab_parity.trace import End, Key, Row
from lab_parity.trace_writer import TraceWriter

NAMES = ("body.weight", "body.bias", "head.weight", "head.bias")


def written(path: Path, steps: int, other_at: int = -1) -> Path:
    """A trace; at step `other_at` one parameter differs."""
    writer = TraceWriter(path, {})
    keys = [
        Key("rng", 0, "torch", "state"), Key("batch", 0, "call 0 argument 0", ""), Key("loss", 0, "loss", ""),
        *(Key("grad", -1, name, "") for name in NAMES),
        *(Key("optimizer", -1, name, field) for name in NAMES for field in ("hyper", "exp_avg", "exp_avg_sq")),
        *(Key("param", -1, name, "") for name in NAMES),
    ]  # fmt: skip
    config = [Row(Key("config", -1, name, ""), bytes(16)) for name in NAMES]
    for step in range(steps):
        made = step.to_bytes(16, "little")
        rows = [Row(key, made, 1.0 if key.phase == "loss" else None) for key in keys]
        if step == other_at:
            rows[-1] = Row(keys[-1], bytes(15) + b"!")
        writer.step(config + rows if step == 0 else rows, optimizer="opt0", micro_steps=1)
    writer.close(End("finished"))
    return path


def memory() -> float:
    """MiB at the peak so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Write, compare, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    given = parser.parse_args()
    rows = [["", "verdict", "seconds", "MiB more at the peak", "trace"]]
    with tempfile.TemporaryDirectory() as folder:
        whole = written(Path(folder) / "a.trace", given.steps)
        copied = Path(shutil.copy(whole, Path(folder) / "b.trace"))
        size = f"{os.path.getsize(whole) / 2**20:.0f} MiB"
        before, started = memory(), process_time()
        verdict = lab_parity.compare(whole, copied)
        assert verdict.coverage.steps == given.steps
        cells = [verdict.rung, f"{process_time() - started:.2f}", f"{memory() - before:.0f}", size]
        rows.append([f"{given.steps:,} equal steps", *cells])
        copied.unlink()
        other = written(Path(folder) / "c.trace", given.steps, given.steps // 2)
        before, started = memory(), process_time()
        verdict = lab_parity.compare(whole, other)
        assert verdict.first is not None
        assert verdict.first.step == given.steps // 2
        cells = [verdict.rung, f"{process_time() - started:.2f}", f"{memory() - before:.0f}", size]
        rows.append([f"a difference at step {given.steps // 2:,}", *cells])
    from interleaved import markdown, write_section

    print(markdown(rows))
    if given.write:
        write_section("Comparing long traces", f"{INTRODUCTION}\n\n{markdown(rows)}")


INTRODUCTION = """`python benchmarks/compare_speed.py --write` wrote this. A trace with 23 observations a step is
compared with its copy: 1,024 steps at a time by the digests in the index (a Merkle tree), which leaves one block of
each kind to be read. Processor time."""


if __name__ == "__main__":
    main()
