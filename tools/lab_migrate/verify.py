"""Proof of a conversion: the original and the converted project, each run by the same command in a fresh process.

Both run in copies, so that neither the user's project nor the converted one is littered with what a training writes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import attrs

from lab_migrate.commands.compare import verdict_on
from lab_migrate.errors import UsageError
from lab_migrate.project import copy_project
from lab_migrate.proving import PINNED
from lab_migrate.recording import Recording, record_command
from lab_parity import Verdict


@attrs.frozen
class Verification:
    """Two traces and the verdict on them."""

    legacy: Path
    migrated: Path
    verdict: Verdict


def verify(
    project: Path, converted: Path, command: str, work: Path, say: Callable[[str], None] = lambda text: None
) -> Verification:
    """Record `command` in a copy of `project` and in one of `converted`, below the folder `work`, and compare.

    A command that begins with `python` runs this Python, which has the recorder. Raises `UsageError` where a run fails
    or there is nothing to record.
    """
    words = shlex.split(command)
    if not words:
        raise UsageError("--verify: expected a command, e.g. 'python train.py --epochs 1', found none")
    if words[0] in ("python", "python3"):
        words[0] = sys.executable
    sides = {"legacy": project, "migrated": converted}
    done: dict[str, Recording] = {}
    for side, folder in sides.items():
        say(f"training as {'it was' if side == 'legacy' else 'migrated'}")
        # The same path on both sides, so that a program that prints or seeds by its path does the same.
        place = work / "run"
        copy_project(folder, place)
        done[side] = record_command(
            words, work / f"{side}.trace", cwd=place, project=place, capture=True,
            extra={name: os.environ.get(name, value) for name, value in PINNED.items()},
        )  # fmt: skip
        shutil.move(place, work / side)
        if done[side].exit_code:
            raise UsageError(
                f"--verify: the {side} run failed with exit code {done[side].exit_code}: {command}\n"
                f"{done[side].output[-3000:]}".rstrip()
            )
    say("comparing")
    traces = done["legacy"].trace, done["migrated"].trace
    return Verification(*traces, verdict_on(*traces))
