"""The HTML report on a long run: time to make it, its size, and how long a browser takes to load it.

    python benchmarks/report_speed.py                        # 10,000 steps of 500 tensors; about three minutes
    python benchmarks/report_speed.py --picture report.png   # with a picture of what the browser shows

The second run parts from the first in half of the tensors from the middle on.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "parity_tests"))

import chromium_page
import lab_parity
from lab_parity.environment import describe_environment
from lab_parity.report.html import write_report
from lab_parity.trace import End, Key, Row
from lab_parity.trace_writer import TraceWriter

PHASES = ("grad", "optimizer", "param", "buffer")


def main() -> None:
    """Write two traces, report on them, load the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--tensors", type=int, default=500, help="observations a step")
    parser.add_argument("--picture", type=Path, help="write a picture of the page here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        traces = [folder / f"{side}.trace" for side in "ab"]
        for trace, parts in zip(traces, (arguments.steps, arguments.steps // 2), strict=True):
            write(trace, arguments.steps, arguments.tensors, parts)
        started = time.process_time()
        verdict = lab_parity.compare(*traces)
        compared = time.process_time() - started
        page = folder / "report.html"
        write_report(page, verdict, lab_parity.read(traces[0]), lab_parity.read(traces[1]))
        made = time.process_time() - started - compared
        assert verdict.first is not None
        sizes = f"traces {sum(trace.stat().st_size for trace in traces) / 2e6:.0f} MB each"
        print(f"{arguments.steps} steps of {arguments.tensors} observations, {sizes}; first difference at step "
              f"{verdict.first.step}, found in {compared:.2f} s of the processor")  # fmt: skip
        print(f"report: {page.stat().st_size / 1e6:.1f} MB, made in {made:.1f} s of the processor")
        load(page, arguments.picture)


def write(path: Path, steps: int, tensors: int, parts_at: int) -> None:
    """A trace; from `parts_at` on every second tensor is another one."""
    names = [f"body.{n // 8}.part.{n % 8}.weight" for n in range(tensors // len(PHASES))]
    keys = [Key(phase, -1, name, "") for phase in PHASES for name in names]
    loss = Key("loss", 0, "loss", "")
    draw = np.random.default_rng(0)
    writer = TraceWriter(path, describe_environment())
    for step in range(steps):
        digests = draw.integers(0, 256, (len(keys) + 1, 16), np.uint8)
        if step >= parts_at:
            digests[::2, 0] ^= 1
        value = 2.0 / (1 + step / 500) + 0.02 * float(draw.standard_normal())
        rows = [Row(loss, digests[0].tobytes(), value)]
        rows += [Row(key, digest.tobytes()) for key, digest in zip(keys, digests[1:], strict=True)]
        writer.step(rows, optimizer="opt0", micro_steps=1)
    writer.close(End("finished"))


def load(page: Path, picture: Path | None) -> None:
    """Print how long Chromium takes from the request to a page that answers."""
    if chromium_page.executable() is None:
        print("no Chromium here: loading was not measured")
        return
    times, worked = [], []
    for number in range(5):
        with chromium_page.page() as tab:  # a fresh browser has compiled none of the page's code before
            tab.call("Performance.enable", timeDomain="threadTicks")
            started = time.perf_counter()
            tab.open(page)
            times.append(time.perf_counter() - started)
            metrics = {metric["name"]: metric["value"] for metric in tab.call("Performance.getMetrics")["metrics"]}
            worked.append(metrics["TaskDuration"])
            if picture is not None and not number:
                tab.screenshot(picture)
    print(f"loaded in {statistics.median(times):.2f} s (median of {len(times)}; {min(times):.2f} to {max(times):.2f}), "
          f"of which {statistics.median(worked):.2f} s of the processor")  # fmt: skip


if __name__ == "__main__":
    main()
