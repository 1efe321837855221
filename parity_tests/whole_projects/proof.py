"""Trains a generated project at every level, and from checkpoints, and demands the same bits."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import distributed as dist

from lab_bridge.idiomatic import NotIdiomaticError
from lab_parity import compare
from semantics.harness import IDIOMATIC, LEVELS, Parity, Run, clean, different
from semantics.ranks import in_ranks
from whole_projects import parts
from whole_projects.strategy import LabProject

__all__ = ["Proof", "RefusedError", "prove"]


class RefusedError(Exception):
    """Lab itself cannot train the project, and no level did."""


@attrs.frozen
class Proof:
    """How many optimizer steps were compared, at least one, and whether automatic optimization had a part in it."""

    steps: int
    idiomatic: bool


def prove(project: LabProject, folder: Path, levels: Sequence[str] = (*LEVELS, IDIOMATIC)) -> Proof:
    """Train it at every level. Raises `AssertionError` for the first difference.

    Raises `RefusedError` where Lab raises, or does not update once; every level must then do the same. Only automatic
    optimization may refuse what Lab trains, and says why.
    """
    assert parts.Images
    if project.ranks > 1 and not dist.is_initialized():
        return prove_ranks(project, folder, levels)
    parity = Parity(folder)
    try:
        legacy = _train(parity, project, "legacy")
        steps, idiomatic = 0, False
        for level in levels:
            migrated = _train(parity, project, level)
            if isinstance(migrated, NotIdiomaticError):
                continue
            steps = _same(legacy, migrated, level)
            idiomatic = level == IDIOMATIC
            if project.cut is not None:
                _resumes(parity, project, legacy, migrated)
        if not steps:
            raise RefusedError(_said(legacy))
        return Proof(steps, idiomatic)
    finally:
        clean()
        gc.collect()


def _train(parity: Parity, project: LabProject, level: str, resume: Path | None = None) -> Run | Exception:
    cut = _cut(parity, f"{level}{'-resumed' if resume else ''}")
    cut.mkdir(exist_ok=True)
    bindings = [*project.bindings(_rank()), f"CutAt.folder = {str(cut)!r}"]
    # Blocks of the trainings before have used up how often one may be compiled anew.
    torch._dynamo.reset()
    try:
        return parity.train(level, bindings, resume=resume)
    except Exception as error:  # whatever Lab raises is what the level must raise
        if dist.is_initialized():  # the other ranks raise as well
            dist.barrier()
        return error


def _same(legacy: Run | Exception, migrated: Run | Exception, level: str) -> int:
    if isinstance(legacy, Exception):
        assert _said(legacy) == _said(migrated), f"{level}: {_said(migrated)} where Lab said {_said(legacy)}"
        return 0
    if isinstance(migrated, Exception):
        raise AssertionError(f"{level}: {_said(migrated)} where Lab trained") from migrated
    verdict = compare(legacy.trace, migrated.trace)
    differing = different(legacy.state, migrated.state)
    assert not differing, f"{level}: the state at the end differs in {differing[:8]}; {verdict.first}"
    assert legacy.logged == migrated.logged, f"{level}: other metrics were logged"
    if not verdict.coverage.steps:
        return 0
    assert verdict.rung == "identical", f"{level}: {verdict.rung}: {verdict.first} {verdict.reasons}"
    return verdict.coverage.steps


def _resumes(parity: Parity, project: LabProject, legacy: Run | Exception, migrated: Run | Exception) -> None:
    """Each goes on from the other's file, which is the same file, as the whole run did."""
    if isinstance(legacy, Exception) or isinstance(migrated, Exception):
        return
    files = {run.level: _cut(parity, run.level) / "cut.lab" for run in (legacy, migrated)}
    assert files["legacy"].exists() == files[migrated.level].exists(), f"{migrated.level}: only one wrote a file"
    if not files["legacy"].exists():
        return
    a, b = (torch.load(path, weights_only=True) for path in files.values())
    assert not different(a, b), f"{migrated.level} wrote another file: {different(a, b)[:8]}"
    for level, path in (("legacy", files[migrated.level]), (migrated.level, files["legacy"])):
        torch.rand(7)
        resumed = _train(parity, project, level, path)
        assert isinstance(resumed, Run), f"{level}, resumed: {_said(resumed)}"
        differing = different(legacy.state, resumed.state)
        assert not differing, f"{level}, resumed from {path}: the state at the end differs in {differing[:8]}"
        assert legacy.logged.endswith(resumed.logged), f"{level}, resumed from {path}: other metrics were logged"


def _cut(parity: Parity, level: str) -> Path:
    return parity.folder / f"cut-{level}-{_rank()}"


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def prove_ranks(project: LabProject, folder: Path, levels: Sequence[str]) -> Proof:
    """Each rank of a project trains, and proves its own, in a process of its own; raises what a rank raised."""

    def one(rank: int) -> dict[str, Any]:
        try:
            return attrs.asdict(prove(project, folder, levels))
        except RefusedError as error:
            return {"refused": str(error)}

    said = in_ranks(project.ranks, folder, one)
    if "refused" in said[0]:
        raise RefusedError(said[0]["refused"])
    return Proof(**said[0])


def _said(found: Run | Exception) -> str:
    if isinstance(found, Run):
        return "trained"
    return f"{type(found).__name__}: {(str(found).splitlines() or [''])[0]}"
