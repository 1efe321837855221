"""Whether a run of converted code came by Lightning at all: a comparison of code that never ran proves nothing.

The folder lies on the run's path for its `sitecustomize`, which notes the first call of `Trainer.fit` or
`Fabric.backward`; every kind of converted training makes one of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["came_by_lightning", "with_witness"]

#: The variable that names the file of the notes.
_NOTES = "LAB_MIGRATE_WITNESS"


def with_witness(environment: Mapping[str, str], notes: Path) -> dict[str, str]:
    """Variables that let a run take notes into the file `notes`."""
    before = environment.get("PYTHONPATH", "")
    path = os.pathsep.join([str(Path(__file__).parent), *([before] if before else [])])
    return {**environment, "PYTHONPATH": path, _NOTES: str(notes.absolute())}


def came_by_lightning(notes: Path) -> bool:
    """Whether one of the functions was called."""
    return notes.exists() and notes.stat().st_size > 0
