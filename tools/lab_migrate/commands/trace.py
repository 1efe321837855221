"""`lab-migrate trace`: traces as goldens, text that a repository keeps, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.commands.options import JsonOption
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_json
from lab_parity import ParityError, read
from lab_parity.golden import LEVELS, export_golden, import_golden, level_of

app = typer.Typer(help="Goldens: traces as text that a repository keeps.", no_args_is_help=True)


@app.command("export")
def export(
    run: Annotated[Path, typer.Argument(help="The trace of a run that ended.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The golden to write; replaced when there.")] = Path(
        "run.golden"
    ),
    level: Annotated[
        str,
        typer.Option(
            "--level", help="phase: a digest for each phase of a step, 1 KB a step. tensor: every observation, 40 KB."
        ),
    ] = "phase",
    json: JsonOption = False,
) -> None:
    """Write a trace as a golden: text with a Merkle root, to be committed and compared with.

    Example: lab-migrate trace export run.trace -o goldens/run.golden
    and in CI: lab-migrate record -o new.trace -- python train.py && lab-migrate compare goldens/run.golden new.trace
    """
    if level not in LEVELS:
        raise UsageError(f"--level: expected one of {', '.join(LEVELS)}, found {level!r}")
    try:
        written = export_golden(read(run), out, level)
    except ParityError as error:
        raise UsageError(str(error)) from error
    size = sum(path.stat().st_size for path in written)
    if json:
        print_json({"golden": str(out), "level": level, "files": [str(path) for path in written], "bytes": size})
    else:
        console().print(f"Wrote {', '.join(map(str, written))} ({size / 1024:.0f} KiB, level {level}).")


@app.command("import")
def import_(
    golden: Annotated[Path, typer.Argument(help="A golden.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The trace to write; never overwritten.")] = Path(
        "run.trace"
    ),
    json: JsonOption = False,
) -> None:
    """Make a trace of a golden again, for commands that read traces (report, diagnose).

    Example: lab-migrate trace import goldens/run.golden -o legacy.trace

    Of a golden of the level "phase" it has one observation for each phase of a step.
    """
    try:
        trace = import_golden(golden, out)
    except (ParityError, FileExistsError) as error:
        raise UsageError(str(error)) from error
    if json:
        print_json({"trace": str(out), "steps": len(trace), "level": level_of(golden)})
    else:
        console().print(f"Wrote {out} ({len(trace)} steps).")
