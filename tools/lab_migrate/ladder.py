"""Where bits differ: the weaker rungs of the verdict, each by runs of its own. Within noise; equivalent over seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import attrs

from lab_migrate.errors import UsageError
from lab_migrate.repeats import FULL, kept_steps, reruns
from lab_parity import ParityError, Verdict, read
from lab_parity.equivalence import equivalent
from lab_parity.noise import within_noise
from lab_parity.record.capture_file import states_beside

__all__ = ["RecordSide", "Rungs", "climb"]


class RecordSide(Protocol):
    """Trains one side, "legacy" or "migrated", again."""

    def __call__(self, side: str, where: str, **options: Any) -> Path:
        """The trace, below a folder of its own that `where` names; `options` are those of `record_command`.

        The option `seed` is the number of another seed. Raises `UsageError` where the run fails.
        """


@attrs.frozen
class Rungs:
    """Which rungs are asked for: so many reruns of the legacy side, so many seeds of both; 0 for none."""

    reruns: int = 0
    seeds: int = 0
    margin: float = 0.02


def climb(
    verdict: Verdict, legacy: Path, rungs: Rungs, record: RecordSide, say: Callable[[str], None] = lambda text: None
) -> Verdict:
    """The strongest rung that holds of those that are asked for, where `verdict`, on `legacy`, is `diverged`.

    Where none holds it is the last one's verdict, which notes what the others said.
    """
    said: list[str] = []
    if verdict.rung == "diverged" and rungs.reruns:
        said.append(_in_words("bit by bit", verdict))
        verdict = _within_noise(legacy, rungs.reruns, record, say)
    if verdict.rung in ("diverged", "inconclusive") and rungs.seeds:
        said.append(_in_words("with the same seed", verdict))
        verdict = _equivalent(rungs, record, say)
    return attrs.evolve(verdict, notes=(*verdict.notes, *said))


def _within_noise(bitwise: Path, count: int, record: RecordSide, say: Callable[[str], None]) -> Verdict:
    say("training as it was, keeping states")
    legacy = record("legacy", "noise", states=kept_steps(bitwise), scope=FULL)
    given: dict[str, Any] = {"transplant": (legacy, False), "scope": FULL}
    say("training as migrated, each step from a legacy state")
    migrated = record("migrated", "noise", **given)
    try:
        verdict = within_noise(read(legacy), read(migrated), [])
        others = []
        for rerun in reruns(count) if verdict.rung == "inconclusive" else ():  # else no reruns can change it
            say(f"training as it was, {rerun.name} of {count}")
            others.append(record("legacy", f"noise/{rerun.name}", plant=rerun.plant, extra=dict(rerun.extra), **given))
        if others:
            say("comparing")
            verdict = within_noise(read(legacy), read(migrated), [read(path) for path in others])
    except ParityError as error:
        raise UsageError(str(error)) from error
    for path in states_beside(legacy).values():
        path.unlink()
    return verdict


def _equivalent(rungs: Rungs, record: RecordSide, say: Callable[[str], None]) -> Verdict:
    runs: dict[str, list[Path]] = {"legacy": [], "migrated": []}
    for seed in range(rungs.seeds):
        for side, traces in runs.items():
            say(f"training {side}, seed {seed + 1} of {rungs.seeds}")
            # Other seeds on the other side: nothing is to hang on the numbers being the same.
            number = seed + (rungs.seeds if side == "migrated" else 0)
            traces.append(record(side, f"seeds/{seed}", seed=number, scope=FULL))
    say("comparing")
    try:
        sides = ([read(path) for path in traces] for traces in runs.values())
        return equivalent(*sides, margin=rungs.margin)
    except ParityError as error:
        raise UsageError(str(error)) from error


def _in_words(how: str, verdict: Verdict) -> str:
    why = verdict.first.sentence() if verdict.rung == "diverged" and verdict.first else "; ".join(verdict.reasons)
    return f"{how}: {verdict.rung}. {why}"
