"""`lab-migrate record`: any PyTorch program, unmodified, to a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.commands.options import CaptureOption, JsonOption, PlantOption, captured_steps
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_json
from lab_migrate.recording import record_command, steps_in


def record(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="The trace to write; never overwritten.")] = Path(
        "run.trace"
    ),
    plant: PlantOption = None,
    capture: CaptureOption = None,
    json: JsonOption = False,
) -> None:
    """Run a training program, unmodified, and record every step as fingerprints.

    Example: lab-migrate record -o legacy.trace -- python train.py --steps 100

    Exit code 2 where the program fails; its trace is kept.
    """
    if not context.args:
        raise UsageError("record: expected a command after --, e.g. lab-migrate record -- python train.py")
    done = record_command(context.args, out, project=Path.cwd(), plant=plant, steps=captured_steps(capture))
    steps = steps_in(done.trace)
    if json:
        print_json({"trace": str(done.trace), "steps": steps, "exit_code": done.exit_code})
    else:
        console().print(f"Recorded {steps} steps to {done.trace} ({done.trace.stat().st_size / 1024:.0f} KiB).")
        if done.exit_code:
            console().print(f"The program ended with exit code {done.exit_code}.")
        elif not steps:
            console().print(
                "No optimizer step was seen: a home-grown optimizer needs a [[sites]] entry in lab-migrate.toml."
            )
    raise typer.Exit(2 if done.exit_code else 0 if steps else 3)
