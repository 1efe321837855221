"""Thousands of generated projects, in seeded slices that can be interrupted and gone on with.

    python parity_tests/whole_projects/nightly.py --slices 40 --log nightly.jsonl

Each slice is one line of the log: its seed, how many projects were proven and refused, how many optimizer steps were
compared, and the smallest project that differed, if one did. Slices that the log has are not run again; a slice that
found something is, with --again. Exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky

from whole_projects.proof import RefusedError, prove
from whole_projects.strategy import SLOW, LabProject, lab_projects


def run_slice(number: int, size: int, slow: str | None = None, rarity: int = 10) -> dict[str, Any]:
    """`size` projects drawn from a seed, and what came of them; with `slow`, all of them have that.

    Else about one in `rarity` has one of `strategy.SLOW`.
    """
    found: dict[str, Any] = {"slice": number, "proven": 0, "refused": 0, "steps": 0, "resumed": 0, "idiomatic": 0}
    found["projects"] = []
    smallest: list[tuple[LabProject, str]] = []

    @seed(number)
    @settings(
        max_examples=size,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(project=lab_projects(slow, rarity))
    def every_project(project: LabProject) -> None:
        with TemporaryDirectory() as folder:
            try:
                proof = prove(project, Path(folder))
            except RefusedError:
                found["refused"] += 1
                return
            except AssertionError as error:
                smallest.append((project, str(error)))
                raise
        if not smallest:
            found["proven"] += 1
            found["steps"] += proof.steps
            found["idiomatic"] += proof.idiomatic
            found["resumed"] += project.cut is not None
            for kind, has in kinds_of(project).items():
                found[kind] = found.get(kind, 0) + has
            found["projects"].append(hashlib.sha256(repr(project).encode()).hexdigest()[:12])

    try:
        every_project()
    except (AssertionError, Flaky) as error:
        project, said = smallest[-1]
        again = "" if isinstance(error, AssertionError) else "not when it was run again: "
        found["differs"] = {"said": again + said, **attrs.asdict(project)}
    return found


def kinds_of(project: LabProject) -> dict[str, bool]:
    """Whether a project has what few have."""
    text = "\n".join(project.lines)
    return {
        "workers": "workers" in text,
        "compiled": "Trainer.compiled" in text,
        "ranks": project.ranks > 1,
        "drawing": "@Drawing()" in text,
    }


def main() -> int:
    """Run what the log lacks, and sum the log up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=40, help="how many slices")
    parser.add_argument("--first", type=int, default=0, help="the first slice's seed")
    parser.add_argument("--size", type=int, default=50, help="projects a slice")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="slices in this run")
    parser.add_argument("--log", type=Path, default=Path("whole_projects.jsonl"))
    parser.add_argument("--slow", choices=SLOW, help="give every project this")
    parser.add_argument("--rarity", type=int, default=10, help="one project in so many has worker processes, …")
    parser.add_argument("--again", action="store_true", help="also the slices that found something")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    importlib.import_module("lab_bridge.trainer")
    gc.collect()
    gc.freeze()
    seeds = range(arguments.first, arguments.first + arguments.slices)
    for number in _missing(arguments.log, seeds, arguments.again)[: arguments.most]:
        line = json.dumps(run_slice(number, arguments.size, arguments.slow, arguments.rarity))
        with arguments.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
            log.flush()
            os.fsync(log.fileno())
    return _sum_up(arguments.log)


def _last(log: Path) -> dict[int, dict[str, Any]]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return {one["slice"]: one for one in map(json.loads, lines)}


def _missing(log: Path, seeds: Sequence[int], again: bool) -> list[int]:
    done = {number for number, one in _last(log).items() if not (again and "differs" in one)}
    return [number for number in seeds if number not in done]


def _sum_up(log: Path) -> int:
    last = _last(log)
    distinct = {project for one in last.values() for project in one["projects"]}
    counts = ("proven", "refused", "steps", "resumed", "idiomatic", "workers", "compiled", "ranks", "drawing")
    total = {key: sum(one.get(key, 0) for one in last.values()) for key in counts}
    differing = [one for one in last.values() if "differs" in one]
    print(
        f"{len(last)} slices: {total['proven']} projects proven identical ({len(distinct)} distinct), "
        f"{total['resumed']} of them also cut and resumed, {total['idiomatic']} also under automatic optimization; "
        f"{total['workers']} with worker processes, {total['compiled']} with compiled blocks, {total['ranks']} in two "
        f"ranks, {total['drawing']} with an evaluation's data that draw; "
        f"{total['steps']} optimizer steps compared at each level; {total['refused']} refused by Lab and every level "
        f"alike; {len(differing)} slices found a difference"
    )
    for one in differing:
        print(f"slice {one['slice']}: {one['differs']['said']}", *one["differs"]["lines"], sep="\n    ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
