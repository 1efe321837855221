"""Mutation self-test: would the proof have noticed? Known faults are planted in the user's own migrated run.

First comes that run without a fault, in just the same way: it says how long one takes, what there is nothing to plant
in, and shows that what is found afterwards is the faults' doing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import attrs

from lab_migrate.commands.compare import verdict_on
from lab_migrate.errors import UsageError
from lab_migrate.explaining import explained
from lab_migrate.proving import PINNED, Proof
from lab_migrate.recording import steps_in
from lab_parity import read
from lab_parity.plant import PLANTED, causes_of, fault_names, is_told_beforehand

__all__ = ["Mutation", "exit_code", "self_test"]

_LATEST = 5
_PATIENCE = 10
"""A fault may hang a training: it gets so many times what the run without one takes, and a minute."""


@attrs.frozen
class Mutation:
    """What became of one planted fault: `where` it was caught ("step 3, param"), `cause` by the name of the diagnosis.

    `planted` is False where the training has nothing that this fault could change. `untried` says why nothing is known:
    there was no time left, or the run ended with an error before anything could differ.
    """

    fault: str
    step: int
    planted: bool
    caught: bool
    where: str = ""
    cause: str = ""
    named: bool = False
    untried: str = ""

    def sentence(self) -> str:
        """A few words for a person."""
        if self.untried:
            return f"not tried: {self.untried}"
        if not self.caught:
            return "MISSED" if self.planted else "nothing here to change"
        return f"caught at {self.where}, named {self.cause}{'' if self.named else ' (expected otherwise)'}"


def exit_code(mutations: Sequence[Mutation]) -> int:
    """1 where a planted fault was missed, 3 where none was tried, else 0."""
    if any(mutation.planted and not mutation.caught for mutation in mutations):
        return 1
    return 0 if not mutations or any(mutation.caught for mutation in mutations) else 3


def self_test(
    proof: Proof,
    say: Callable[[str], None] = lambda text: None,
    *,
    keep: Callable[[str], None] | None = None,
    budget: float | None = None,
    jobs: int | None = None,
) -> Sequence[Mutation]:
    """Plant each fault in the migrated run, and compare with the legacy one; `say` is told of what is going on,
    `keep` (or `say`) of each fault when it is known.

    After `budget` seconds no further run begins. `jobs` runs are made at once: by default one for each core that
    their threads leave, on an accelerator one after the other.
    Raises `UsageError` unless the proof's verdict is identical: else nothing planted can be told from what is there.
    """
    begun = time.monotonic()
    if proof.verdict.rung != "identical":
        raise UsageError(
            f"--self-test: expected identical runs, found {proof.verdict.rung}: mend that first, faults that are "
            "planted beside another difference cannot be told from it"
        )
    step = min(_LATEST, steps_in(proof.legacy) - 1)
    if step < 1:
        raise UsageError("--self-test: expected a training of at least two optimizer steps; give it more")
    jobs = jobs or _at_once(proof)
    say("self-test: training as it was and as migrated without a fault, keeping what the causes need")
    with ThreadPoolExecutor(jobs) as pool:
        recorded = pool.submit(proof.runs.record, "legacy", "self-test", steps=_kept(step), until=step + 1)
        unchanged = pool.submit(_unchanged, proof, step)
        legacy, (migrated, minding, seconds) = recorded.result(), unchanged.result()
        verdict = verdict_on(legacy, migrated)
        if verdict.rung != "identical":
            why = verdict.first.sentence() if verdict.first is not None else "; ".join(verdict.reasons)
            raise UsageError(f"--self-test: expected that the runs repeat themselves, found {verdict.rung}: {why}")
        wanted = [fault for fault in fault_names() if fault in minding]
        told = keep or say
        said = f"{len(wanted)} runs of about {seconds:.0f} s, {jobs} at once"
        told(f"self-test: {said}; {len(fault_names()) - len(wanted)} further faults have nothing here to change")
        end = None if budget is None else begun + budget
        made: dict[str, Mutation] = {
            fault: Mutation(fault, step, False, False) for fault in fault_names() if fault not in minding
        }
        tried: list[Future[Mutation]] = []
        try:
            tried += [pool.submit(_one, proof, fault, step, legacy, seconds, end) for fault in wanted]
            for number, future in enumerate(as_completed(tried), 1):
                mutation = future.result()
                made[mutation.fault] = mutation
                told(f"self-test {number}/{len(wanted)} {mutation.fault}: {mutation.sentence()}")
        finally:
            for future in tried:
                future.cancel()
    return [made[fault] for fault in fault_names()]


def _kept(step: int) -> range:
    return range(step - 1, step + 2)


def _at_once(proof: Proof) -> int:
    if read(proof.legacy).environment.get("digests") == "of the device":
        return 1  # its memory is as large as one training needs it
    threads = os.environ.get("OMP_NUM_THREADS", PINNED["OMP_NUM_THREADS"])
    # Which cores a process may use is known on Linux alone.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(threads)) if threads.isdigit() and int(threads) else 1


def _record(proof: Proof, where: str, step: int, plant: str, **options: Any) -> tuple[Path, list[str]]:
    """The trace, and the faults that have changed something."""
    mark = (proof.runs.work / "self-test" / f"{where}.planted").absolute()
    trace = proof.runs.record(
        "migrated", f"self-test/{where}", plant=plant, steps=_kept(step), until=step + 1, extra={PLANTED: str(mark)},
        **options,
    )  # fmt: skip
    return trace, _marked(mark)


def _marked(mark: Path) -> list[str]:
    return mark.read_text().split() if mark.exists() else []


def _unchanged(proof: Proof, step: int) -> tuple[Path, list[str], float]:
    """The run without a fault, the faults that may change something in it, and its seconds."""
    begun = time.monotonic()
    told = [fault for fault in fault_names() if is_told_beforehand(fault)]
    plant = ",".join(f"?{fault}@{step}" for fault in told) or None
    trace, minding = _record(proof, "unchanged", step, plant or "")
    minding += [fault for fault in fault_names() if fault not in told]
    return trace, minding, time.monotonic() - begun


def _one(proof: Proof, fault: str, step: int, legacy: Path, seconds: float, end: float | None) -> Mutation:
    left = None if end is None else end - time.monotonic()
    if left is not None and left <= 0:
        return Mutation(fault, step, False, False, untried="no time was left")
    folder = proof.runs.work / "self-test"
    try:
        trace, planted = _record(proof, fault, step, f"{fault}@{step}", seconds=_PATIENCE * seconds + 60)
    except UsageError as error:
        # What it did before it failed may show the fault.
        trace, planted = folder / fault / "migrated.trace", _marked((folder / f"{fault}.planted").absolute())
        why = str(error).strip().splitlines()[-1]
        if not trace.exists():
            return Mutation(fault, step, False, False, untried=why)
        verdict = verdict_on(legacy, trace)
        if verdict.first is None:
            return Mutation(fault, step, False, False, untried=why)
    else:
        verdict = verdict_on(legacy, trace)
    if verdict.first is None:
        return Mutation(fault, step, bool(planted), False)
    _, cause = explained(legacy, trace, verdict=verdict)
    name = cause.name if cause is not None else ""
    seen = f"step {verdict.first.step}, {verdict.first.phase}"
    return Mutation(fault, step, True, True, seen, name, name in causes_of(fault))
