"""Weights that are one tensor on one side and two on the other."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.settled import parameters_of
from lab_parity.phases import PHASES as ALL

PHASES = ALL


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the names: tied weights carry all of theirs."""
    for a, b in parameters_of(scene).values():
        for mine, other, side in ((a, b, "migrated"), (b, a, "legacy")):
            for name in mine:
                parts = name.split("|")
                apart = [part for part in parts if part in other]
                if len(parts) > 1 and name not in other and apart:
                    yield Cause(
                        "tied",
                        f"{' and '.join(parts)} are one tensor in one run, and are not tied in the {side} one.",
                        "weight tying: does a copy, a cast or loading a checkpoint break it?",
                        affected=tuple(parts),
                        evidence=(f"names of the {side} side's parameters: {', '.join(apart)}",),
                    )
