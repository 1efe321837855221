"""Runs a script of the second or third set, as it is and with a bug, under the recorder."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

import lab_parity
from planted_scripts.bugs import SCRIPTS, ScriptBug

__all__ = ["record_script"]


def record_script(model: str, trace: Path, bug: ScriptBug | None = None) -> None:
    """Record one run with all its steps in full."""
    path = SCRIPTS / f"{model}.py"
    source = path.read_text(encoding="utf-8") if bug is None else bug.source()
    random.seed(0)
    np.random.seed(0)
    with lab_parity.record(trace, capture=range(100)):
        exec(compile(source, str(path), "exec"), {"__name__": "__main__"})
