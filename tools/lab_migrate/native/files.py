"""The Python files of a project, as level L3 reads them: each one, since any may use what leaves its file."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import attrs
import libcst as cst

from lab_migrate.findings import Finding, Status
from lab_migrate.project import NotReadable, parse_source, python_files, read_source

__all__ = ["File", "read_files"]


@attrs.frozen
class File:
    """One: its path from the project's root, its text, and what that says."""

    path: str
    text: str
    tree: ast.Module


def read_files(root: Path) -> tuple[Mapping[str, File], list[Finding]]:
    """Those that can be read, by path, and a finding for each other."""
    files: dict[str, File] = {}
    findings = []
    for file in python_files(root):
        path = file.relative_to(root).as_posix()
        try:
            text = read_source(file)
            files[path] = File(path, text, parse_source(text))
            if "legacy_lab" in text:
                cst.parse_module(text)
        except NotReadable as error:
            findings.append(_unread(path, error.lineno, str(error)))
        except cst.ParserSyntaxError as error:
            del files[path]
            findings.append(_unread(path, error.raw_line, error.message))
    return files, findings


def _unread(path: str, line: int, why: str) -> Finding:
    return Finding(
        path, line, 0, "LM001", Status.MANUAL, f"not read, and it may use what leaves its file: {why.splitlines()[0]}",
        "mend it or move it out of the project, then convert again",
    )  # fmt: skip
