"""Reading a project's files: those that matter in full, the others looked through; large projects in two processes.

What each file shows by itself is found in a second process, while this one looks for the loops across files. Small
projects are read in one: starting another would take longer than the reading.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from lab_migrate.analysis import Module, Project
from lab_migrate.project import NotReadable, Skipped, decode_source
from lab_migrate.scan.facts import FileFacts, facts_of, is_idle_output, matters, parsed
from lab_migrate.scan.syntax import SourceFile

__all__ = ["Reading", "facts_of_files", "read"]

#: Bytes of Python that matter, from which on a second process pays (about a second of reading).
LARGE = 3_000_000


@attrs.define(eq=False)
class Reading:
    """A project as read: what each file shows, and the parsed files as a whole."""

    project: Project
    facts: tuple[FileFacts, ...]
    _files: dict[str, SourceFile] = attrs.field(factory=dict)

    def file(self, path: str) -> SourceFile:
        """The index of a parsed file, made on first use."""
        if path not in self._files:
            module = self.project.modules[path]
            self._files[path] = SourceFile(path, module.text, module.tree)
        return self._files[path]


def read(root: Path, paths: Sequence[str], processes: int | None = None) -> Reading:
    """Read these files of a project. `processes` is 1 or 2; by default the project's size decides."""
    texts: dict[str, str] = {}
    known: dict[str, FileFacts] = {}
    for path in paths:
        found = _text(root, path)
        if isinstance(found, FileFacts):
            known[path] = found
        else:
            texts[path] = found
    if processes is None:
        processes = 2 if sum(map(len, texts.values())) > LARGE else 1
    child = _start(texts) if processes > 1 else None
    modules: dict[str, Module] = {}
    for path, text in texts.items():
        file = parsed(path, text)
        if isinstance(file, Skipped):
            known[path] = FileFacts(path, _lines(text), skipped=file)
            continue
        modules[path] = Module(path, text, file.tree)
        if child is None:
            known[path] = facts_of(file)
    if child is not None:
        known |= {fact.path: fact for fact in _finish(child, texts) if fact.path not in known}
    return Reading(Project(root, modules), tuple(known[path] for path in paths))


def facts_of_files(texts: dict[str, str]) -> list[FileFacts]:
    """What each of these files shows by itself, read in this process."""
    found = []
    for path, text in texts.items():
        file = parsed(path, text)
        found.append(FileFacts(path, _lines(text), skipped=file) if isinstance(file, Skipped) else facts_of(file))
    return found


def _text(root: Path, path: str) -> str | FileFacts:
    """A file's text, or what there is to say of it where it need not be parsed."""
    try:
        data = (root / path).read_bytes()
        text = decode_source(data)
    except OSError as error:
        return FileFacts(path, 0, skipped=Skipped(path, "unreadable", f"not read: {error.strerror}"))
    except NotReadable as error:
        return FileFacts(path, 0, skipped=Skipped(path, error.kind, str(error)))
    if not matters(path, data):
        return FileFacts(path, _lines(text))
    if is_idle_output(data):
        return FileFacts(path, _lines(text), skipped=Skipped(path, "generated", "generated, and trains nothing"))
    return text


def _lines(text: str) -> int:
    return text.count("\n") + (bool(text) and not text.endswith("\n"))


def _start(texts: dict[str, str]) -> subprocess.Popen[bytes]:
    """A second process that finds the facts; what goes there and back is pickled, between us and ourselves."""
    child = subprocess.Popen(
        [sys.executable, "-c", "from lab_migrate.scan.second import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None
    # One that is ended from outside leaves a broken pipe; `_finish` then does its share.
    with contextlib.suppress(BrokenPipeError), child.stdin as pipe:
        pickle.dump(texts, pipe)
    return child


def _finish(child: subprocess.Popen[bytes], texts: dict[str, str]) -> list[FileFacts]:
    assert child.stdout is not None
    answer = child.stdout.read()
    child.stdout.close()
    if child.wait():
        return facts_of_files(texts)  # it was ended from outside: then here, and slower
    found: list[FileFacts] = pickle.loads(answer)
    return found
