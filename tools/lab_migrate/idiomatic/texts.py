"""What lies between two texts of one file: edits of whole lines, and which line was which."""

from __future__ import annotations

import ast
import difflib

from lab_migrate.analysis import Module
from lab_migrate.convert.rule import Edit

__all__ = ["edits_between", "lines_between", "lines_of"]


def edits_between(before: str, after: str) -> list[Edit]:
    """Edits of whole lines that make one text of another."""
    old, new = lines_of(before), lines_of(after)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line.encode()))
    return [
        Edit(starts[i], starts[j], "".join(new[k:end]))
        for tag, i, j, k, end in _changes(old, new)
        if tag != "equal"
    ]  # fmt: skip


def lines_between(before: str, after: str) -> list[int]:
    """For each line of a text its number in the text that it was made of; for a new one that of the line above it."""
    numbers: list[int] = []
    for tag, i, _, k, end in _changes(lines_of(before), lines_of(after)):
        numbers += [i + 1 + at if tag == "equal" else max(i, 1) for at in range(end - k)]
    return numbers


def lines_of(text: str) -> list[str]:
    """As Python counts them, ends included."""
    return [line.decode() for line in Module("", text, ast.Module([], [])).lines]


def _changes(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    return [*difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()]
