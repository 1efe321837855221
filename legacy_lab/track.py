"""The tracker: a run folder with the config that ran and its metrics as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import gin


@gin.configurable
class Tracker:
    """Writes `config.gin` and `metrics.jsonl` into a run folder; a resumed run appends."""

    def __init__(self, run_dir: str | Path = "runs/default") -> None:
        self.run_dir = Path(run_dir)
        self._file: IO[str] | None = None

    def start(self, config: str) -> None:
        """Create the folder, write the config."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        (self.run_dir / "config.gin").write_text(config, encoding="utf-8")
        self._file = (self.run_dir / "metrics.jsonl").open("a", encoding="utf-8")

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Append one line."""
        if self._file is None:
            raise RuntimeError("tracker: expected start() before log()")
        self._file.write(json.dumps({"step": step, **metrics}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; `start` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
