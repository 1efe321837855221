"""Proof of a conversion: the original and the converted project, each run by the same command in a fresh process.

Both run in copies, so that neither the user's project nor the converted one is littered with what a training writes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from lab_migrate.commands.compare import verdict_on
from lab_migrate.effects import Effects, effects_of, told
from lab_migrate.errors import UsageError
from lab_migrate.ladder import Rungs, climb
from lab_migrate.project import copy_project
from lab_migrate.proving import PINNED
from lab_migrate.recording import Recording, record_command
from lab_migrate.repeats import with_seed
from lab_parity import TraceError, Verdict, read
from lab_parity.ranks import ranks_beside


class RunFailedError(UsageError):
    """The command ended with an error in one of the two projects; `side` is "legacy" or "migrated"."""

    def __init__(self, side: str, message: str) -> None:
        super().__init__(message)
        self.side = side


@attrs.frozen
class Verification:
    """Two traces and the verdict on them; `beside` says whether both printed and wrote the same."""

    legacy: Path
    migrated: Path
    verdict: Verdict
    beside: tuple[str, ...] = ()


def verify(
    project: Path,
    converted: Path,
    command: str,
    work: Path,
    say: Callable[[str], None] = lambda text: None,
    steps: int | None = None,
    rungs: Rungs | None = None,
) -> Verification:
    """Record `command` in a copy of `project` and in one of `converted`, below the folder `work`, and compare.

    With `steps`, each run is ended after so many optimizer steps, with exit code 0.
    Where they differ, the legacy program is run once more: one that does not repeat itself gives no verdict, or where
    only its arithmetic does not, none but that of `rungs`; nor does a
    migrated run of which no step was taken under Lightning, since none of the converted code ran. `rungs` are the
    weaker ones that are tried where they differ.
    A command that begins with `python` runs this Python, which has the recorder; `NAME=value` before it sets a
    variable. Raises `RunFailedError` where a run fails, `UsageError` where there is nothing to record.
    """
    words = shlex.split(command)
    if not words:
        raise UsageError("--verify: expected a command, e.g. 'python train.py --epochs 1', found none")
    variables, words = _variables(words)
    if not words:
        raise UsageError(f"--verify: expected a command after {' '.join(variables)}, found none")
    if words[0] in ("python", "python3"):
        words[0] = sys.executable
    runs = _Runs(words, variables, {"legacy": project, "migrated": converted}, work, steps)
    done: dict[str, Path] = {}
    codes: dict[str, int] = {}
    left: list[Effects] = []
    for side, folder in runs.folders.items():
        say(f"training as {'it was' if side == 'legacy' else 'migrated'}")
        ran = runs.record(side)
        done[side], codes[side] = ran.trace, ran.exit_code
        left.append(effects_of(ran.printed, work / side, folder))
    say("comparing")
    verdict = verdict_on(done["legacy"], done["migrated"])
    if verdict.rung == "diverged":
        say("training as it was, again")
        again = verdict_on(done["legacy"], runs.trace("legacy", "again"))
        if again.rung != "identical" and not _differs_by_arithmetic(again):
            verdict = _unrepeatable(verdict, again)
        elif rungs is not None:
            verdict = climb(verdict, done["legacy"], rungs, runs.trace, say)
        elif again.first is not None and verdict.first is not None and again.first.step <= verdict.first.step:
            verdict = _unmeasured(verdict, again)
    verdict = _with_exit_codes(_under_lightning(verdict, done["migrated"]), codes)
    return Verification(done["legacy"], done["migrated"], verdict, tuple(told(*left)))


def _variables(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """`NAME=value` words before a command, as a shell reads them, and the command."""
    variables: dict[str, str] = {}
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            return variables, words[at:]
        variables[name] = value
    return variables, []


@attrs.frozen
class _Runs:
    """How both sides are run: `words` in a copy of each of `folders`, below `work`, up to `steps`."""

    words: Sequence[str]
    variables: Mapping[str, str]
    folders: Mapping[str, Path]
    work: Path
    steps: int | None

    def trace(self, side: str, where: str = "", **options: Any) -> Path:
        """Where that run is recorded."""
        return self.record(side, where, **options).trace

    def record(self, side: str, where: str = "", seed: int | None = None, **options: Any) -> Recording:
        """Run one side in a copy below the folder `where`; `options` are those of `record_command`."""
        # The same path on both sides, so that a program that prints or seeds by its path does the same.
        place, kept = self.work / "run", self.work / where / side
        copy_project(self.folders[side], place)
        command, shifted = with_seed(self.words, seed or 0)
        if seed is not None:
            options["plant"] = shifted
        extra = {name: os.environ.get(name, value) for name, value in PINNED.items()} | dict(self.variables)
        done = record_command(
            command, kept.with_name(f"{side}.trace"), cwd=place, project=place, capture=True,
            until=self.steps - 1 if self.steps is not None else None,
            extra=extra | options.pop("extra", {}), **options,
        )  # fmt: skip
        shutil.move(place, kept)
        if done.exit_code and not _ended_by_itself(done):
            raise RunFailedError(
                side,
                f"--verify: the {side} run failed with exit code {done.exit_code}: {shlex.join(self.words)}\n"
                f"{done.output[-3000:]}".rstrip(),
            )
        return done


def _ended_by_itself(done: Recording) -> bool:
    """Whether a run trained and left with its exit code on purpose, as by `sys.exit("finished")`."""
    try:
        end = read(done.trace).end()
    except TraceError:
        return False
    return end.status == "finished" and end.taken > 0


def _with_exit_codes(verdict: Verdict, codes: Mapping[str, int]) -> Verdict:
    legacy, migrated = codes["legacy"], codes["migrated"]
    if legacy == migrated:
        note = f"both runs ended by themselves with exit code {legacy}"
        return attrs.evolve(verdict, notes=(*verdict.notes, note)) if legacy else verdict
    reason = f"the legacy run ended with exit code {legacy}, the migrated one with {migrated}"
    rung = "inconclusive" if verdict.exit_code == 0 else verdict.rung
    return attrs.evolve(verdict, rung=rung, reasons=(*verdict.reasons, reason))


def _differs_by_arithmetic(again: Verdict) -> bool:
    """Whether a rerun drew, read and was set as the run before, and yet computed other bits: noise, to be measured."""
    return again.first is not None and again.first.phase not in ("config", "rng", "batch")


def _unrepeatable(verdict: Verdict, again: Verdict) -> Verdict:
    """The legacy program does not do the same twice, so that its difference from the migrated one says nothing."""
    where = again.first.sentence() if again.first is not None else "; ".join(again.reasons)
    return attrs.evolve(
        verdict,
        rung="inconclusive",
        first=None,
        affected={},
        details="",
        reasons=(
            f"the legacy program does not repeat itself, run twice by the same command: {where} "
            "Seed every generator that it draws from (torch, numpy, random), then verify again",
        ),
    )


def _unmeasured(verdict: Verdict, again: Verdict) -> Verdict:
    """Bits that the legacy program itself computes otherwise the next time, no later than the migrated one does."""
    where = again.first.sentence() if again.first is not None else ""
    reason = (
        f"the legacy program computes other bits itself, run twice by the same command: {where} "
        "Whether the migrated one differs by more is measured by --noise 5; or mend what is not repeatable "
        "(memory that is read before it is written, kernels that are not deterministic), then verify again"
    )
    return attrs.evolve(verdict, rung="inconclusive", first=None, affected={}, details="", reasons=(reason,))


def _under_lightning(verdict: Verdict, trace: Path) -> Verdict:
    """Two equal runs of the original prove nothing: at least one step has to be taken inside Lightning's loop."""
    ends = []
    for path in ranks_beside(trace).values():
        try:
            ends.append(read(path).end())
        except (TraceError, FileNotFoundError):
            return verdict
    taken = sum(max(end.taken, 0) for end in ends)
    under = sum(max(end.under.values(), default=0) for end in ends)
    if not taken or under >= taken or verdict.rung == "inconclusive":
        return verdict
    if under:
        note = f"{under} of {taken} steps of the migrated run were taken under Lightning, the others as before"
        return attrs.evolve(verdict, notes=(*verdict.notes, note))
    first = next((end.first for end in ends if end.first), "")
    where = f" (its first step came from {first})" if first else ""
    return attrs.evolve(
        verdict,
        rung="inconclusive",
        reasons=(
            f"none of the converted code ran: no step was taken under Lightning{where}. "
            "Where that file is not the copy's, the command imports the original, as after pip install -e: verify with "
            "'PYTHONPATH=. python …'. Else convert what this command trains by (--entry)",
        ),
    )
