"""`lab-migrate compare`: the verdict on two traces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lab_migrate.commands.options import JsonOption
from lab_migrate.errors import UsageError
from lab_migrate.html_report import write_html
from lab_migrate.output import console, print_json
from lab_migrate.verdict_output import print_verdict
from lab_parity import TraceError, Verdict, read
from lab_parity import compare as compare_traces
from lab_parity.golden import compare_with_golden, is_golden


def compare(
    legacy: Annotated[Path | None, typer.Argument(help="Trace of the legacy run.", show_default=False)] = None,
    migrated: Annotated[Path | None, typer.Argument(help="Trace of the migrated run.", show_default=False)] = None,
    noise: Annotated[
        list[Path] | None,
        typer.Option("--noise", help="Reruns of the legacy run, same seed: R1 R2 R3 …", show_default=False),
    ] = None,
    seeds: Annotated[
        list[Path] | None,
        typer.Option("--equivalent", help="Seeds of both sides: A1 A2 A3 … -- B1 B2 B3 …", show_default=False),
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="The migrated side's seeds, as after --.", show_default=False)
    ] = None,
    margin: Annotated[
        float, typer.Option("--margin", min=0, help="Of --equivalent: share of the legacy improvement that may differ.")
    ] = 0.02,
    paired: Annotated[bool, typer.Option("--paired", help="Of --equivalent: the i-th runs share a seed.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write the report as one HTML file.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare two traces, step by step, bit by bit; or within noise; or many seeds.

    Example: lab-migrate compare legacy.trace migrated.trace

    Within noise: lab-migrate compare legacy.trace migrated.trace --noise rerun*.trace
    needs all recorded with --level statistics; make reruns with other thread counts, or with record --plant bits:1,
    --plant bits:2, … which move last bits of the gradients, as another kernel does (ulp:1, …: of the weights, once).

    Over seeds: lab-migrate compare --equivalent legacy*.trace -- migrated*.trace

    With a golden in place of the legacy trace (see lab-migrate trace export): lab-migrate compare run.golden run.trace

    Exit code 0 identical, within noise or equivalent, 1 diverged, 3 inconclusive.
    """
    if seeds or against:
        if legacy or noise or html:
            raise UsageError("compare --equivalent takes seeds only: A1 A2 A3 -- B1 B2 B3, no further trace or option")
        verdict = _on_seeds(seeds or [], against or [], margin, paired)
    elif legacy is None or migrated is None:
        raise UsageError("compare: expected two traces, e.g. lab-migrate compare legacy.trace migrated.trace")
    else:
        verdict = verdict_on(legacy, migrated) if not noise else _on_reruns(legacy, migrated, noise)
    if json:
        print_json(verdict.to_dict())
    else:
        print_verdict(console(), verdict)
    if html is not None and legacy is not None and migrated is not None:
        write_html(html, legacy, migrated, verdict)
    raise typer.Exit(verdict.exit_code)


def verdict_on(legacy: Path, migrated: Path) -> Verdict:
    """Compare; the legacy side may be a golden. Raises `UsageError` for a file that is neither, or is damaged."""
    try:
        if is_golden(legacy):
            return compare_with_golden(legacy, read(migrated))
        return compare_traces(legacy, migrated)
    except (TraceError, FileNotFoundError) as error:
        raise UsageError(str(error)) from error


def _on_reruns(legacy: Path, migrated: Path, reruns: Sequence[Path]) -> Verdict:
    from lab_parity.noise import within_noise

    try:
        return within_noise(read(legacy), read(migrated), [read(path) for path in reruns])
    except TraceError as error:
        raise UsageError(str(error)) from error


def _on_seeds(a: Sequence[Path], b: Sequence[Path], margin: float, paired: bool) -> Verdict:
    from lab_parity.equivalence import equivalent

    try:
        return equivalent([read(path) for path in a], [read(path) for path in b], margin=margin, paired=paired)
    except TraceError as error:
        raise UsageError(str(error)) from error
