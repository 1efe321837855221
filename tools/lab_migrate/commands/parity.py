"""`lab-migrate parity`: convert, record both sides, compare."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.commands.options import EntryOption, JsonOption, LevelOption, PlantOption, ProjectArgument
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_json
from lab_migrate.proving import prove
from lab_parity.report.cause import render_cause, render_drill
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
    capture: Annotated[
        str,
        typer.Option(
            "--capture", help="on-divergence: run again up to the first difference to name its cause; or never."
        ),
    ] = "on-divergence",
    json: JsonOption = False,
) -> None:
    """Convert a project, train it as it was and as migrated, and give the verdict. This runs the project's code.

    Example: lab-migrate parity examples/digits_vae -- --bind 'Trainer.steps = 50'

    What follows -- goes to the script on both sides. Exit code 0 identical, 1 diverged, 3 inconclusive.
    """
    if capture not in ("on-divergence", "never"):
        raise UsageError(f"--capture: expected on-divergence or never, found {capture!r}")
    folder = work or Path(tempfile.mkdtemp(prefix="lab-migrate-parity-"))
    out = console()
    with out.status("converting") as status:
        proof = prove(
            project, folder, level=level, entry=entry, arguments=context.args, plant=plant,
            explain=capture == "on-divergence", say=status.update,
        )  # fmt: skip
    if json:
        cause = proof.cause.to_dict() if proof.cause is not None else None
        traces = [str(proof.legacy), str(proof.migrated)]
        drill = proof.drill.to_dict() if proof.drill is not None else None
        print_json({**proof.verdict.to_dict(), "cause": cause, "first_operation": drill, "traces": traces})
    else:
        out.print(render(proof.verdict))
        if proof.cause is not None:
            out.print(render_cause(proof.cause))
        if proof.drill is not None:
            out.print(render_drill(proof.drill))
        out.print(f"Traces: {proof.legacy} and {proof.migrated}")
    raise typer.Exit(proof.verdict.exit_code)
