"""What two runs of a program left behind besides their training: printed lines and written files.

Shown beside a verdict, and no part of it: times, paths and progress differ between two runs of the same program, too.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import attrs

__all__ = ["Effects", "effects_of", "told"]

#: A file that is larger is compared by its size only.
LARGEST = 1 << 30
#: A text file, and a checkpoint, that is larger is not looked into.
LARGEST_TEXT, LARGEST_CHECKPOINT = 1 << 24, 1 << 28
SHOWN = 3
_WIDTH = 60
#: Numbers, addresses of objects too, and the blanks that a number of another width leaves before it.
_DIGITS = re.compile(r"([ ]*(?:0x[0-9a-f]+|\d+))")


@attrs.frozen
class Effects:
    """What one run printed to stdout, line by line, and the files that it wrote or changed, by their paths."""

    printed: tuple[str, ...]
    files: dict[str, Path]


def effects_of(printed: str, ran: Path, before: Path) -> Effects:
    """Those of a run in the folder `ran`, a copy of `before`; `printed` is its stdout."""
    # A carriage return overwrites what stood before it, as in a terminal.
    lines = (
        tuple(line.rstrip().rpartition("\r")[2] for line in printed.removesuffix("\n").split("\n")) if printed else ()
    )
    files = {}
    for path in sorted(ran.rglob("*")):
        name = path.relative_to(ran)
        if path.is_file() and "__pycache__" not in name.parts and not _same(path, before / name):
            files[name.as_posix()] = path
    return Effects(lines, files)


def told(legacy: Effects, migrated: Effects) -> list[str]:
    """A line on what was printed and a line on what was written, where there was something on either side."""
    return [line for line in (_printed(legacy, migrated), _written(legacy, migrated)) if line]


def _printed(legacy: Effects, migrated: Effects) -> str:
    one, other = legacy.printed, migrated.printed
    if not one and not other:
        return ""
    if one == other:
        return f"printed: the same {_counted(len(one), 'line')}"
    longest = max(len(one), len(other))
    padded = [(*lines, *[None] * (longest - len(lines))) for lines in (one, other)]
    apart = [number for number, (a, b) in enumerate(zip(*padded, strict=True)) if a != b]
    # Where each line has its time, one of other words is what there is to look at.
    words = [at for at in apart if _masked(padded[0][at]) != _masked(padded[1][at])]
    many = f"{len(apart)} of {_counted(longest, 'line')} differ"
    if not words:
        many += ", in numbers only"
    elif len(words) < len(apart):
        many += f", {len(words)} of them in more than numbers"
    number = (words or apart)[0]
    a, b = _side_by_side(padded[0][number], padded[1][number])
    return f"printed: {many}, first line {number + 1}: {a} against {b}"


def _masked(line: str | None) -> str | None:
    return None if line is None else _DIGITS.sub("0", line)


def _written(legacy: Effects, migrated: Effects) -> str:
    pairs = _paired(legacy.files, migrated.files)
    if not pairs:
        return ""
    apart: list[str] = []
    for one, other in pairs:
        if one is None:
            apart.append(f"{other} (migrated only)")
        elif other is None:
            apart.append(f"{one} (legacy only)")
        elif not _same(legacy.files[one], migrated.files[other]):
            apart.append(one + _how_far(legacy.files[one], migrated.files[other]))
    if not apart:
        return f"files written: {len(pairs)}, the same bytes"
    more = f" and {len(apart) - SHOWN} more" if len(apart) > SHOWN else ""
    return f"files written: {len(apart)} of {len(pairs)} differ: {', '.join(apart[:SHOWN])}{more}"


def _how_far(one: Path, other: Path) -> str:
    """What two files that differ have in common."""
    if _without_numbers(one) == _without_numbers(other) is not None:
        return " (in numbers only)"
    if not zipfile.is_zipfile(one) or max(one.stat().st_size, other.stat().st_size) > LARGEST_CHECKPOINT:
        return ""
    from lab_migrate.checkpoint_files import how_alike  # torch, which few need

    alike = how_alike(one, other)
    return f" ({alike})" if alike else ""


def _paired(legacy: dict[str, Path], migrated: dict[str, Path]) -> list[tuple[str | None, str | None]]:
    """Files of one name; of those left over, files whose names differ in their numbers (times, process ids) only."""
    pairs: list[tuple[str | None, str | None]] = [(name, name) for name in legacy if name in migrated]
    left = [name for name in migrated if name not in legacy]
    for name in (name for name in legacy if name not in migrated):
        partner = next((other for other in left if _DIGITS.sub("0", other) == _DIGITS.sub("0", name)), None)
        if partner is not None:
            left.remove(partner)
        pairs.append((name, partner))
    return pairs + [(None, name) for name in left]


def _same(one: Path, other: Path) -> bool:
    if not other.is_file() or one.stat().st_size != other.stat().st_size:
        return False
    return one.stat().st_size > LARGEST or one.read_bytes() == other.read_bytes()


def _without_numbers(path: Path) -> str | None:
    """A small text file's text, its digits masked; None for anything else."""
    if path.stat().st_size > LARGEST_TEXT:
        return None
    try:
        return _DIGITS.sub("0", path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return None


def _side_by_side(one: str | None, other: str | None) -> tuple[str, str]:
    """Both lines, cut to what surrounds the first character that differs, in words before numbers."""
    starts = (0, 0) if one is None or other is None else _apart(one, other)

    def cut(line: str | None, start: int) -> str:
        if line is None:
            return "nothing"
        left = max(start - _WIDTH // 2, 0)
        text = line[left : left + _WIDTH]
        return repr("…" * (left > 0) + text + "…" * (left + _WIDTH < len(line)))

    return cut(one, starts[0]), cut(other, starts[1])


def _apart(one: str, other: str) -> tuple[int, int]:
    """Where two lines part: at their first other word, or where all words are the same, at their first other number."""
    numbers: tuple[int, int] | None = None
    at = (0, 0)
    for place, (a, b) in enumerate(zip(_DIGITS.split(one), _DIGITS.split(other), strict=False)):
        if a != b and place % 2:
            numbers = numbers or at
        elif a != b:
            same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
            return at[0] + same, at[1] + same
        at = at[0] + len(a), at[1] + len(b)
    return numbers or at


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
