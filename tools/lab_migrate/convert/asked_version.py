"""Which version of a package a project's requirements ask for, where they do."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["oldest_asked"]

#: Files that name what a project needs, in its root and one folder below it.
_FILES = ("requirements*.txt", "requirements/*.txt", "setup.py", "setup.cfg", "pyproject.toml", "environment*.y*ml")


def oldest_asked(root: Path, package: str) -> int | None:
    """The lowest major version in `package==1.5.6`, `>=2.0` and the like; None where no file names one."""
    name = re.sub(r"[-_]", "[-_]", package)
    pinned = re.compile(rf"""(?i)\b{name}\b(?:\[[^\]]*\])?['"]?\s*(?:[=~>]=|=)\s*['"^~]*(\d+)""")
    found: list[int] = []
    for pattern in _FILES:
        for file in root.glob(pattern):
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue  # what cannot be read asks for nothing
            found += [int(match[1]) for match in pinned.finditer(text)]
    return min(found, default=None)
