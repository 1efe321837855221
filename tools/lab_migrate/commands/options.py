"""Options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.errors import UsageError

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
ProjectArgument = Annotated[Path, typer.Argument(help="The project's folder.", show_default=False)]
LevelOption = Annotated[
    str, typer.Option("--level", help="L1: one import changes. L2: explicit adapters. L3: plain Lightning.")
]
EntryOption = Annotated[str, typer.Option("--entry", help="The script that trains, relative to the project.")]
PlantOption = Annotated[
    str | None,
    typer.Option(
        "--plant",
        help="Plant a fault, NAME or NAME@STEP, or several: lr@2,rng@4.",
        show_default=False,
    ),
]
CaptureOption = Annotated[
    str | None,
    typer.Option(
        "--capture",
        help="Write full tensors of these steps beside the trace: step=K, step=K-L or step=K,L (from 0).",
        show_default=False,
    ),
]


NoiseOption = Annotated[
    int | None,
    typer.Option(
        "--noise",
        min=3,
        help="Where bits differ: N reruns of the legacy side with the same seed; is it within their noise?",
        show_default=False,
    ),
]
SeedsOption = Annotated[
    int | None,
    typer.Option(
        "--seeds",
        min=3,
        help="Where bits differ, and more than noise: N other seeds a side; are they equivalent? Take at least 8.",
        show_default=False,
    ),
]
MarginOption = Annotated[
    float, typer.Option("--margin", min=0, help="Of --seeds: share of the legacy improvement that may differ.")
]


def captured_steps(text: str | None, option: str = "--capture") -> list[int]:
    """The steps that an option asks for. Raises `UsageError`."""
    if text is None:
        return []
    match = re.fullmatch(r"step=(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)", text)
    if text == "on-divergence":
        raise UsageError(
            f"{option} on-divergence: where two runs part is known when both are recorded; record them without it, and "
            "let `lab-migrate diagnose LEGACY MIGRATED --rerun` run both again up to there"
        )
    if match is None:
        raise UsageError(f"{option}: expected step=K, step=K-L or step=K,L with steps from 0, found {text!r}")
    steps: set[int] = set()
    for part in match[1].split(","):
        first, _, last = part.partition("-")
        steps |= set(range(int(first), int(last or first) + 1))
    return sorted(steps)
