"""Trains one Lab project at every level of a migration, recorded, and compares bit by bit."""

from __future__ import annotations

import importlib.util
import itertools
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import gin
import numpy as np
import torch
from torch import distributed as dist

import lab_bridge
import legacy_lab
from lab_adapters.slim_loop import SlimEpochLoop
from lab_bridge.idiomatic import NotIdiomaticError
from lab_parity import UpdateSite, Verdict, compare, record
from lab_parity.digest import digest_tensor
from legacy_lab.data.epochs import Epochs
from legacy_lab.data.prefetch import Prefetch

# The project's own names have to be known before its settings are read.
from semantics import project
from semantics.table import IDIOMATIC

SITES = [UpdateSite("legacy_lab.optim.optimizer:Optimizer.update")]
LEVELS = ("L1", "L1 stock loop", "L2")
LEAST_STEPS = 8

Prepare = Callable[[Any], None]


@attrs.frozen
class Run:
    """What one training left behind."""

    level: str
    trace: Path
    folder: Path
    trainer: Any
    state: dict[str, Any]

    @property
    def logged(self) -> str:
        """The tracker's lines."""
        return (self.folder / "metrics.jsonl").read_text()


@attrs.define
class Parity:
    """Trains in `folder`; `found` collects what the table of semantics says of a test."""

    folder: Path
    found: dict[str, str] = attrs.field(factory=dict)
    _numbers: Any = attrs.field(factory=itertools.count)

    def identical(
        self,
        *bindings: str,
        levels: Sequence[str] = LEVELS,
        prepare: Prepare | None = None,
        resume: str | Path | None = None,
        steps: int = LEAST_STEPS,
    ) -> Run:
        """Demand that every level trains the bits of Lab: trace, what was logged, and the state at the end."""
        legacy = self.train("legacy", bindings, prepare, resume)
        for level in levels:
            if level == IDIOMATIC:
                self.found[level] = self.idiomatic(legacy, bindings, prepare, resume, steps)
                assert not self.found[level].startswith("refused"), self.found[level]
                continue
            migrated = self.train(level, bindings, prepare, resume)
            assert level not in LEVELS[:2] or loop_of(migrated.trainer) == level, f"{level}: another loop ran"
            self.found[level] = _same(legacy, migrated, steps)
        if tuple(levels) == LEVELS:
            self.found[IDIOMATIC] = self.idiomatic(legacy, bindings, prepare, resume, steps)
        return legacy

    def idiomatic(
        self,
        legacy: Run,
        bindings: Sequence[str],
        prepare: Prepare | None = None,
        resume: str | Path | None = None,
        steps: int = LEAST_STEPS,
    ) -> str:
        """The same under automatic optimization, or refused: what the table says of it."""
        try:
            migrated = self.train(IDIOMATIC, bindings, prepare, resume)
        except NotIdiomaticError as error:
            return f"refused: {', '.join(objection.rule for objection in error.objections)}"
        kept = sorted({str(part.keeps) for part in migrated.trainer.kept})
        return _same(legacy, migrated, steps) + (f", {' and '.join(kept)} Lab's" if kept else "")

    def diverges(
        self,
        right: Sequence[str],
        wrong: Sequence[str],
        phase: str | Sequence[str] | None = None,
        step: int | None = None,
        level: str = "L1",
        prepare: Prepare | None = None,
        spoil: Prepare | None = None,
    ) -> Verdict:
        """Demand that a migration with a deliberate mistake is found: other bindings, or a spoilt trainer."""
        legacy = self.train("legacy", right, prepare)
        migrated = self.train(level, wrong, spoil or prepare)
        verdict = compare(legacy.trace, migrated.trace)
        assert verdict.rung == "diverged", f"the wrong twin was not found: {_said(verdict)}"
        assert verdict.first is not None
        phases = [phase] if isinstance(phase, str) else list(phase or ())
        assert not phases or verdict.first.phase in phases, _said(verdict)
        assert step is None or verdict.first.step == step, _said(verdict)
        self.found["twin"] = f"{verdict.first.phase}@{verdict.first.step}"
        return verdict

    def train(
        self,
        level: str,
        bindings: Sequence[str],
        prepare: Prepare | None = None,
        resume: str | Path | None = None,
        **arguments: Any,
    ) -> Run:
        """One training, at one level, recorded."""
        folder = self.folder / f"{next(self._numbers)}-{level.replace(' ', '-')}"
        trace = folder.with_suffix(".trace")
        if dist.is_initialized():  # ranks share the name of a trace, not the folder of a run
            folder = folder.with_name(f"{folder.name}-rank{dist.get_rank()}")
        with record(trace, SITES):
            _meet()  # no rank writes before all have seen that none has
            configure(bindings, folder)
            trainer = build(level, **arguments)
            if prepare is not None:
                prepare(trainer)
            if level == "L2":
                lab_fit().fit(trainer, resume=resume)
            else:
                trainer.train(resume=resume)
        _meet()
        state = trainer.state()
        for loader in (trainer.loader, trainer.eval_loader):
            let_go(loader)
        return Run(level, trace, folder, trainer, state)


def configure(bindings: Sequence[str], folder: Path) -> None:
    """The project's settings, and seeds for the generators that Lab leaves alone."""
    assert project.BASE
    legacy_lab.load_config([], [*project.BASE, *bindings, f"Trainer.run_dir = {str(folder)!r}"])
    random.seed(11)
    np.random.seed(12)


def let_go(loader: Any) -> None:
    """End a loader's worker processes or thread now: the garbage collector would wait five seconds for each."""
    if isinstance(loader, Epochs):
        loader._iterator = None
    elif isinstance(loader, Prefetch):
        loader.load_state(loader.state())


def build(level: str, **arguments: Any) -> Any:
    """The trainer of a level: Lab's own builds the parts that level L2 wraps."""
    if level in ("legacy", "L2"):
        return legacy_lab.Trainer(**arguments)
    tier = "idiomatic" if level == IDIOMATIC else "faithful"
    return lab_bridge.Trainer(loop="stock" if "stock" in level else "slim", tier=tier, **arguments)


def loop_of(trainer: Any) -> str:
    """The level whose loop a drop-in trainer did run: the slim one falls back to Lightning's where it must."""
    loop = trainer.lightning.fit_loop.epoch_loop
    return "L1" if isinstance(loop, SlimEpochLoop) and not loop.obstacles else "L1 stock loop"


def lab_fit() -> ModuleType:
    """The file that `lab-migrate convert --level L2` writes into a project: what is tested is what users get."""
    import lab_migrate

    path = Path(lab_migrate.__file__).parent / "convert" / "templates" / "lab_fit.py"
    spec = importlib.util.spec_from_file_location("lab_fit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def different(a: Any, b: Any, path: str = "") -> list[str]:
    """Paths at which two nested states differ in a bit; the config, which differs in the run folder, is left out."""
    if path == "/config":
        return []
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return [f"{path}: {sorted(set(a) ^ set(b), key=str)}"]
        return [found for key in a for found in different(a[key], b[key], f"{path}/{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        if len(a) != len(b):
            return [path]
        return [found for at, (x, y) in enumerate(zip(a, b, strict=True)) for found in different(x, y, f"{path}/{at}")]
    if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        same = isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and digest_tensor(a) == digest_tensor(b)
        return [] if same else [path]
    return [] if a == b or (a != a and b != b) else [path]


def _meet() -> None:
    """Wait for the other ranks of a run, if there are any."""
    if dist.is_initialized():
        dist.barrier()


def _same(legacy: Run, migrated: Run, steps: int) -> str:
    """Demand the same trace, log and state at the end; the verdict."""
    level, verdict = migrated.level, compare(legacy.trace, migrated.trace)
    assert verdict.rung == "identical", f"{level}: {_said(verdict)}"
    assert verdict.coverage.steps >= steps, f"{level}: only {verdict.coverage.steps} steps were compared"
    assert legacy.logged == migrated.logged, f"{level}: other metrics were logged"
    differing = different(legacy.state, migrated.state)
    assert not differing, f"{level}: the state at the end differs in {differing}"
    return str(verdict.rung)


def _said(verdict: Verdict) -> str:
    return f"{verdict.rung}: {verdict.first and verdict.first.sentence()} {verdict.reasons}\n{verdict.details}"


def clean() -> None:
    """No settings of one test reach the next."""
    gin.clear_config()
