"""The operative config of a run: every parameter that gin passed to what was built, defaults included."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import gin

__all__ = ["OPERATIVE", "write_operative_config"]

#: Beside the tracker's `config.gin`, which holds what was bound, whether anything used it or not.
OPERATIVE = "operative_config.gin"


def write_operative_config(run_dir: Path) -> None:
    """Write what gin has passed so far into a run's folder, as one file or not at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gin warns of values that it has no literal for, and leaves them out
        text = gin.operative_config_str()
    run_dir.mkdir(parents=True, exist_ok=True)
    partial = run_dir / f".{OPERATIVE}.{os.getpid()}"
    partial.write_text(text, encoding="utf-8")
    partial.replace(run_dir / OPERATIVE)
