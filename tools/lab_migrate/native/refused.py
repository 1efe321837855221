"""Why a project is not rewritten."""

from __future__ import annotations

from pathlib import Path

import attrs

from lab_bridge.config.places import Place
from lab_migrate.findings import Finding, Status

__all__ = ["NotNativeError"]


@attrs.frozen
class NotNativeError(Exception):
    """One thing that has no native form yet, and where it stands."""

    code: str
    reason: str
    next_step: str
    place: Place = attrs.field(factory=lambda: Place(""))

    def finding(self, root: Path, config: str) -> Finding:
        """As data; a place outside of the project is the config's."""
        path = Path(self.place.file) if self.place.file else root / config
        inside = path.is_relative_to(root)
        name = path.relative_to(root).as_posix() if inside else config
        line = (self.place.line or 0) if inside else 0
        return Finding(name, line, 1 if line else 0, self.code, Status.UNSUPPORTED, self.reason, self.next_step)
