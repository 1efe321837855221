"""Works out what a Python config assigns: a small, pure part of Python, in which nothing of the file is run.

It knows literals, names, attributes, arithmetic, dicts and lists and their methods, the config classes of yacs,
fvcore and ml_collections, lazy calls, imports of other files of the project, functions of theirs, `if` and `for` over
known values. What it does not know becomes `Unknown` where it is assigned, and is a problem only where the config
would need it.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lab_bridge.config.python.expressions import Scope
from lab_bridge.config.python.files import file_of, read_source
from lab_bridge.config.python.statements import Returned, Statements
from lab_bridge.config.python.values import Function, Plain, Unknown, Value
from lab_bridge.config.sources.modules import Sources

__all__ = ["Program"]

_MOST_STEPS = 100_000
_DEEPEST = 30


class _TooLong(Exception):  # noqa: N818
    pass


class Program:
    """The files of one config program; each is read once, as Python imports it once."""

    def __init__(self, sources: Sources, root: Path | None = None) -> None:
        self._sources, self._root = sources, root
        self._files: dict[Path, Scope] = {}
        self._steps = 0
        self._depth = 0
        self.read: list[Path] = []

    def scope(
        self,
        path: Path,
        before: Mapping[str, Value] | None = None,
        text: str | None = None,
        until: Callable[[ast.stmt], bool] | None = None,
        skip: Callable[[ast.stmt], bool] | None = None,
    ) -> Scope:
        """The names that a file's top level binds, those of `before` included. Raises `OSError`, `SyntaxError`.

        `text` stands for the file's own, as when a framework rewrites it. Statements for which `skip` holds are left
        out, as are all from the first one for which `until` holds.
        """
        path = path.resolve()
        if path not in self._files:
            self._files[path] = scope = dict(before or {})
            self.read.append(path)
            text = text if text is not None else read_source(path)
            run = Statements(self, path, text, scope)
            body = ast.parse(text).body
            end = next((index for index, node in enumerate(body) if until is not None and until(node)), len(body))
            with contextlib.suppress(Returned, _TooLong, RecursionError):
                run.body(node for node in body[:end] if skip is None or not skip(node))
        return self._files[path]

    def value(self, path: Path, node: ast.expr, scope: Scope) -> Value:
        """What an expression of a file stands for."""
        return Statements(self, path.resolve(), "", dict(scope)).value(node)

    def called(self, function: Function, arguments: list[Value], named: dict[str, Value]) -> Value:
        """What a function returns; `Unknown` where that cannot be worked out."""
        self._depth += 1
        try:
            if self._depth > _DEEPEST or isinstance(function.node, ast.Lambda):
                return Unknown(f"{function.path}(…)", function.place)
            path = Path(function.place.file)
            scope: Scope = {**function.scope, **bound(function, arguments, named)}
            run = Statements(self, path, read_source(path), scope)
            for parameter, default in _defaults(function.node):
                if parameter not in named and parameter not in bound(function, arguments, named):
                    scope[parameter] = run.value(default)
            try:
                run.body(function.node.body)
            except Returned as result:
                return result.value
            except (_TooLong, RecursionError):
                return Unknown(f"{function.path}(…)", function.place)
            return Plain(None, function.place)
        finally:
            self._depth -= 1

    def step(self) -> None:
        """Count a statement, so that no loop runs on. Raises `_TooLong`."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise _TooLong

    def imported(self, module: str, level: int, here: Path) -> Path | None:
        """The file of a module that a file imports, if it is the project's."""
        parts = module.split(".") if module else []
        if level:
            folder = here.parent
            for _ in range(level - 1):
                folder = folder.parent
            return file_of(folder.joinpath(*parts))
        for folder in dict.fromkeys(filter(None, (here.parent, self._root, *list(here.parents)[:6]))):
            found = file_of(folder.joinpath(*parts)) if parts else None
            if found is not None and found != here:
                return found
        return None


def bound(function: Function, arguments: list[Value], named: dict[str, Value]) -> dict[str, Value]:
    """Arguments by the function's parameter names."""
    names = [argument.arg for argument in [*function.node.args.posonlyargs, *function.node.args.args]]
    return dict(zip(names, arguments, strict=False)) | named


def _defaults(node: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    positional = [*node.args.posonlyargs, *node.args.args]
    if node.args.defaults:
        yield from ((a.arg, d) for a, d in zip(positional[-len(node.args.defaults) :], node.args.defaults, strict=True))
    yield from ((a.arg, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None)
