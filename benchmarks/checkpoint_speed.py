#!/usr/bin/env python3
"""Conversion of a large checkpoint against a plain copy of the file: seconds, ratio, peak memory.

    python benchmarks/checkpoint_speed.py --gib 4

The copy and every conversion run three times, in turn; the fastest of each counts. Both are timed up to the moment
when everything has reached the disk (`cp` alone would leave the data in the page cache). Goal: at most twice the copy,
in at most 1 GiB of memory. Starting Python and torch is told apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from lab_bridge.checkpoint.atomic import new_file
from lab_bridge.checkpoint.stored import HeldStorage, StoredTensor, row_major
from lab_bridge.checkpoint.torch_writer import write_torch_file

ROUNDS = 3
CONVERSIONS = {
    "torch zip -> Lightning": ("legacy.pt", "migrated.ckpt"),
    "torch zip -> safetensors": ("legacy.pt", "migrated.safetensors"),
    "safetensors -> Lightning": ("legacy.safetensors", "again.ckpt"),
}
CHILD = """
import sys, time
from lab_bridge.checkpoint import convert
started = time.perf_counter()
convert(sys.argv[1], sys.argv[2])
print(time.perf_counter() - started)
"""


def write_checkpoint(path: Path, gib: float) -> None:
    """A model with Adam state whose storages are different ones to every reader, from one buffer of 32 MiB."""
    shape = (2048, 4096)
    values = torch.randn(shape).flatten().view(torch.uint8)

    def tensor() -> StoredTensor:
        return StoredTensor(HeldStorage(values), torch.float32, shape, row_major(shape))

    layers = max(1, int(gib * 2**30 / 3 / values.numel()))
    weights = {f"layers.{i}.weight": tensor() for i in range(layers)}
    state = {i: {"step": 1.0, "exp_avg": tensor(), "exp_avg_sq": tensor()} for i in range(layers)}
    groups = [{"lr": 0.1, "params": list(range(layers))}]
    with new_file(path) as file:
        write_torch_file(file, {"model": weights, "optimizer": {"state": state, "param_groups": groups}, "step": 1})


def timed(command: list[str]) -> tuple[float, float, float]:
    """Seconds that a command says, or took; seconds of processor time; peak resident memory in GiB."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: failed")
    seconds = float(said) if said else time.perf_counter() - started
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=4.0)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; needs three times the size")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as made:
        folder = Path(made)
        write_checkpoint(folder / "legacy.pt", arguments.gib)
        subprocess.run([sys.executable, "-c", CHILD, folder / "legacy.pt", folder / "legacy.safetensors"], check=True)
        size = (folder / "legacy.pt").stat().st_size / 2**30
        print(f"{size:.2f} GiB, torch {torch.__version__}, {os.cpu_count()} cores; seconds are the best of {ROUNDS}")
        best: dict[str, tuple[float, float, float]] = {}
        copy = ["sh", "-c", f"cp {folder}/legacy.pt {folder}/copy.pt && sync {folder}/copy.pt"]
        for _ in range(ROUNDS):
            for name, (source, target) in {"cp, then sync": ("", "copy.pt"), **CONVERSIONS}.items():
                command = [sys.executable, "-c", CHILD, str(folder / source), str(folder / target)] if source else copy
                best[name] = min(best.get(name, (float("inf"), 0.0, 0.0)), timed(command))
                (folder / target).unlink()
        base = best["cp, then sync"][0]
        for name, (seconds, busy, memory) in best.items():
            rate = f"{seconds / base:5.2f} x   {size / seconds:5.2f} GiB/s   {busy:5.2f} s busy"
            print(f"{name:<26} {seconds:6.2f} s   {rate}   {memory:5.2f} GiB")
        started, busy, _ = timed([sys.executable, "-c", "import lab_bridge.checkpoint"])
        print(f"starting Python and torch: {started:.2f} s more, {busy:.2f} s busy (of those above)")
        print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
