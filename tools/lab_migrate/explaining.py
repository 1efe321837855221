"""The cause of a divergence, by running both sides again: up to it, with its tensors and operations."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import attrs

from lab_migrate.errors import UsageError
from lab_migrate.recording import record_command
from lab_parity import Cause, ParityError, Verdict, compare, read
from lab_parity import diagnose as name_the_cause
from lab_parity.diagnose.every import Found, every_cause
from lab_parity.diagnose.wanted import wanted_steps
from lab_parity.drill import Drill, drill_down
from lab_parity.environment import RECORDED
from lab_parity.record.operations import operations_path

MOST_STEPS = 20
"""From the first that differs on, that are looked at for all causes."""
_OF_A_LAUNCHER = {"WORLD_SIZE", "RANK"}
Again = Callable[[str, Collection[int], int, int | None], tuple[Path, Path]]
"""Runs both sides again: the name of a place for it, steps to capture, the last step, that of the operations."""


class Explained(NamedTuple):
    """What reruns have told."""

    cause: Cause | None
    drill: Drill | None


def explained_by_reruns(legacy: Path, migrated: Path, verdict: Verdict, again: Again) -> Explained:
    """The cause and the first operation that differs. Raises `UsageError` where the runs do not repeat themselves."""
    if verdict.first is None:
        return Explained(None, None)
    step = verdict.first.step
    steps = wanted_steps(read(legacy), step)
    captures = again("again", steps, step, step)
    try:
        return Explained(explained(legacy, migrated, captures, verdict)[1], drilled(captures, verdict))
    except UsageError:  # under the eye that sees operations a compiled program runs another way
        captures = again("once-more", steps, step, None)
        return Explained(explained(legacy, migrated, captures, verdict)[1], None)


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


@attrs.frozen
class _Recorded:
    """How a trace was made: the command, where, with which variables, faults and states of another run."""

    trace: Path
    command: list[str]
    folder: Path
    variables: dict[str, str]
    plant: str | None
    source: tuple[Path, bool] | None

    def again(
        self, out: Path, steps: Collection[int], until: int, operations: int | None = None,
        given: tuple[Path, bool] | None = None,
    ) -> Path:  # fmt: skip
        """Run it once more, up to a step, `given` another run's states and perhaps gradients.

        Raises `UsageError` where it fails.
        """
        done = record_command(
            self.command, out, cwd=self.folder, project=self.folder, plant=self.plant,
            transplant=given or self.source, extra=self.variables, capture=True, steps=steps, until=until,
            operations=operations,
        )  # fmt: skip
        if done.exit_code:
            raise UsageError(
                f"{self.trace}: its command, run again in {self.folder}, failed with exit code {done.exit_code}: "
                f"{' '.join(self.command)}\n{done.output[-3000:]}".rstrip()
            )
        return out


def recorded_again(legacy: Path, migrated: Path, work: Path, say: Callable[[str], None]) -> Again:
    """Runs the commands that made two traces again, in their folders; what they record lies below `work`.

    Raises `UsageError` for a trace that does not say how it was made.
    """
    sides = {"legacy": _how_recorded(legacy), "migrated": _how_recorded(migrated)}

    def again(where: str, steps: Collection[int], until: int, operations: int | None) -> tuple[Path, Path]:
        made = []
        for side, recorded in sides.items():
            say(f"running the {side} command again up to step {until}: {' '.join(recorded.command)}")
            made.append(recorded.again(work / where / f"{side}.trace", steps, until, operations))
        return made[0], made[1]

    return again


def all_causes(
    legacy: Path, migrated: Path, verdict: Verdict, work: Path, say: Callable[[str], None] = lambda text: None
) -> list[Found]:
    """The causes of the first steps that differ, `MOST_STEPS` at most, the migrated run being given the legacy states.

    Runs the commands that made two traces again. Raises `UsageError` for a trace that does not say how it was made, or
    that was made with the states of another run.
    """
    if verdict.first is None:
        return []
    first, (a, b) = verdict.first.step, (_how_recorded(legacy), _how_recorded(migrated))
    if a.source is not None or b.source is not None:
        raise UsageError("--transplant: expected runs that went on from their own states; these were made with --from")
    last = first + MOST_STEPS - 1
    steps = range(max(first - 1, 0), last + 1)
    say("running the legacy command again, keeping its states")
    kept = a.again(work / "transplant" / "legacy.trace", steps, last)
    runs = []
    for gradients in (False, True):
        say(f"running the migrated command from the legacy state at each step{' and with its gradients' * gradients}")
        out = work / "transplant" / f"migrated{'-gradients' * gradients}.trace"
        runs.append(read(b.again(out, steps, last, given=(kept, gradients))))
    try:
        return every_cause(read(kept), *runs)
    except ParityError as error:
        raise UsageError(str(error)) from error


def _how_recorded(trace: Path) -> _Recorded:
    try:
        facts = read(trace).environment
    except (ParityError, FileNotFoundError) as error:
        raise UsageError(str(error)) from error
    if RECORDED not in facts:
        raise UsageError(
            f"{trace}: expected a trace that `lab-migrate record` has made, which says how; found one of another "
            "origin. Record both sides again with --capture, as `lab-migrate diagnose` without --rerun says"
        )
    how = json.loads(facts[RECORDED])
    folder = Path(how["folder"])
    if not folder.is_dir():
        raise UsageError(f"{trace}: was recorded in {folder}, and there is no such folder here; --rerun needs it")
    variables = {
        name.removeprefix("variable."): value
        for name, value in facts.items()
        if name.startswith("variable.") and value != "unset" and name.removeprefix("variable.") not in _OF_A_LAUNCHER
    }
    source = how["source"]
    return _Recorded(
        trace, how["command"], folder, variables, how["plant"], None if source is None else (Path(source[0]), source[1])
    )
