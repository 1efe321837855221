"""`lab-migrate parity`: convert, record both sides, compare."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import attrs
import typer
from rich.console import RenderableType
from rich.table import Table

from lab_migrate.commands.options import (
    EntryOption,
    JsonOption,
    LevelOption,
    MarginOption,
    NoiseOption,
    PlantOption,
    ProjectArgument,
    SeedsOption,
)
from lab_migrate.errors import UsageError
from lab_migrate.ladder import Rungs
from lab_migrate.output import console, print_json, telling
from lab_migrate.proving import prove
from lab_migrate.self_test import Mutation, exit_code, self_test
from lab_migrate.verdict_output import print_verdict


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
    transplant: Annotated[
        bool,
        typer.Option(
            "--transplant", help="Where the runs part: each step again from the legacy state, to name all causes."
        ),
    ] = False,
    noise: NoiseOption = None,
    seeds: SeedsOption = None,
    margin: MarginOption = 0.02,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Also record who draws random numbers: names a draw that is too many.")
    ] = False,
    mutate: Annotated[
        bool, typer.Option("--self-test", help="Plant known faults in the migrated run: which would be caught?")
    ] = False,
    budget: Annotated[
        float | None,
        typer.Option("--self-test-budget", min=0, help="Of --self-test: seconds after which no further run begins."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Convert a project, train it as it was and as migrated, and give the verdict. This runs the project's code.

    Example: lab-migrate parity examples/digits_vae -- --bind 'Trainer.steps = 50'

    What follows -- goes to the script on both sides; {seed} in it is the number of the seed, for --seeds. Without it,
    every seed that the program gives to a global generator is shifted.

    Exit code 0 identical, within noise or equivalent, 1 diverged, 3 inconclusive; with --self-test 1 where a planted
    fault was not caught, 3 where none was tried.
    """
    if capture not in ("on-divergence", "never"):
        raise UsageError(f"--capture: expected on-divergence or never, found {capture!r}")
    folder = work or Path(tempfile.mkdtemp(prefix="lab-migrate-parity-"))
    out = console()
    with telling(out, "converting") as say:
        proof = prove(
            project, folder, level=level, entry=entry, arguments=context.args, plant=plant,
            explain=capture == "on-divergence", transplant=transplant, ledger=ledger,
            rungs=Rungs(noise or 0, seeds or 0, margin), say=say,
        )  # fmt: skip
        mutations = self_test(proof, say, keep=say.keep, budget=budget) if mutate else ()
    if json:
        cause = proof.cause.to_dict() if proof.cause is not None else None
        traces = [str(proof.legacy), str(proof.migrated)]
        drill = proof.drill.to_dict() if proof.drill is not None else None
        print_json({**proof.verdict.to_dict(), "cause": cause, "first_operation": drill, "traces": traces,
                    "causes": [{"steps": each.steps, **each.cause.to_dict()} for each in proof.causes],
                    "self_test": [attrs.asdict(mutation) for mutation in mutations]})  # fmt: skip
    else:
        print_verdict(out, proof.verdict, proof.cause, proof.drill, proof.causes)
        if mutations:
            out.print(_table(mutations))
        out.print(f"Traces: {proof.legacy} and {proof.migrated}")
    # A fault that was missed is worse than one that was not tried.
    codes = proof.verdict.exit_code, exit_code(mutations)
    raise typer.Exit(1 if 1 in codes else max(codes))


def _table(mutations: Sequence[Mutation]) -> RenderableType:
    planted = [mutation for mutation in mutations if mutation.planted]
    caught, named = (sum(getattr(mutation, name) for mutation in planted) for name in ("caught", "named"))
    untried = sum(bool(mutation.untried) for mutation in mutations)
    title = f"Self-test: {caught} of {len(planted)} planted faults caught, {named} named"
    table = Table(title=f"{title}; {untried} not tried" if untried else title, title_justify="left")
    for column in ("fault", "planted at", "caught at", "named as"):
        table.add_column(column)
    for mutation in mutations:
        seen = mutation.where or mutation.sentence()
        named_as = f"{mutation.cause}{'' if mutation.named else ' (expected otherwise)'}" if mutation.cause else ""
        table.add_row(mutation.fault, f"step {mutation.step}", seen, named_as)
    return table
