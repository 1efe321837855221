"""Real source files, mutated: cut short, spliced, with lines lost or doubled, in odd encodings, nested too deep."""

from __future__ import annotations

import ast
import copy
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

__all__ = ["mutants", "sources"]

_BYTES = (
    b"\0", b"\r", b"\x0c", b"\xff\xfe", b"\xe2\x80\xa8", b"\t", b"\\\n", b'"""', b"'", b"(", b")", b"]", b":", b"#",
    b"\xc3(", b"lambda: ", b"match x:\n", b"*", b"await ", b"if 1:\n", b"\xef\xbb\xbf", b"f'{", b"yield ",
    b"nonlocal x\n",
)  # fmt: skip


def sources(folders: Sequence[Path], largest: int = 60_000) -> list[bytes]:
    """The bytes of every Python file below some folders, in order, less the largest."""
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return [data for path in files if len(data := path.read_bytes()) <= largest]


def mutants(pool: Sequence[bytes], number: int, seed: int) -> Iterator[bytes]:
    """`number` mutants of files of a pool, always the same for the same seed."""
    draw = random.Random(seed)
    for _ in range(number):
        data = draw.choice(pool)
        for _ in range(draw.choice([1, 1, 2])):
            data = draw.choice(_WAYS)(draw, data, pool)
        yield data


def _cut(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    return data[: draw.randint(0, len(data))]


def _cut_lines(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[: draw.randint(0, len(lines))])


def _splice(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    first, second = data.splitlines(keepends=True), draw.choice(pool).splitlines(keepends=True)
    return b"".join(first[: draw.randint(0, len(first))] + second[draw.randint(0, len(second)) :])


def _graft(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """A few lines of another file, at the indentation of the place where they go: this often parses."""
    lines, other = data.splitlines(keepends=True), draw.choice(pool).splitlines(keepends=True)
    if not lines or not other:
        return data
    at, start = draw.randrange(len(lines)), draw.randrange(len(other))
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())].strip(b"\r\n")
    taken = [indent + line.lstrip() for line in other[start : start + draw.randint(1, 4)]]
    return b"".join(lines[:at] + taken + lines[at:])


def _lose(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    lines = data.splitlines(keepends=True)
    for _ in range(draw.randint(1, 3)):
        if lines:
            del lines[draw.randrange(len(lines))]
    return b"".join(lines)


def _double(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    lines = data.splitlines(keepends=True)
    if lines:
        at = draw.randrange(len(lines))
        lines[at:at] = lines[at : at + draw.randint(1, 5)]
    return b"".join(lines)


def _insert(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    at = draw.randint(0, len(data))
    return data[:at] + draw.choice(_BYTES) + data[at:]


def _flip(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = draw.randrange(len(data))
    return data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]


def _declare(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """A declared encoding, in which the rest may or may not be."""
    name = draw.choice(
        [b"latin-1", b"utf-8", b"cp932", b"utf-7", b"rot13", b"nonsense", b"utf-16", b"hex", b"euc-jp", b"idna"]
    )
    return b"# -*- coding: " + name + b" -*-\n" + data


def _nest(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    deep = draw.choice([50, 150, 1000, 5000])
    thing = draw.choice([
        b"(" * deep + b")" * deep, b"-" * deep + b"1", b"not " * deep + b"x", b"x" + b".y" * deep, b"x" + b"()" * deep,
        b"[" * deep + b"]" * deep, b"1" + b"+1" * deep, b"lambda: " * deep + b"0", b"x" + b"[0]" * deep,
        b"1 if 1 else " * deep + b"1",
    ])  # fmt: skip
    return data + b"\nimport torch\nloss = " + thing + b"\n"


def _rearrange(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """Statements moved and copied between suites, of this file or from another: what comes out parses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree, other = ast.parse(data), ast.parse(draw.choice(pool))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return data
    suites, taken = _suites(tree), _suites(draw.choice([tree, other]))
    try:
        for _ in range(draw.randint(1, 8)):
            source, target = draw.choice(taken), draw.choice(suites)
            statement = copy.deepcopy(draw.choice(source))
            if len(source) > 1 and draw.random() < 0.5:
                del source[draw.randrange(len(source))]
            target.insert(draw.randint(0, len(target)), statement)
        return ast.unparse(ast.fix_missing_locations(tree)).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return data


def _suites(tree: ast.Module) -> list[list[ast.stmt]]:
    found = [
        getattr(node, name)
        for node in ast.walk(tree)
        for name in ("body", "orelse", "finalbody")
        if hasattr(node, name)
    ]
    return [suite for suite in found if isinstance(suite, list) and suite] or [[ast.Pass()]]


def _line_ends(draw: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", draw.choice([b"\r\n", b"\r"]))


_WAYS: tuple[Callable[[random.Random, bytes, Sequence[bytes]], bytes], ...] = (
    *[_rearrange] * 12, _cut, _cut_lines, _splice, _graft, _graft, _graft, _lose, _double, _insert, _flip, _declare,
    _nest, _line_ends,
)  # fmt: skip
