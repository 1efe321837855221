"""`lab-migrate demo`: the main job on the example projects."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab_migrate.commands.options import JsonOption, LevelOption
from lab_migrate.commands.scan import print_inventory
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_diff, print_findings, print_json
from lab_migrate.proving import Proof, prove
from lab_migrate.scan import scan_project
from lab_migrate.verdict_output import print_verdict

PROJECTS = ("digits_vae", "digits_classifier", "char_model")
PLANTED_STEP = 5


def demo(
    project: Annotated[
        list[str] | None,
        typer.Option("--project", help=f"One of {', '.join(PROJECTS)}; repeatable (default: all).", show_default=False),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimizer steps of each run.")] = 240,
    level: LevelOption = "L1",
    plant: Annotated[
        str | None,
        typer.Option(
            "--plant", help="Plant a fault in the migrated run: lr, batch, rng, decay, ulp.", show_default=False
        ),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option("--work", help="Where copies and traces go (default: a temporary folder).", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Scan, convert, train and compare the bundled Lab projects: as they were against as migrated.

    Example: lab-migrate demo --plant lr --project digits_vae
    """
    chosen = project or ([PROJECTS[0]] if plant else list(PROJECTS))
    folder = work or Path(tempfile.mkdtemp(prefix="lab-migrate-demo-"))
    fault = plant if plant is None or "@" in plant else f"{plant}@{min(PLANTED_STEP, steps - 1)}"
    out = Console(quiet=True) if json else console()
    proofs = [_one(out, name, folder / name, steps, level, fault) for name in chosen]
    if json:
        print_json([{"project": name, **proof.verdict.to_dict()} for name, proof in zip(chosen, proofs, strict=True)])
    else:
        _say_next(out, folder, chosen, fault)
    raise typer.Exit(max(proof.verdict.exit_code for proof in proofs))


def example(name: str) -> Path:
    """The folder of a bundled project: beside the sources in a checkout, inside the package in an installation."""
    here = Path(__file__).resolve()
    for place in (here.parents[3] / "examples" / name, here.parents[1] / "demo_projects" / name):
        if place.is_dir():
            return place
    raise UsageError(f"--project: expected one of {', '.join(PROJECTS)}, found {name!r}")


def _one(out: Console, name: str, work: Path, steps: int, level: str, fault: str | None) -> Proof:
    source = example(name)
    out.rule(f"{name}", align="left")
    if not out.quiet:
        print_inventory(scan_project(source))
    started = time.monotonic()
    with out.status("converting") as status:
        proof = prove(
            source,
            work,
            level=level,
            arguments=["--bind", f"Trainer.steps = {steps}"],
            plant=fault,
            say=lambda text: status.update(f"{name}: {text} ({steps} steps)"),
        )
    for change in proof.conversion.changes:
        if change.before is not None:
            print_diff(out, change.diff())
    print_findings(out, proof.conversion.findings)
    out.print()
    print_verdict(out, proof.verdict, proof.cause)
    out.print(f"Traces: {proof.legacy}\n        {proof.migrated}")
    out.print(f"{time.monotonic() - started:.0f} s\n")
    return proof


def _say_next(out: Console, folder: Path, chosen: Sequence[str], fault: str | None) -> None:
    first = folder / chosen[0]
    out.rule("Next", align="left")
    activate = Path(sys.prefix, "bin", "activate")
    if shutil.which("lab-migrate") is None and activate.is_file():
        # As behind `make demo`, whose environment nobody has entered.
        out.print(f"  first, once             source {activate}")
    out.print(f"  the migrated project    cd {first / 'migrated'} && python train.py")
    out.print(f"  the comparison again    lab-migrate compare {first / 'legacy.trace'} {first / 'migrated.trace'}")
    if fault is None:
        out.print("  a fault, and its trace  lab-migrate demo --plant lr")
    out.print("  your own project        lab-migrate scan PROJECT, which says what comes next")
