"""What leaves the files of a project, and what that leaves of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from lab_bridge.config.schema import Schema
from lab_migrate.findings import Finding
from lab_migrate.native.entry import legacy_imports
from lab_migrate.native.files import File
from lab_migrate.native.handed_on import handed_on
from lab_migrate.native.left_out import left_out, said
from lab_migrate.native.relinked import relinked
from lab_migrate.native.taken import Taken, taken_out

__all__ = ["Moved", "moved_out"]


@attrs.frozen
class Moved:
    """The changed files, the objectives of Lab's that they link, what stands against it, and what is left out."""

    files: Mapping[str, Taken]
    linked: tuple[str, ...]
    findings: tuple[Finding, ...]
    left_out: tuple[Finding, ...] = ()


def moved_out(
    root: Path, files: Mapping[str, File], entry: str, package: str, parts: Sequence[Any],
    more: Mapping[Path, Sequence[str]], trainer: Any, schema: Schema,
) -> Moved:  # fmt: skip
    """Take `parts` of a `trainer`'s config, and `more` classes, out of their files; `entry` is written anew.

    Where Lab would stay behind, maybe for what nothing uses, that is left out, too.
    """
    out = taken_out(root, parts, schema, more)
    moved = _moved(root, files, entry, package, out)
    left = left_out(root, files, entry, out, trainer, schema) if moved.findings else {}
    if not left:
        return moved
    both = {**more, **{root / path: [*more.get(root / path, ()), *names] for path, names in left.items()}}
    moved = _moved(root, files, entry, package, taken_out(root, parts, schema, both))
    return attrs.evolve(moved, left_out=tuple(said(files, left)))


def _moved(root: Path, files: Mapping[str, File], entry: str, package: str, out: Mapping[str, Taken]) -> Moved:
    still = handed_on(root, files, entry, out)
    linked = relinked(files, entry, package, still.files)
    changed = {**still.files, **linked.files}
    return Moved(changed, linked.targets, (*legacy_imports(files, entry, changed), *still.findings))
