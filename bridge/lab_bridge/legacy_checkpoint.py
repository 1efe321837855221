"""Lab's checkpoint format, told to Lightning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from legacy_lab.train import checkpoint


class LabCheckpoint:
    """Lab's `.lab` files as a `LegacyCheckpoint`."""

    def recognises(self, path: str) -> bool:
        """By the ending that Lab's trainer gives them, or by what lies in the file."""
        if Path(path).suffix == ".lab":
            return True
        if Path(path).suffix == ".ckpt":
            return False
        try:
            checkpoint.read(Path(path))
        except checkpoint.CheckpointError:
            return False
        return True

    def read(self, path: str) -> dict[str, Any]:
        """The trainer's state."""
        return checkpoint.read(Path(path))
