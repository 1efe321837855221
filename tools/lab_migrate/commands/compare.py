"""`lab-migrate compare`: the verdict on two traces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.commands.options import JsonOption
from lab_migrate.errors import UsageError
from lab_migrate.html_report import write_html
from lab_migrate.output import console, print_json
from lab_parity import TraceError, Verdict
from lab_parity import compare as compare_traces
from lab_parity.report.terminal import render


def compare(
    legacy: Annotated[Path, typer.Argument(help="Trace of the legacy run.", show_default=False)],
    migrated: Annotated[Path, typer.Argument(help="Trace of the migrated run.", show_default=False)],
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write the report as one HTML file.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare two traces, step by step, bit by bit.

    Example: lab-migrate compare legacy.trace migrated.trace

    Exit code 0 identical, 1 diverged, 3 inconclusive.
    """
    verdict = verdict_on(legacy, migrated)
    if json:
        print_json(verdict.to_dict())
    else:
        console().print(render(verdict))
    if html is not None:
        write_html(html, legacy, migrated, verdict)
    raise typer.Exit(verdict.exit_code)


def verdict_on(legacy: Path, migrated: Path) -> Verdict:
    """Compare. Raises `UsageError` for a file that is no trace."""
    try:
        return compare_traces(legacy, migrated)
    except (TraceError, FileNotFoundError) as error:
        raise UsageError(str(error)) from error
