"""`lab-migrate record`: any PyTorch program, unmodified, to a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lab_migrate.commands.options import CaptureOption, JsonOption, PlantOption, captured_steps
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_json
from lab_migrate.recording import Recording, record_command, steps_in
from lab_migrate.repeats import KEPT, beside, with_seed
from lab_migrate.repeats import reruns as listed_reruns
from lab_parity import Scope, TraceError, read
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
        str | None,
        typer.Option(
            "--level",
            help="digest: fingerprints (the default). statistics: also how far two runs are apart.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Record one of every N steps of each optimizer.")] = 1,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Also record who draws random numbers; slows a small training down.")
    ] = False,
    reruns: Annotated[
        int | None,
        typer.Option(
            "--reruns", min=3, help="Then run it N times more with the same seed, to measure noise.", show_default=False
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=3, help="Run it with N seeds; {seed} in the command.", show_default=False),
    ] = None,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="Of --seeds: the number of the first.")] = 0,
    states: Annotated[
        str | None,
        typer.Option(
            "--states", help="Keep the state after these steps: step=K-L (--reruns: 0-49).", show_default=False
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Put the states in place that this trace's run has kept.", show_default=False),
    ] = None,
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

    Within noise, where bits cannot be equal: lab-migrate record -o legacy.trace --reruns 8 -- python train.py
    writes legacy.trace, legacy.rerun1.trace, …: once as it is, once with another number of threads, the others with
    other last bits. Then lab-migrate record -o migrated.trace --from legacy.trace -- python migrated.py, and
    lab-migrate compare legacy.trace migrated.trace --noise legacy.rerun*.trace

    Over seeds: lab-migrate record -o legacy.trace --seeds 8 -- python train.py --seed {seed}
    writes legacy.seed0.trace, …; without {seed} in the command, every seed that the program sets is shifted. The same
    for the migrated one with --first-seed 8, and lab-migrate compare --equivalent legacy.seed*.trace -- migrated.seed*

    Exit code 2 where the program fails; its trace is kept.
    """
    if not context.args:
        raise UsageError("record: expected a command after --, e.g. lab-migrate record -- python train.py")
    if (seeds is not None) + (reruns is not None) + (source is not None) > 1:
        raise UsageError(
            "record: expected one of --reruns (of the legacy run), --from (for the migrated one), --seeds (other ones)"
        )
    steps, kept = captured_steps(capture, "--capture"), captured_steps(states, "--states")
    if reruns is not None and not kept:
        kept = list(range(KEPT))
    if (steps or kept) and every > 1:
        raise UsageError("--capture and --states need every step to be recorded; leave out --every")
    level = level or _level_for(source, reruns, seeds)
    if level not in LEVELS:
        raise UsageError(f"--level: expected one of {', '.join(LEVELS)}, found {level!r}")
    options: dict[str, Any] = {"project": Path.cwd(), "scope": Scope(every, LEVELS[level], ledger)}
    more = {"steps": steps, "states": kept, "operations": operations}
    runs: list[tuple[list[str], Path, str | None, dict[str, Any]]] = []
    if seeds is None:
        given = None if source is None else (source, False)
        runs.append((context.args, out, None, {**more, "transplant": given}))
    for seed in range(first_seed, first_seed + (seeds or 0)):
        command, shifted = with_seed(context.args, seed)
        runs.append((command, beside(out, f"seed{seed}"), shifted, more))
    for rerun in listed_reruns(reruns or 0):
        again = {"extra": rerun.extra, "transplant": (out, False)}
        runs.append((context.args, beside(out, rerun.name), rerun.plant, again))
    done: list[Recording] = []
    for command, trace, planted, own in runs:
        plants = ",".join(filter(None, (plant, planted))) or None
        done.append(record_command(command, trace, plant=plants, **options, **own))
        if not json:
            _say(done[-1])
        if done[-1].exit_code:
            break
    if json:
        found = [{"trace": str(one.trace), "steps": steps_in(one.trace), "exit_code": one.exit_code} for one in done]
        print_json(found[0] if len(runs) == 1 else found)
    raise typer.Exit(max(2 if one.exit_code else 0 if steps_in(one.trace) else 3 for one in done))


def _level_for(source: Path | None, reruns: int | None, seeds: int | None) -> str:
    """What the comparison that the recording is made for needs."""
    if source is not None:
        try:
            return read(source).scope.level
        except TraceError as error:
            raise UsageError(f"--from: {error}") from error
    return "statistics" if reruns is not None or seeds is not None else "digest"


def _say(done: Recording) -> None:
    """Tell what was recorded."""
    recorded = steps_in(done.trace)
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
