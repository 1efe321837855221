"""How each tool of other_tools.py is driven: one run of a script, and the first difference from the unchanged one."""

from __future__ import annotations

import gc
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from planted_scripts.bugs import SCRIPTS, ScriptBug
from planted_scripts.run import record_script
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

import lab_parity

FORWARD = {"config", "rng", "batch", "forward", "loss"}
BACKWARD = {"grad", "reduce", "clip"}
_RERUNS = 2


class Found(NamedTuple):
    """A first difference: its optimizer step, the part of the step, what the tool says, and the cause if it has one."""

    step: int
    part: str
    said: str
    cause: str = ""


class Tool(Protocol):
    """A tool; it keeps what it has seen of each unchanged script."""

    def find(self, bug: ScriptBug) -> Found | None:
        """The first difference of a script with a bug in it from the unchanged one."""

    def rerun(self, model: str) -> Found | None:
        """That of the unchanged script from itself."""


class LabParity:
    """Records, compares, diagnoses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0

    def find(self, bug: ScriptBug) -> Found | None:
        """As for every tool."""
        return self._compared(bug.model, bug)

    def rerun(self, model: str) -> Found | None:
        """As for every tool."""
        return self._compared(model, None)

    def _compared(self, model: str, bug: ScriptBug | None) -> Found | None:
        healthy, planted = self._folder / f"{model}.trace", self._folder / f"{model}-{self._runs}.trace"
        self._runs += 1
        if not healthy.exists():
            record_script(model, healthy)
        record_script(model, planted, bug)
        verdict = lab_parity.compare(healthy, planted)
        cause = lab_parity.diagnose(healthy, planted, verdict=verdict)
        for file in planted.parent.glob(f"{planted.stem}.*"):
            file.unlink()
        if verdict.first is None:
            return None
        phase = verdict.first.phase
        part = "forward" if phase in FORWARD else "backward" if phase in BACKWARD else "update"
        return Found(verdict.first.step, part, verdict.first.sentence(), cause.name if cause is not None else "")


class Trainparity:
    """A snapshot after every optimizer step; its exact comparison of each pair."""

    def __init__(self, folder: Path) -> None:
        self._healthy: dict[str, list[Any]] = {}

    def find(self, bug: ScriptBug) -> Found | None:
        """As for every tool."""
        return self._difference(self._of(bug.model), self._snapshots(bug.model, bug))

    def rerun(self, model: str) -> Found | None:
        """As for every tool."""
        return self._difference(self._of(model), self._snapshots(model))

    def _of(self, model: str) -> list[Any]:
        if model not in self._healthy:
            self._healthy[model] = self._snapshots(model)
        return self._healthy[model]

    def _snapshots(self, model: str, bug: ScriptBug | None = None) -> list[Any]:
        from trainparity.snapshot import capture_snapshot  # type: ignore[import-not-found]

        found: list[Any] = []

        def after(optimizer: torch.optim.Optimizer) -> None:
            root = model_of(optimizer.param_groups[0]["params"][0])
            taken = capture_snapshot(root, step=len(found), optimizer=optimizer)
            if taken.snapshot is None:  # an optimizer that it does not know
                taken = capture_snapshot(root, step=len(found))
            found.append(taken.snapshot)

        run(model, bug, after)
        return found

    @staticmethod
    def _difference(a: list[Any], b: list[Any]) -> Found | None:
        from trainparity.comparison import ExactComparison  # type: ignore[import-not-found]

        for step, (mine, other) in enumerate(zip(a, b, strict=False)):
            if mine is None or other is None:
                continue
            first = ExactComparison().compare(mine, other).first_difference
            if first is not None:
                where = first.path.lower()
                part = "forward" if "rng" in where else "backward" if "grad" in where else "update"
                return Found(step, part, f"{first.path}: {first.reason}")
        return None if len(a) == len(b) else Found(min(len(a), len(b)), "update", "another number of snapshots")


class Msprobe:
    """Every call of torch (level L1) with its statistics, dumped step by step.

    Its checksums would say more, and are worked out in a thread of their own, behind operations in place: most differ
    from run to run. What differs between reruns all the same (memory that was never written) is learned by operation
    and argument, and left out.
    """

    def __init__(self, folder: Path) -> None:
        from msprobe.pytorch import PrecisionDebugger  # type: ignore[import-not-found]

        self._dumps = folder / "dumps"
        config = folder / "config.json"
        statistics = {"scope": [], "list": [], "data_mode": ["all"], "summary_mode": "statistics"}
        asked = {"task": "statistics", "dump_path": str(self._dumps), "rank": [], "step": [], "level": "L1"}
        config.write_text(json.dumps(asked | {"statistics": statistics}))
        self._debugger = PrecisionDebugger(config_path=str(config))
        self._steps = 0
        self._healthy: dict[str, list[list[tuple[str, str]]]] = {}
        self._noise: set[str] = set()

    def find(self, bug: ScriptBug) -> Found | None:
        """As for every tool."""
        self._learn(bug.model)
        return self._difference(bug.model, self._dump(bug.model, bug))

    def rerun(self, model: str) -> Found | None:
        """As for every tool; without what differs between the first two runs."""
        self._learn(model)
        return self._difference(model, self._dump(model))

    def _learn(self, model: str) -> None:
        if model in self._healthy:
            return
        healthy = self._healthy[model] = self._dump(model)
        for _ in range(_RERUNS):
            for mine, other in zip(healthy, self._dump(model), strict=True):
                self._noise |= {_kind(left) for (left, a), (_, b) in zip(mine, other, strict=True) if a != b}

    def _dump(self, model: str, bug: ScriptBug | None = None) -> list[list[tuple[str, str]]]:
        """Of every step (label, fingerprint or number) in the order of the dump, the last one that of no step."""
        first = self._steps

        def after(optimizer: torch.optim.Optimizer) -> None:
            self._debugger.stop()
            self._debugger.step()
            self._steps += 1
            self._debugger.start()

        self._debugger.start()
        try:
            run(model, bug, after)
        finally:
            self._debugger.stop()
            self._debugger.step()
            self._steps += 1
        found = [self._entries(self._dumps / f"step{number}") for number in range(first, self._steps)]
        shutil.rmtree(self._dumps)
        return found

    @staticmethod
    def _entries(folder: Path) -> list[tuple[str, str]]:
        (file,) = folder.glob("*/dump.json")
        data = json.loads(file.read_text())["data"]
        return [leaf for name, entry in data.items() for leaf in _leaves(name, entry)]

    def _difference(self, model: str, other: list[list[tuple[str, str]]]) -> Found | None:
        for step, (mine, theirs) in enumerate(zip(self._healthy[model], other, strict=False)):
            for place, (left, right) in enumerate(zip(mine, theirs, strict=False)):
                if left != right and (left[0] != right[0] or _kind(left[0]) not in self._noise):
                    return Found(step, _part(mine, place), f"{left[0]} is {left[1]} against {right[0]} {right[1]}")
            if len(mine) != len(theirs):
                return Found(step, "update", "another number of calls")
        return None if len(self._healthy[model]) == len(other) else Found(
            min(len(self._healthy[model]), len(other)) - 1, "update", "another number of steps"
        )  # fmt: skip


def _leaves(name: str, entry: Any) -> list[tuple[str, str]]:
    """Shape and statistics of each tensor, a text for each number."""
    if isinstance(entry, dict) and "Norm" in entry:
        return [(name, " ".join(str(entry[what]) for what in ("dtype", "shape", "Max", "Min", "Mean", "Norm")))]
    if isinstance(entry, dict) and "type" in entry:
        return [(name, str(entry.get("value")))]
    parts = entry.items() if isinstance(entry, dict) else enumerate(entry) if isinstance(entry, list) else ()
    return [leaf for key, part in parts for leaf in _leaves(f"{name} {key}", part)]


def _kind(label: str) -> str:
    """An entry's operation and argument, without its number."""
    name, _, argument = label.partition(" ")
    return " ".join([*(part for part in name.split(".") if not part.isdecimal()), argument])


def _part(entries: list[tuple[str, str]], place: int) -> str:
    """Before the first entry of a backward pass, among them, or behind the last."""
    backward = [n for n, (label, _) in enumerate(entries) if ".backward" in label]
    if not backward or place < backward[0]:
        return "forward"
    return "backward" if place <= backward[-1] else "update"


TOOLS: dict[str, Callable[[Path], Tool]] = {"lab_parity": LabParity, "trainparity": Trainparity, "msprobe": Msprobe}


def run(model: str, bug: ScriptBug | None, after: Callable[[torch.optim.Optimizer], None]) -> None:
    """Run a script; `after` is called after every optimizer step."""
    handle = register_optimizer_step_post_hook(lambda optimizer, args, kwargs: after(optimizer))
    random.seed(0)
    np.random.seed(0)
    path = SCRIPTS / f"{model}.py"
    try:
        source = path.read_text(encoding="utf-8") if bug is None else bug.source()
        exec(compile(source, str(path), "exec"), {"__name__": "__main__"})
    finally:
        handle.remove()


def model_of(tensor: torch.Tensor) -> nn.Module:
    """The outermost live module that holds a parameter."""
    modules = [thing for thing in gc.get_objects() if isinstance(thing, nn.Module)]
    return max(
        (module for module in modules if any(tensor is parameter for parameter in module.parameters())),
        key=lambda module: len(list(module.modules())),
    )
