"""Convert a project, run it as it was and as migrated, and compare: in copies, never in the user's tree."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import attrs

from lab_migrate.commands.compare import verdict_on
from lab_migrate.convert import Conversion, convert_project
from lab_migrate.errors import UsageError
from lab_migrate.explaining import MOST_STEPS, explained_by_reruns
from lab_migrate.findings import Status
from lab_migrate.ladder import Rungs, climb
from lab_migrate.project import copy_project
from lab_migrate.recording import record_command
from lab_migrate.repeats import with_seed
from lab_parity import Cause, ParityError, Scope, Verdict, read
from lab_parity.diagnose.every import Found, every_cause
from lab_parity.drill import Drill

#: One thread, and a fixed hash seed: what makes two CPU runs comparable bitwise. A user's own values win.
PINNED = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}

SIDES = {"legacy": "as it was", "migrated": "as migrated"}


@attrs.frozen
class Runs:
    """How both sides of a project are run: copies below `work`, the same command on each, in a process of its own.

    A `native` conversion has the legacy run's arguments for its defaults, and gets none.
    """

    project: Path
    work: Path
    conversion: Conversion
    entry: str
    arguments: Sequence[str]
    plant: str | None = None
    native: bool = False

    def record(self, side: str, where: str = "", seed: int | None = None, **options: Any) -> Path:
        """The trace of one side, "legacy" or "migrated"; `options` are those of `record_command`.

        `where` is a folder of its own below `work`. Raises `UsageError` where the run fails.
        """
        place = self.work / where
        if side == "legacy":
            copy_project(self.project, place / side)
        else:
            self.conversion.write(place / side)
            options.setdefault("plant", self.plant)
        arguments = () if self.native and side == "migrated" else self.arguments
        command, shifted = with_seed([sys.executable, self.entry, *arguments], seed or 0)
        if seed is not None:
            options["plant"] = ",".join(filter(None, (options.get("plant"), shifted))) or None
        pinned = {name: os.environ.get(name, value) for name, value in PINNED.items()} | options.pop("extra", {})
        done = record_command(
            command,
            place / f"{side}.trace",
            cwd=place / side,
            project=place / side,
            extra=pinned,
            capture=True,
            **options,
        )
        if done.exit_code:
            ran = f"{' '.join(command)} in {place / side}"
            raise UsageError(
                f"the {side} run failed with exit code {done.exit_code}: {ran}\n{done.output[-3000:]}".rstrip()
            )
        return done.trace


@attrs.frozen
class Proof:
    """Both runs, and the verdict on them; `causes` are all that were found, where they were asked for."""

    runs: Runs
    legacy: Path
    migrated: Path
    verdict: Verdict
    cause: Cause | None = None
    drill: Drill | None = None
    causes: Sequence[Found] = ()

    @property
    def conversion(self) -> Conversion:
        """What was converted."""
        return self.runs.conversion


def prove(
    project: Path,
    work: Path,
    *,
    level: str = "L1",
    entry: str = "train.py",
    arguments: Sequence[str] = (),
    plant: str | None = None,
    explain: bool = True,
    transplant: bool = False,
    ledger: bool = False,
    rungs: Rungs | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Proof:
    """Record `python ENTRY ARGUMENTS` in a copy of the project and in its conversion, below the folder `work`.

    `plant` plants faults in the migrated run. Where the runs part at step k and `explain` is true, both are run again
    up to there, step k, the one before and the same optimizer's last one are captured in full with every operation of
    step k, and the cause and the first operation that differs are looked for in them. With `transplant` the migrated
    run is made twice more, each step from the legacy state, and all causes are looked for. With `ledger` both runs
    also record who draws random numbers. `rungs` are the weaker ones that are tried where the runs part. At level L3
    what the legacy run says it was configured with is converted.

    Raises `UsageError` where the project cannot be converted whole, has no such entry, or where a run fails.
    """
    conversion = convert_project(project, level, entry=entry if level == "L3" else None)
    # What the script's arguments bind is in what the legacy run says it was configured with.
    conversion = conversion if level == "L3" and _lacks_arguments(conversion) else _whole(conversion)
    if not (project / entry).is_file():
        raise UsageError(f"{project / entry}: no such script; name the one that trains with --entry")
    runs = Runs(project, work, conversion, entry, tuple(arguments), plant)
    made = []
    for side, words in SIDES.items():
        if side == "migrated" and level == "L3":
            runs = attrs.evolve(runs, conversion=_as_it_ran(project, work / "legacy", entry), native=True)
        say(f"training {words}")
        made.append(runs.record(side, scope=Scope(ledger=ledger)))
    legacy, migrated = made
    say("comparing")
    verdict = verdict_on(legacy, migrated)
    proof = Proof(runs, legacy, migrated, verdict)
    if explain and verdict.first is not None:
        proof = _explained(proof, say)
    if transplant and verdict.first is not None:
        proof = attrs.evolve(proof, causes=_all_causes(proof, verdict.first.step, say))
    if rungs is not None:
        proof = attrs.evolve(proof, verdict=climb(verdict, legacy, rungs, runs.record, say))
    return proof


def _lacks_arguments(conversion: Conversion) -> bool:
    by_hand = [one for one in conversion.findings if one.status in (Status.MANUAL, Status.UNSUPPORTED)]
    return bool(by_hand) and all(one.next_step.startswith("the script binds it: ") for one in by_hand)


def _whole(conversion: Conversion) -> Conversion:
    if conversion.needs_hand:
        first = next(
            finding for finding in conversion.findings if finding.status in (Status.MANUAL, Status.UNSUPPORTED)
        )
        raise UsageError(f"{first.place}: {first.code} {first.message}; {first.next_step}")
    return conversion


def _as_it_ran(project: Path, ran: Path, entry: str) -> Conversion:
    """The native conversion of what Lab's tracker says was trained: arguments of the script are in it."""
    found = sorted(ran.rglob("config.gin"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise UsageError(f"{ran}: expected the config.gin that Lab writes into a run's folder, found none")
    return _whole(convert_project(project, "L3", entry=entry, config=found[-1]))


def _explained(proof: Proof, say: Callable[[str], None]) -> Proof:
    """With the cause and the first operation that differs."""

    def again(where: str, steps: Collection[int], until: int, operations: int | None) -> tuple[Path, Path]:
        made = []
        for side, words in SIDES.items():
            say(f"training {words}, again up to step {until}")
            made.append(proof.runs.record(side, where, steps=steps, until=until, operations=operations))
        say("looking for the cause")
        return made[0], made[1]

    found = explained_by_reruns(proof.legacy, proof.migrated, proof.verdict, again)
    return attrs.evolve(proof, cause=found.cause, drill=found.drill)


def _all_causes(proof: Proof, first: int, say: Callable[[str], None]) -> list[Found]:
    """Those of at most `MOST_STEPS` steps from the first that differs on."""
    last = first + MOST_STEPS - 1
    steps = range(max(first - 1, 0), last + 1)
    say("training as it was, keeping the states")
    legacy = proof.runs.record("legacy", "transplant", steps=steps, until=last)
    given = []
    for where, gradients in (("transplant", False), ("transplant-gradients", True)):
        say(f"training as migrated, from the legacy state at each step{' and with its gradients' * gradients}")
        given.append(proof.runs.record("migrated", where, steps=steps, until=last, transplant=(legacy, gradients)))
    say("looking for all causes")
    try:
        return every_cause(read(legacy), read(given[0]), read(given[1]))
    except ParityError as error:
        raise UsageError(str(error)) from error
