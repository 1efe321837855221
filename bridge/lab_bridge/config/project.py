"""What a project's sources add to a config: its own builders, and which of them its programs build first."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from lab_bridge.config.lab import ENTRY, add_lab, lab_schema
from lab_bridge.config.schema import Schema
from lab_bridge.config.sources.builders import entry_calls, schema_of_modules
from lab_bridge.config.sources.modules import Sources
from lab_bridge.config.sources.registered import search_paths

__all__ = ["Project", "project_of", "read_project"]

#: What marks the top of a project, above which no other folder belongs to it.
TOPS = (".git", ".hg", "pyproject.toml", "setup.py", "setup.cfg")


@attrs.frozen
class Project:
    """A project as its sources show it; nothing of it was imported.

    `entries` maps builders that its code calls to the parameters that every call passes. `search` are the folders from
    which its gin files include others.
    """

    root: Path | None
    schema: Schema = attrs.field(repr=False)
    entries: dict[str, set[str]]
    search: tuple[Path, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


def project_of(config: Path) -> Path | None:
    """The folder whose sources a config belongs to, or None.

    That is the nearest folder above the config that holds Python files itself, or the top of the repository; never a
    home folder or one of temporary files, which hold anything.
    """
    shared = {Path.home(), Path(tempfile.gettempdir()).resolve(), Path("/")}
    for folder in config.resolve().parents:
        if folder in shared:
            return None
        if next(folder.glob("*.py"), None) is not None or any((folder / top).exists() for top in TOPS):
            return folder
    return None


def read_project(root: Path | None, libraries: Sequence[str] = ()) -> Project:
    """Read a project's sources, and modules of libraries that its configs import. Without a root: Lab alone.

    Lab's builders are known where the project uses Lab; another framework has names of its own.
    """
    if root is None:
        return Project(None, lab_schema(), {ENTRY: set()}, (Path(),))
    sources = Sources()
    add_lab(sources)
    modules = sources.add(root)
    of_lab = _uses_lab(filter(None, map(sources.file_of, modules)))
    base = lab_schema() if of_lab else Schema({}, {})
    for library in libraries:
        sources.read_library(library.split(".")[0])
    own = schema_of_modules(sources, [*modules, *libraries], base)
    schema = base.joined(own)
    entries = entry_calls(sources, modules, schema)
    if of_lab:
        entries.setdefault(ENTRY, set())
    given = [path for name in modules for path in _search(sources, name)]
    search = tuple(dict.fromkeys([Path(), root, *(root / path for path in given)]))
    unreadable = tuple((str(path), reason) for path, reason in sources.unreadable.items())
    return Project(root, schema, entries, search, unreadable)


def _uses_lab(files: Iterable[Path]) -> bool:
    """Whether a project's sources name Lab, or have no gin of their own."""
    has_gin = False
    for path in files:
        try:
            text = path.read_bytes()
        except OSError:
            continue
        if b"legacy_lab" in text or b"lab_bridge" in text:
            return True
        has_gin = has_gin or b"gin." in text
    return not has_gin


def _search(sources: Sources, name: str) -> Iterable[str]:
    module = sources.module(name)
    return search_paths(module, sources) if module is not None else ()
