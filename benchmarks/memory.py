"""How much memory a training takes under Lab's own trainer and under the drop-in.

    python benchmarks/memory.py            # a table
    python benchmarks/memory.py --write    # the same into docs/benchmarks.md
    python benchmarks/memory.py --imports  # what each import of the drop-in's takes

Every figure is a process of its own, which says how much memory it held after its imports and at its peak.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

#: Width, depth and images a batch.
SIZES = {
    "2 M parameters": (512, 8, 32),
    "2 M parameters, torch's AdamW": (512, 8, 32),
    "13 M parameters": (1280, 9, 32),
    "13 M parameters, 1,400 images a batch": (1280, 9, 1400),
    "66 M parameters": (3072, 7, 32),
}
TASKS = ("train", "train, checkpoint every 2 steps", "resume")
WAYS = ("raw legacy_lab loop", "drop-in", "drop-in, watched")
STEPS = 6
#: What the drop-in imports beside Lab, each without what those before it have imported, and who else imports it.
IMPORTS = {
    "torch._dynamo": "Lightning, in fabric/wrappers.py; torch, when one of its own optimizers is made",
    "torchmetrics": "Lightning, in fabric/utilities/imports.py; with transformers, where it is installed",
    "lightning": "lab_adapters",
    "lab_bridge.under_lightning": "the drop-in",
}


def arguments(size: str, folder: Path, legacy_checkpoints: bool) -> dict[str, Any]:
    """`Trainer` arguments of a perceptron with Lab's Adam and EMA."""
    from legacy_lab.blocks import Activation, Linear, Model, Reshape
    from legacy_lab.data.digits import Digits
    from legacy_lab.data.loader import Loader
    from legacy_lab.objectives.classifier import Classifier
    from legacy_lab.optim.adam import Adam
    from legacy_lab.optim.torch_optimizer import Torch
    from legacy_lab.train.ema import EMA

    width, depth, batch = SIZES[size]
    layers = [layer for _ in range(depth) for layer in (Linear(width), Activation("relu"))]
    return {
        "model": lambda: Model((1, 8, 8), [Reshape((-1,)), *layers, Linear(10)]),
        "objective": Classifier(),
        "optimizer": Torch if size.endswith("AdamW") else lambda model: Adam(model, decay=0.01),
        "loader": lambda: Loader(Digits("train"), batch),
        "ema": EMA(),
        "steps": STEPS,
        "log_every": 0,
        "checkpoint_every": 2 if legacy_checkpoints else 0,
        "run_dir": folder,
    }


def one(way: str, task: str, size: str, folder: Path) -> dict[str, float]:
    """Train in this process; MiB held after the imports and at the peak."""
    import warnings

    import sklearn.datasets  # noqa: F401  (both sides read the digits)
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    saves = task.startswith("train,")
    if way == WAYS[0]:
        from legacy_lab import Trainer

        imported = held()
        trainer = Trainer(**arguments(size, folder, saves))
    else:
        from lightning.pytorch.callbacks import ModelCheckpoint
        from lightning.pytorch.loggers import CSVLogger

        from lab_bridge import Trainer as DropIn

        imported = held()
        lightning: dict[str, Any] = {"enable_progress_bar": "watched" in way}
        if "watched" in way:
            lightning |= {"logger": CSVLogger(folder), "log_every_n_steps": 1}
        if saves:
            lightning["callbacks"] = [ModelCheckpoint(folder, every_n_train_steps=2, save_top_k=-1)]
        trainer = DropIn(**arguments(size, folder, False), lightning=lightning)
    trainer.train(resume="latest" if task == "resume" else None)
    return {"imported": imported, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def held() -> float:
    """MiB that this process holds now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def apart(way: str, task: str, size: str) -> dict[str, float]:
    """The same in a new process; a resume goes on from a checkpoint after 2 steps that another process wrote."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if task == "resume":
            _run(way, TASKS[1], size, folder)
            for file in folder.rglob("*"):
                if file.suffix in (".lab", ".ckpt") and "2" not in file.stem.removeprefix("epoch=0-step="):
                    file.unlink()
        return _run(way, task, size, folder)


def _run(way: str, task: str, size: str, folder: Path) -> dict[str, float]:
    call = [sys.executable, __file__, "--one", way, task, size, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_TRIM_THRESHOLD_": "131072"}
    result = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{way}, {task}, {size}: {result.stderr[-2000:]}")
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def measure(turns: int, sizes: Collection[str]) -> list[list[str]]:
    """Rows of the table."""
    rows = [["", "", *(f"{way}: MiB" if way == WAYS[0] else way for way in WAYS)]]
    imports: dict[str, float] = {}
    for size in sizes:
        for task in TASKS:
            taken: dict[str, float] = {}
            # Turn by turn, so that whatever else the machine does meets every way alike.
            found = [{way: apart(way, task, size) for way in WAYS} for _ in range(turns)]
            for way in WAYS:
                taken[way] = statistics.median(turn[way]["peak"] for turn in found)
                imports[way] = statistics.median(turn[way]["imported"] for turn in found)
            base = taken[WAYS[0]]
            more = [f"{taken[way] / base:.2f} ({taken[way] - base:+.0f} MiB)" for way in WAYS[1:]]
            rows.append([size, task, f"{base:.0f}", *more])
    rows.append(["", "of it, held after the imports", *(f"{imports[way]:.0f} MiB" for way in WAYS)])
    return rows


def held_by_imports() -> list[list[str]]:
    """What each of `IMPORTS` adds to a process that has torch, scikit-learn and Lab."""
    for name in ("torch", "sklearn.datasets", "legacy_lab.train.trainer"):
        importlib.import_module(name)
    rows = [["beside torch, scikit-learn and Lab", "MiB", "imported by"]]
    for name, by in IMPORTS.items():
        before = held()
        importlib.import_module(name)
        rows.append([name, f"{held() - before:.1f}", by])
    return rows


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5, help="processes a figure (default 5)")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="only these")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--imports", action="store_true", help="only what each import takes, in this process")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        *what, folder = given.one
        print("\n" + json.dumps(one(*what, Path(folder))))
        return
    imports = held_by_imports() if given.imports else []
    from interleaved import machine, markdown, write_section

    if given.imports:
        print(markdown(imports))
        return
    text = markdown(measure(given.turns, given.sizes))
    print(text)
    if given.write:
        write_section("Memory", f"{INTRODUCTION}\n\n{text}\n\n{machine(given.turns)}")


INTRODUCTION = """`python benchmarks/memory.py --write` wrote this. Peak resident memory of a process: a perceptron with
Lab's Adam and EMA, under Lab's trainer and, relative to it, under the drop-in (watched: progress bar, CSV logger).
Checkpoints are Lab's own on the one side, ModelCheckpoint's on the other. Median of the processes.

Measured with nothing installed but lab-migrate and what it needs. What the drop-in takes more is what Lightning
imports, whatever is trained (see below)."""


if __name__ == "__main__":
    main()
