"""`lab-migrate parity`: convert, record both sides, compare."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.commands.options import EntryOption, JsonOption, LevelOption, PlantOption, ProjectArgument
from lab_migrate.output import console, print_json
from lab_migrate.proving import prove
from lab_parity.report.terminal import render


def parity(
    context: typer.Context,
    project: ProjectArgument,
    entry: EntryOption = "train.py",
    level: LevelOption = "L1",
    work: Annotated[
        Path | None,
        typer.Option("--work", help="Where copies and traces go (default: a temporary folder).", show_default=False),
    ] = None,
    plant: PlantOption = None,
    json: JsonOption = False,
) -> None:
    """Convert a project, train it as it was and as migrated, and give the verdict. This runs the project's code.

    Example: lab-migrate parity examples/digits_vae -- --bind 'Trainer.steps = 50'

    What follows -- goes to the script on both sides. Exit code 0 identical, 1 diverged, 3 inconclusive.
    """
    folder = work or Path(tempfile.mkdtemp(prefix="lab-migrate-parity-"))
    out = console()
    with out.status("converting") as status:
        proof = prove(project, folder, level=level, entry=entry, arguments=context.args, plant=plant, say=status.update)
    if json:
        print_json({**proof.verdict.to_dict(), "traces": [str(proof.legacy), str(proof.migrated)]})
    else:
        out.print(render(proof.verdict))
        out.print(f"Traces: {proof.legacy} and {proof.migrated}")
    raise typer.Exit(proof.verdict.exit_code)
