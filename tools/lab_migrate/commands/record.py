"""`lab-migrate record`: any PyTorch program, unmodified, to a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.commands.options import CaptureOption, JsonOption, PlantOption, captured_steps
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_json
from lab_migrate.recording import record_command, steps_in
from lab_parity import Scope
from lab_parity.ranks import processes_beside, ranks_beside
from lab_parity.sketch import BUCKETS

LEVELS = {"digest": 0, "statistics": BUCKETS}


def record(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="The trace to write; never overwritten.")] = Path(
        "run.trace"
    ),
    plant: PlantOption = None,
    capture: CaptureOption = None,
    level: Annotated[
        str, typer.Option("--level", help="digest: fingerprints. statistics: also how far two runs are apart.")
    ] = "digest",
    every: Annotated[int, typer.Option("--every", min=1, help="Record one of every N steps of each optimizer.")] = 1,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Also record who draws random numbers; slows a small training down.")
    ] = False,
    operations: Annotated[
        int | None,
        typer.Option(
            "--operations", min=0, help="Write every operation of this step beside the trace.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run a training program, unmodified, and record every step as fingerprints.

    Example: lab-migrate record -o legacy.trace -- python train.py --steps 100

    Exit code 2 where the program fails; its trace is kept.
    """
    if not context.args:
        raise UsageError("record: expected a command after --, e.g. lab-migrate record -- python train.py")
    if level not in LEVELS:
        raise UsageError(f"--level: expected one of {', '.join(LEVELS)}, found {level!r}")
    steps = captured_steps(capture)
    if steps and every > 1:
        raise UsageError("--capture needs every step to be recorded; leave out --every")
    scope = Scope(every, LEVELS[level], ledger)
    done = record_command(
        context.args, out, project=Path.cwd(), plant=plant, steps=steps, scope=scope, operations=operations
    )
    recorded = steps_in(done.trace)
    if json:
        print_json({"trace": str(done.trace), "steps": recorded, "exit_code": done.exit_code})
    else:
        ranks = len(ranks_beside(done.trace))
        of = f" on each of {ranks} ranks" if ranks > 1 else ""
        console().print(f"Recorded {recorded} steps{of} to {done.trace} ({done.trace.stat().st_size / 1024:.0f} KiB).")
        for other in processes_beside(done.trace):
            console().print(f"Another process trained, too: {other} ({steps_in(other)} steps).")
        if done.exit_code:
            console().print(f"The program ended with exit code {done.exit_code}.")
        elif not recorded:
            console().print(
                "No optimizer step was seen: a home-grown optimizer needs a [[sites]] entry in lab-migrate.toml."
            )
    raise typer.Exit(2 if done.exit_code else 0 if recorded else 3)
