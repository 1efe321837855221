"""`lab-migrate report`: a comparison as one HTML file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.commands.compare import verdict_on
from lab_migrate.commands.options import JsonOption
from lab_migrate.explaining import explained_by_reruns, recorded_again
from lab_migrate.html_report import write_html
from lab_migrate.output import console, print_json


def report(
    legacy: Annotated[Path, typer.Argument(help="Trace of the legacy run.", show_default=False)],
    migrated: Annotated[Path, typer.Argument(help="Trace of the migrated run.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; replaced when there.")] = Path(
        "report.html"
    ),
    rerun: Annotated[
        bool,
        typer.Option("--rerun", help="Run both recorded commands again up to the first difference, for its cause."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write the comparison of two traces as one HTML file that needs no network.

    Example: lab-migrate report legacy.trace migrated.trace -o report.html

    Verdict and coverage, the first difference and its cause, both loss curves, and how far every tensor is apart at
    every step. For the sizes of differences record both sides with --level statistics. Most causes need --rerun, which
    runs the two programs again, in their folders, as diagnose does. Exit codes as for compare.
    """
    verdict = verdict_on(legacy, migrated)
    cause = None
    if rerun and verdict.first is not None:
        with tempfile.TemporaryDirectory(prefix="lab-migrate-") as work:
            again = recorded_again(legacy, migrated, Path(work), lambda text: typer.echo(text, err=True))
            cause = explained_by_reruns(legacy, migrated, verdict, again).cause
    write_html(out, legacy, migrated, verdict, cause)
    if json:
        print_json({**verdict.to_dict(), "report": str(out)})
    else:
        console().print(f"{verdict.rung.upper()}: {out} ({out.stat().st_size / 1e6:.1f} MB)")
    raise typer.Exit(verdict.exit_code)
