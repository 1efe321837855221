"""The Python files of a project, parsed once, with the names that they define and import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import attrs

from lab_migrate.analysis.symbols import Class, Function, Symbols, collect
from lab_migrate.project import parse_source, python_files, read_source

#: Python ends a line at these, and at nothing else; `str.splitlines` knows more.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
#: A file above this many bytes is data or generated code.
LARGEST = 2_000_000


@attrs.frozen
class Unread:
    """A file that was not read, and why."""

    path: str
    line: int
    reason: str


@attrs.define(slots=False, eq=False)
class Module:
    """One file: its text, its tree and what it defines. `path` is relative to the project's root, with slashes."""

    path: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """The dotted name under which the root's own imports find it."""
        stem = self.path.removesuffix(".py")
        return stem.removesuffix("/__init__").replace("/", ".")

    @property
    def is_package(self) -> bool:
        """Whether it is an `__init__.py`."""
        return self.path.endswith("__init__.py")

    @cached_property
    def symbols(self) -> Symbols:
        """Functions, classes and imports."""
        return collect(self)

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines as UTF-8, line ends included."""
        return [line.encode() for line in _LINE.findall(self.text)]

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line))
        return starts

    def offset(self, line: int, column: int) -> int:
        """The byte offset in the UTF-8 text of a line (from 1) and byte column."""
        return self._starts[line - 1] + column

    def start(self, node: ast.expr | ast.stmt) -> int:
        """First byte of a node; of its first decorator where it has one."""
        decorators = getattr(node, "decorator_list", None)
        if decorators:
            first = decorators[0]
            return self.text.encode().rfind(b"@", 0, self.offset(first.lineno, first.col_offset))
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Byte after the last one of a node."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.end_lineno, node.end_col_offset)

    def source(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node, as written."""
        return self.text.encode()[self.start(node) : self.end(node)].decode()


@attrs.define(slots=False, eq=False)
class Project:
    """All files of a project that could be read."""

    root: Path
    modules: dict[str, Module]
    unread: tuple[Unread, ...] = ()

    @cached_property
    def functions(self) -> list[Function]:
        """Every function of every file, module bodies included."""
        return [function for module in self.modules.values() for function in module.symbols.functions]

    @cached_property
    def classes(self) -> list[Class]:
        """Every class of every file."""
        return [cls for module in self.modules.values() for cls in module.symbols.classes]

    @cached_property
    def _tails(self) -> dict[str, list[Module]]:
        tails: dict[str, list[Module]] = {}
        for module in self.modules.values():
            parts = module.name.split(".")
            for start in range(len(parts)):
                tails.setdefault(".".join(parts[start:]), []).append(module)
        return tails

    def find_module(self, dotted: str, importer: Module) -> Module | None:
        """The file that `import dotted` means in `importer`: beside it first, then anywhere with that dotted tail."""
        found = self._tails.get(dotted, [])
        if len(found) <= 1:
            return found[0] if found else None
        folder = importer.path.rpartition("/")[0]

        def distance(module: Module) -> tuple[int, int]:
            common = 0
            for mine, theirs in zip(folder.split("/"), module.path.split("/"), strict=False):
                if mine != theirs:
                    break
                common += 1
            return -common, len(module.path)

        return min(found, key=distance)


def read_project(root: Path, files: Iterable[Path] | None = None) -> Project:
    """Parse a project's Python files (or just `files`); what cannot be read is listed with its reason, never fatal."""
    modules: dict[str, Module] = {}
    unread: list[Unread] = []
    for file in files if files is not None else python_files(root):
        path = file.relative_to(root).as_posix()
        try:
            if file.stat().st_size > LARGEST:
                unread.append(Unread(path, 0, f"larger than {LARGEST} bytes: data or generated code"))
                continue
            text = read_source(file)
            tree = parse_source(text)
        except (SyntaxError, UnicodeDecodeError, ValueError, OSError, RecursionError, MemoryError) as error:
            unread.append(Unread(path, getattr(error, "lineno", None) or 0, str(error).splitlines()[0][:200]))
            continue
        modules[path] = Module(path, text, tree)
    return Project(root, modules, tuple(unread))
