"""The statements of a gin file, by gin's own parser: nothing is imported, registered or evaluated.

gin's parser stops at the first error; here it goes on with the next statement, so that all errors come at once.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from gin import config_parser

from lab_bridge.config.places import Place
from lab_bridge.config.problems import Problem

__all__ = ["Binding", "GinFile", "Import", "MacroUse", "Reference", "read_gin", "read_gin_text"]


@attrs.frozen
class Reference:
    """`@scope/name`, or `@scope/name()` where `called`."""

    scope: tuple[str, ...]
    selector: str
    called: bool
    place: Place = attrs.field(eq=False)

    def __str__(self) -> str:
        return f"@{'/'.join([*self.scope, self.selector])}{'()' if self.called else ''}"


@attrs.frozen
class MacroUse:
    """`%name`."""

    name: str
    place: Place = attrs.field(eq=False)


@attrs.frozen
class Binding:
    """`scope/selector.parameter = value`; a macro's definition has an empty `parameter` and its name as `selector`."""

    scope: tuple[str, ...]
    selector: str
    parameter: str
    value: Any
    place: Place

    @property
    def key(self) -> str:
        """As it is written on the left."""
        name = "/".join([*self.scope, self.selector])
        return f"{name}.{self.parameter}" if self.parameter else name


@attrs.frozen
class Import:
    """An import statement of a gin file; `line` is what it says."""

    module: str
    line: str
    place: Place


@attrs.frozen
class Block:
    """The head of an indented group of bindings."""

    selector: str
    place: Place


@attrs.frozen
class GinFile:
    """What a gin file and the files that it includes say, in gin's order."""

    path: str
    bindings: tuple[Binding, ...]
    imports: tuple[Import, ...]
    blocks: tuple[Block, ...]
    problems: tuple[Problem, ...]
    files: tuple[str, ...]


def read_gin(path: Path, search: tuple[Path, ...] = ()) -> GinFile:
    """Read a gin file and, in their place, those that it includes.

    gin looks for an included file from the folder in which the program runs. That is not known here, so `search` is
    tried in its order, then the including file's own folder.
    """
    reader = _Reader(search)
    reader.file(path, Place(str(path)))
    return reader.result(str(path))


def read_gin_text(text: str, name: str = "<text>", search: tuple[Path, ...] = ()) -> GinFile:
    """Read gin statements; see `read_gin`."""
    reader = _Reader(search)
    reader.text(text, name, Path())
    return reader.result(name)


class _Reader:
    def __init__(self, search: tuple[Path, ...]) -> None:
        self._search = search
        self._open: list[Path] = []
        self._bindings: list[Binding] = []
        self._imports: list[Import] = []
        self._blocks: list[Block] = []
        self._problems: list[Problem] = []
        self._files: list[str] = []

    def result(self, path: str) -> GinFile:
        return GinFile(
            path,
            tuple(self._bindings),
            tuple(self._imports),
            tuple(self._blocks),
            tuple(self._problems),
            tuple(self._files),
        )

    def file(self, path: Path, asked: Place) -> None:
        if path.resolve() in self._open:
            self._say(asked, "include", f"expected files that include each other in no circle, found {path} again")
            return
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            self._say(asked, "include", f"expected a config file, found no {path}")
            return
        except (OSError, UnicodeDecodeError) as error:
            self._say(asked, "include", f"expected a config file in UTF-8, found {path}: {error}")
            return
        self._open.append(path.resolve())
        self._files.append(str(path))
        self.text(text, str(path), path.parent)
        self._open.pop()

    def text(self, text: str, name: str, folder: Path) -> None:
        lines = _Lines(text)
        delegate = _Delegate(lines, name)
        parser: config_parser.ConfigParser | None = None
        while True:
            try:
                if parser is None:
                    parser = config_parser.ConfigParser(text, delegate)
                statement = parser.parse_statement()
            except (SyntaxError, tokenize.TokenError) as error:
                line, said = _said(error, lines)
                self._say(Place(name, line), "syntax", f"expected a gin statement, found {said}")
                if parser is None or not _skip(parser, lines):
                    return
                delegate.start_at(parser.current_token.start[0])
                continue
            if statement is None:
                return
            self._take(statement, name, folder)

    def _take(self, statement: Any, name: str, folder: Path) -> None:
        place = Place(name, statement.location.line_num)
        match statement:
            case config_parser.BindingStatement(scope, selector, parameter, value):
                self._bindings.append(Binding(_parts(scope), selector, parameter, value, place))
            case config_parser.ImportStatement():
                self._imports.append(Import(statement.module, statement.format(), place))
            case config_parser.BlockDeclaration(_, selector):
                self._blocks.append(Block(selector, place))
            case config_parser.IncludeStatement(filename):
                self._include(filename, folder, place)

    def _include(self, filename: str, folder: Path, place: Place) -> None:
        tried = list(dict.fromkeys(base / filename for base in (*self._search, folder)))
        found = list({path.resolve(): path for path in tried if path.is_file()}.values())
        if not found:
            self._say(
                place,
                "include",
                f"expected a config file, found no {filename} (tried {', '.join(map(str, tried))})",
                "gin looks from the folder where the program runs: name it with --project",
            )
        elif len(found) > 1:
            listed = ", ".join(map(str, found))
            self._say(place, "include", f"expected one file {filename}, found {listed}", "write the path from the root")
        else:
            self.file(found[0], place)

    def _say(self, place: Place, kind: str, message: str, next_step: str = "") -> None:
        self._problems.append(Problem(place, "", kind, message, next_step))


class _Lines:
    """Where statements start and where `@` and `%` stand, which gin's parser does not tell."""

    def __init__(self, text: str) -> None:
        self.starts: list[int] = []
        self.marks: list[int] = []
        fresh = True
        for token in _tokens(text):
            if token.type == tokenize.OP and token.string in "@%":
                self.marks.append(token.start[0])
            if token.type in (tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT):
                fresh = fresh or token.type == tokenize.NEWLINE
            elif fresh and token.start[1] == 0:
                self.starts.append(token.start[0])
                fresh = False


class _Delegate(config_parser.ParserDelegate):  # type: ignore[misc]  # gin ships no types
    """Gives references and macros as data, each with its line."""

    def __init__(self, lines: _Lines, name: str) -> None:
        self._lines, self._name, self._next = lines, name, 0

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
        *scope, selector = scoped_configurable_name.split("/")
        return Reference(tuple(scope), selector, evaluate, self._place())

    def macro(self, macro_name: str) -> MacroUse:
        return MacroUse(macro_name, self._place())

    def start_at(self, line: int) -> None:
        """Go on with the marks from a line on."""
        marks = self._lines.marks
        self._next = next((index for index, mark in enumerate(marks) if mark >= line), len(marks))

    def _place(self) -> Place:
        line = self._lines.marks[self._next]
        self._next += 1
        return Place(self._name, line)


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    try:
        yield from tokenize.generate_tokens(io.StringIO(text).readline)
    except (tokenize.TokenError, SyntaxError):
        return  # the parser meets the same and says so


def _skip(parser: config_parser.ConfigParser, lines: _Lines) -> bool:
    """Go to the next statement that starts at the margin; False where the file ends before one."""
    failed = parser.current_token.start[0]
    wanted = next((line for line in lines.starts if line > failed), None)
    if wanted is None:
        return False
    try:
        while parser.current_token.start[0] < wanted:
            if parser.current_token.type == tokenize.ENDMARKER:
                return False
            parser.advance_one_line()
    except (tokenize.TokenError, SyntaxError, StopIteration):
        return False
    return True


def _said(error: SyntaxError | tokenize.TokenError, lines: _Lines) -> tuple[int, str]:
    if isinstance(error, SyntaxError):
        text = (error.text or "").strip()
        return error.lineno or 0, f"{text!r}: {error.msg.splitlines()[-1].strip()}" if text else error.msg
    # what was opened and never closed began, at the latest, with the last statement
    return lines.starts[-1] if lines.starts else 1, f"the end of the file: {error.args[0]}"


def _parts(scope: str) -> tuple[str, ...]:
    return tuple(scope.split("/")) if scope else ()
