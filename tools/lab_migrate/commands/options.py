"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
ProjectArgument = Annotated[Path, typer.Argument(help="The project's folder.", show_default=False)]
LevelOption = Annotated[str, typer.Option("--level", help="L1: one import changes. L2: explicit adapters.")]
EntryOption = Annotated[str, typer.Option("--entry", help="The script that trains, relative to the project.")]
PlantOption = Annotated[
    str | None,
    typer.Option("--plant", help="Plant a fault, NAME or NAME@STEP: lr, batch, rng, decay, ulp.", show_default=False),
]
