"""Mutation self-test: would the proof have noticed? Known faults are planted in the user's own migrated run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from lab_migrate.commands.compare import verdict_on
from lab_migrate.errors import UsageError
from lab_migrate.explaining import explained
from lab_migrate.proving import Proof
from lab_migrate.recording import steps_in
from lab_parity.plant import PLANTED, causes_of, fault_names

__all__ = ["Mutation", "self_test"]

_LATEST = 5


@attrs.frozen
class Mutation:
    """What became of one planted fault: `where` it was caught ("step 3, param"), `cause` by the name of the diagnosis.

    `planted` is False where the training has nothing that this fault could change.
    """

    fault: str
    step: int
    planted: bool
    caught: bool
    where: str = ""
    cause: str = ""
    named: bool = False


def self_test(proof: Proof, say: Callable[[str], None] = lambda text: None) -> Sequence[Mutation]:
    """Plant each fault in the migrated run, and compare with the legacy one.

    Raises `UsageError` unless the proof's verdict is identical: else nothing planted can be told from what is there.
    """
    if proof.verdict.rung != "identical":
        raise UsageError(
            f"--self-test: expected identical runs, found {proof.verdict.rung}: mend that first, faults that are "
            "planted beside another difference cannot be told from it"
        )
    step = min(_LATEST, steps_in(proof.legacy) - 1)
    if step < 1:
        raise UsageError("--self-test: expected a training of at least two optimizer steps; give it more")
    steps = range(step - 1, step + 2)
    say("training as it was, keeping what the causes need")
    legacy = proof.runs.record("legacy", "self-test", steps=steps, until=step + 1)
    return [_one(proof, fault, step, legacy, say) for fault in fault_names()]


def _one(proof: Proof, fault: str, step: int, legacy: Path, say: Callable[[str], None]) -> Mutation:
    say(f"training as migrated, with the fault {fault}")
    where = f"self-test/{fault}"
    mark = (proof.runs.work / "self-test" / f"{fault}.planted").absolute()
    trace = proof.runs.record(
        "migrated", where, plant=f"{fault}@{step}", steps=range(step - 1, step + 2), until=step + 1,
        extra={PLANTED: str(mark)},
    )  # fmt: skip
    verdict = verdict_on(legacy, trace)
    if verdict.first is None:
        return Mutation(fault, step, mark.exists(), False)
    _, cause = explained(legacy, trace, verdict=verdict)
    name = cause.name if cause is not None else ""
    seen = f"step {verdict.first.step}, {verdict.first.phase}"
    return Mutation(fault, step, True, True, seen, name, name in causes_of(fault))
