"""Convert a project, run it as it was and as migrated, and compare: in copies, never in the user's tree."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import attrs

from lab_migrate.commands.compare import verdict_on
from lab_migrate.commands.diagnose import drilled, explained
from lab_migrate.convert import Conversion, convert_project
from lab_migrate.errors import UsageError
from lab_migrate.project import copy_project
from lab_migrate.recording import Recording, record_command
from lab_parity import Cause, Verdict
from lab_parity.drill import Drill

#: One thread, and a fixed hash seed: what makes two CPU runs comparable bitwise. A user's own values win.
PINNED = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


@attrs.frozen
class Proof:
    """Both runs, and the verdict on them."""

    conversion: Conversion
    legacy: Path
    migrated: Path
    verdict: Verdict
    cause: Cause | None = None
    drill: Drill | None = None


def prove(
    project: Path,
    work: Path,
    *,
    level: str = "L1",
    entry: str = "train.py",
    arguments: Sequence[str] = (),
    plant: str | None = None,
    explain: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> Proof:
    """Record `python ENTRY ARGUMENTS` in a copy of the project and in its conversion, below the folder `work`.

    `plant` plants a fault in the migrated run. Where the runs part at step k and `explain` is true, both are run again
    up to there, steps k-1 and k are captured in full with every operation of step k, and the cause and the first
    operation that differs are looked for in them.

    Raises `UsageError` where the project cannot be converted whole, has no such entry, or where a run fails.
    """
    conversion = convert_project(project, level)
    if conversion.needs_hand:
        first = next(finding for finding in conversion.findings if finding.next_step)
        raise UsageError(f"{first.place}: {first.code} {first.message}; {first.next_step}")
    if not (project / entry).is_file():
        raise UsageError(f"{project / entry}: no such script; name the one that trains with --entry")
    faults = {"legacy": None, "migrated": plant}

    def both(
        where: Path, steps: Sequence[int] = (), until: int | None = None, operations: int | None = None
    ) -> tuple[Path, Path]:
        copy_project(project, where / "legacy")
        conversion.write(where / "migrated")
        made = []
        for side, words in (("legacy", "as it was"), ("migrated", "as migrated")):
            say(f"training {words}" + (f", again up to step {until}" if until is not None else ""))
            made.append(_record(where, side, entry, arguments, faults[side], steps, until, operations).trace)
        return made[0], made[1]

    legacy, migrated = both(work)
    say("comparing")
    verdict = verdict_on(legacy, migrated)
    cause, drill = None, None
    if explain and verdict.first is not None:
        step = verdict.first.step
        steps = range(max(step - 1, 0), step + 1)
        captures = both(work / "again", steps, step, step)
        say("looking for the cause")
        try:
            _, cause = explained(legacy, migrated, captures, verdict)
            drill = drilled(captures, verdict)
        except UsageError:  # under the eye that sees operations a compiled program runs another way
            captures = both(work / "once-more", steps, step)
            _, cause = explained(legacy, migrated, captures, verdict)
    return Proof(conversion, legacy, migrated, verdict, cause, drill)


def _record(
    work: Path,
    side: str,
    entry: str,
    arguments: Sequence[str],
    plant: str | None,
    steps: Collection[int],
    until: int | None,
    operations: int | None,
) -> Recording:
    pinned = {name: os.environ.get(name, value) for name, value in PINNED.items()}
    folder = work / side
    command = [sys.executable, entry, *arguments]
    done = record_command(
        command, work / f"{side}.trace", cwd=folder, project=folder, plant=plant, extra=pinned, capture=True,
        steps=steps, until=until, operations=operations,
    )  # fmt: skip
    if done.exit_code:
        ran = f"{' '.join(command)} in {folder}"
        raise UsageError(
            f"the {side} run failed with exit code {done.exit_code}: {ran}\n{done.output[-3000:]}".rstrip()
        )
    return done
