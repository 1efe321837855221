"""`lab-migrate diagnose`: why two runs part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.commands.options import JsonOption
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_json
from lab_parity import Cause, ParityError, Verdict, compare, read
from lab_parity import diagnose as name_the_cause
from lab_parity.drill import Drill, drill_down
from lab_parity.record.operations import operations_path
from lab_parity.report.cause import render_cause, render_drill
from lab_parity.report.terminal import render


def diagnose(
    legacy: Annotated[Path, typer.Argument(help="Trace of the legacy run.", show_default=False)],
    migrated: Annotated[Path, typer.Argument(help="Trace of the migrated run.", show_default=False)],
    captures: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--captures",
            help="Traces of reruns that have the captured steps beside them (default: beside the traces themselves).",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare two traces and name the cause of their first difference, with what it explains of it.

    Example: lab-migrate diagnose legacy.trace migrated.trace

    Most causes need full tensors of the first differing step K and the one before, and the first operation that
    differs needs all of K's, made by: lab-migrate record --capture step=J,K --operations K.
    `lab-migrate parity` makes them by itself. Exit code 0 identical, 1 diverged, 3 inconclusive.
    """
    verdict, cause = explained(legacy, migrated, captures)
    drill = drilled(captures or (legacy, migrated), verdict)
    if json:
        said = {name: found.to_dict() if found is not None else None for name, found in
                (("cause", cause), ("first_operation", drill))}  # fmt: skip
        print_json({**verdict.to_dict(), **said})
    else:
        console().print(render(verdict))
        if cause is not None:
            console().print(render_cause(cause))
        if drill is not None:
            console().print(render_drill(drill))
    raise typer.Exit(verdict.exit_code)


def drilled(traces: tuple[Path, Path], verdict: Verdict) -> Drill | None:
    """The first operation that differs, where the operations of that step lie beside both traces.

    Raises `UsageError` for files that are damaged.
    """
    if verdict.first is None or not all(operations_path(path, verdict.first.step).exists() for path in traces):
        return None
    try:
        return drill_down((read(traces[0]), read(traces[1])), verdict.first)
    except ParityError as error:
        raise UsageError(str(error)) from error


def explained(
    legacy: Path, migrated: Path, captures: tuple[Path, Path] | None = None, verdict: Verdict | None = None
) -> tuple[Verdict, Cause | None]:
    """The verdict and the cause. Raises `UsageError` for files that are no traces or not of one run."""
    try:
        verdict = verdict or compare(legacy, migrated)
        return verdict, name_the_cause(legacy, migrated, captures, verdict)
    except (ParityError, FileNotFoundError) as error:
        raise UsageError(str(error)) from error
