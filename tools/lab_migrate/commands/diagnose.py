"""`lab-migrate diagnose`: why two runs part."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.commands.compare import verdict_on
from lab_migrate.commands.options import JsonOption
from lab_migrate.errors import UsageError
from lab_migrate.explaining import all_causes, drilled, explained, explained_by_reruns, recorded_again
from lab_migrate.output import console, print_json
from lab_migrate.verdict_output import print_verdict
from lab_parity import Cause, Verdict
from lab_parity.diagnose.every import Found
from lab_parity.drill import Drill


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
    rerun: Annotated[
        bool,
        typer.Option("--rerun", help="Run both recorded commands again, in their folders, up to the first difference."),
    ] = False,
    transplant: Annotated[
        bool,
        typer.Option("--transplant", help="With --rerun: each step again from the legacy state, to name all causes."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Compare two traces and name the cause of their first difference, with what it explains of it.

    Example: lab-migrate diagnose legacy.trace migrated.trace

    Most causes need full tensors of the first differing step K and the one before, and the first operation that
    differs needs all of K's. --rerun makes both, by running the two programs again, which writes what they write
    (checkpoints, logs) once more; or record them yourself: lab-migrate record --capture step=J,K --operations K.

    Exit code 0 identical, 1 diverged, 3 inconclusive.
    """
    if rerun and captures is not None:
        raise UsageError("diagnose: expected one of --rerun (run both again) and --captures (of reruns that are there)")
    if transplant and not rerun:
        raise UsageError("diagnose --transplant: expected --rerun as well, since the migrated program has to run again")
    causes: list[Found] = []
    if rerun:
        verdict, cause, drill, causes = _rerun(legacy, migrated, transplant)
    else:
        verdict, cause = explained(legacy, migrated, captures)
        drill = drilled(captures or (legacy, migrated), verdict)
    if json:
        said = {name: found.to_dict() if found is not None else None for name, found in
                (("cause", cause), ("first_operation", drill))}  # fmt: skip
        every = [{"steps": each.steps, **each.cause.to_dict()} for each in causes]
        print_json({**verdict.to_dict(), **said, "causes": every})
    else:
        print_verdict(console(), verdict, cause, drill, causes)
        if cause is not None and cause.name != "unknown" and not transplant:
            console().print("Next: mend this and compare again, or name all causes at once with --rerun --transplant.")
    raise typer.Exit(verdict.exit_code)


def _rerun(legacy: Path, migrated: Path, transplant: bool) -> tuple[Verdict, Cause | None, Drill | None, list[Found]]:
    verdict = verdict_on(legacy, migrated)
    with tempfile.TemporaryDirectory(prefix="lab-migrate-") as work:
        say = lambda text: typer.echo(text, err=True)  # noqa: E731
        again = recorded_again(legacy, migrated, Path(work), say)
        cause, drill = explained_by_reruns(legacy, migrated, verdict, again)
        causes = all_causes(legacy, migrated, verdict, Path(work), say) if transplant else []
        return verdict, cause, drill, causes
