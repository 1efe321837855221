"""trainparity beside lab_parity, on the second set of planted bugs: what it finds, and what it calls it.

    pip install trainparity              # in an environment of its own, beside torch
    python benchmarks/other_tools.py

trainparity 0.1 has no comparison of two trainings; its own parts are put together as one would do by hand: a snapshot
of model, gradients, optimizer and generators after every optimizer step, and its exact comparison of each pair.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

sys.path.insert(0, str(Path(__file__).parent))

from planted_scripts.bugs import SCRIPTS, ScriptBug, bugs_of


def main() -> None:
    """Print a line per bug and the sums."""
    import trainparity  # type: ignore[import-not-found]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, help="so many bugs only")
    arguments = parser.parse_args()
    bugs = bugs_of("scripts")[: arguments.first]
    healthy: dict[str, list[Any]] = {}
    counts: Counter[str] = Counter()
    for bug in bugs:
        if bug.model not in healthy:
            healthy[bug.model] = snapshots(bug.model)
        step, path = first_difference(healthy[bug.model], snapshots(bug.model, bug))
        counts["found"] += step is not None
        counts["at the right step"] += step == bug.step
        print(f"{bug.causes[0]} in {bug.name[:80]}: step {step} (expected {bug.step}): {path}")
    print(f"trainparity {trainparity.__version__} on {len(bugs)} bugs: {dict(counts)}; it names no causes, by design")


def snapshots(model: str, bug: ScriptBug | None = None) -> list[Any]:
    """One run's snapshots, one an optimizer step."""
    from trainparity.snapshot import capture_snapshot  # type: ignore[import-not-found]

    found: list[Any] = []

    def after(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        tensors = [p for group in optimizer.param_groups for p in group["params"]]
        root = model_of(tensors[0])
        taken = capture_snapshot(root, step=len(found), optimizer=optimizer)
        if taken.snapshot is None:
            taken = capture_snapshot(root, step=len(found))
        found.append(taken.snapshot)

    handle = register_optimizer_step_post_hook(after)
    random.seed(0)
    np.random.seed(0)
    path = SCRIPTS / f"{model}.py"
    try:
        source = path.read_text(encoding="utf-8") if bug is None else bug.source()
        exec(compile(source, str(path), "exec"), {"__name__": "__main__"})
    finally:
        handle.remove()
    return found


def model_of(tensor: torch.Tensor) -> nn.Module:
    """The outermost live module that holds a parameter."""
    modules = [thing for thing in gc.get_objects() if isinstance(thing, nn.Module)]
    return max(
        (module for module in modules if any(tensor is parameter for parameter in module.parameters())),
        key=lambda module: len(list(module.modules())),
    )


def first_difference(a: list[Any], b: list[Any]) -> tuple[int | None, str]:
    """The first step that differs, and what trainparity says of it."""
    from trainparity.comparison import ExactComparison  # type: ignore[import-not-found]

    for step, (mine, other) in enumerate(zip(a, b, strict=False)):
        if mine is None or other is None:
            continue
        result = ExactComparison().compare(mine, other)
        if result.first_difference is not None:
            return step, f"{result.first_difference.path}: {result.first_difference.reason}"
    return (min(len(a), len(b)), "another number of snapshots") if len(a) != len(b) else (None, "nothing")


if __name__ == "__main__":
    main()
