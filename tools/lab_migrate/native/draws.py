"""Whether a class of the project's may draw random numbers, or remember calls: told from its source, never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import attrs

from lab_bridge.config.sources.modules import Definition, Sources, dotted
from lab_bridge.config.sources.signatures import ancestry
from lab_migrate.native.hook_methods import DRAWLESS, DRAWLESS_METHODS
from lab_migrate.native.own_generators import draws_of, own_generators

__all__ = ["PLAIN_BASES", "Draws"]

#: Bases of other libraries that draw nothing when they are made, nor remember calls.
PLAIN_BASES = ("object", "typing.Protocol", "typing.Generic", "abc.ABC", "torch.nn.Module", "torch.utils.data.Dataset")
#: More calls that draw nothing, of math, numpy and torch.
PURE = {
    "arange", "bisect", "bisect_left", "bisect_right", "clip", "field", "full", "interp", "linspace", "log10", "log2",
    "maximum", "minimum", "ones", "register_buffer", "register_parameter", "requires_grad_", "sigmoid", "stack", "tanh",
    "zeros",
}  # fmt: skip
#: Modules of Python's whose functions and classes draw from no global generator.
QUIET = {
    "bisect", "collections", "contextlib", "copy", "csv", "dataclasses", "datetime", "enum", "fractions", "functools",
    "heapq", "itertools", "json", "logging", "math", "operator", "os", "pathlib", "re", "statistics", "string", "sys",
    "textwrap", "time", "typing", "warnings",
}  # fmt: skip
#: What changes what it is asked of.
CHANGES = {"add", "append", "clear", "extend", "insert", "pop", "popleft", "remove", "setdefault", "update"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@attrs.define
class Draws:
    """Reads the sources of a project in `root`."""

    root: Path
    sources: Sources = attrs.field(factory=Sources)

    def __attrs_post_init__(self) -> None:
        self.sources.add(self.root)

    def by(self, target: str, method: str) -> str | None:
        """What a class does in `method`, or in what that calls, that may draw; None where nothing is.

        A function that stands in the place of a class is read as a whole.
        """
        found = self.sources.find(target)
        if not isinstance(found, Definition):
            return None if target.startswith("legacy_lab.") else f"comes from {target}, which cannot be read"
        return next(self._drawn(found, method, set()), None)

    def has(self, target: str, method: str) -> bool:
        """Whether it is a class of the project's with such a method."""
        found = self.sources.find(target)
        return isinstance(found, Definition) and bool(self._methods(found, method))

    def is_function(self, target: str) -> bool:
        """Whether it is a function of the project's."""
        found = self.sources.find(target)
        return isinstance(found, Definition) and isinstance(found.node, ast.FunctionDef)

    def is_pythons(self, home: str, name: str) -> bool:
        """Whether a name in the file of the module `home` is something of Python's own that draws nothing."""
        module = self.sources.module(home)
        if module is None or name.partition(".")[0] not in module.names:
            return False
        meant = self.sources.resolve(module, name)
        first = meant.partition(".")[0] if isinstance(meant, str) else ""
        return first in QUIET and self.sources.file_of(first) is None

    def remembered(self, target: str, method: str) -> str | None:
        """What it changes of itself there; None where nothing is."""
        found = self.sources.find(target)
        if not isinstance(found, Definition):
            return None
        for node in self._methods(found, method):
            for inner in ast.walk(node):
                if _changes_itself(inner):
                    return f"changes itself ({ast.unparse(inner)})"
        return None

    def keeps(self, target: str, name: str) -> bool:
        """Whether it is a class of the project's that sets an attribute once: in its body, or when it is made."""
        found = self.sources.find(target)
        if not isinstance(found, Definition):
            return False
        lineage = [one.node for one in ancestry(found, self.sources) if isinstance(one, Definition)]
        parts = [part for one in lineage if isinstance(one, ast.ClassDef) for part in one.body]
        inits = [part for part in parts if isinstance(part, FUNCTIONS) and part.name == "__init__"]
        places = [_set_in(part, name) for part in parts]
        return sum(places) == 1 and any(
            count and not (isinstance(part, FUNCTIONS) and part is not inits[0])
            for part, count in zip(parts, places, strict=True)
        )

    def _methods(self, owner: Definition, method: str) -> list[ast.AST]:
        """A method of a class and of its bases, with all methods that these call on themselves."""
        own = [one for one in ancestry(owner, self.sources) if isinstance(one, Definition)]
        bodies = [part for one in own if isinstance(one.node, ast.ClassDef) for part in one.node.body]
        found: dict[str, list[ast.AST]] = {}
        waiting = [method]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found[name] = [part for part in bodies if isinstance(part, FUNCTIONS) and part.name == name]
            called = (node for part in found[name] for node in ast.walk(part) if isinstance(node, ast.Attribute))
            waiting += [node.attr for node in called if dotted(node.value) == "self"]
        return [part for parts in found.values() for part in parts]

    def _is_method(self, called: ast.expr, owner: Definition) -> bool:
        """`self.method` and `super().method`, which are read as methods; `self.f`, a function that it made itself."""
        if not isinstance(called, ast.Attribute):
            return False
        if isinstance(called.value, ast.Call) and dotted(called.value.func) == "super":
            return True
        if dotted(called.value) != "self":
            return False
        made = (node for part in self._methods(owner, "__init__") for node in ast.walk(part))
        functions = (one for one in made if isinstance(one, ast.Assign) and isinstance(one.value, ast.Lambda))
        named = {ast.unparse(target) for one in functions for target in one.targets}
        return bool(self._methods(owner, called.attr)) or ast.unparse(called) in named

    def _drawn(self, owner: Definition, method: str, seen: set[str]) -> Iterator[str]:
        if owner.qualified in seen:
            return
        seen.add(owner.qualified)
        if not isinstance(owner.node, ast.ClassDef):
            yield from self._drawn_in(owner.node, owner, seen)
            return
        for base in ancestry(owner, self.sources):
            if isinstance(base, str) and base not in PLAIN_BASES and not base.startswith("legacy_lab."):
                yield f"is built on {base}"
        fields = [part for part in owner.node.body if isinstance(part, ast.AnnAssign)] if method == "__init__" else []
        for node in (*fields, *self._methods(owner, method)):
            yield from self._drawn_in(node, owner, seen)

    def _drawn_in(self, node: ast.AST, owner: Definition, seen: set[str]) -> Iterator[str]:
        generators = own_generators(node)
        for call in ast.walk(node):
            if not isinstance(call, ast.Call) or self._is_method(call.func, owner) or draws_of(call, generators):
                continue
            name = dotted(call.func)
            meant = self.sources.resolve(owner.module, name) if name else ""
            if isinstance(meant, Definition):
                yield from self._drawn(meant, "__init__", seen)
            elif not _is_drawless(meant or getattr(call.func, "attr", "")):
                yield f"calls {ast.unparse(call.func)}, which may draw"


def _set_in(part: ast.stmt, name: str) -> int:
    """How often a class's body or an object's method gives an attribute a value, or defines it as anything else."""
    if isinstance(part, FUNCTIONS):
        stored = (node for node in ast.walk(part) if isinstance(getattr(node, "ctx", None), ast.Store | ast.Del))
        return 2 * (part.name == name) + sum(ast.unparse(node) == f"self.{name}" for node in stored)
    named = (node for node in ast.walk(part) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return sum(node.id == name for node in named)


def _is_drawless(name: str) -> bool:
    first, _, rest = name.partition(".")
    last = name.rpartition(".")[2]
    if not rest and name in DRAWLESS:
        return True
    return first == "math" or last in DRAWLESS_METHODS | PURE or last.endswith(("Error", "Loss"))


def _changes_itself(node: ast.AST) -> bool:
    match node:
        case ast.Global() | ast.Nonlocal() | ast.Call(func=ast.Name(id="next")):
            return True
        case ast.Call(func=ast.Attribute(attr=name, value=value)) if name in CHANGES:
            return dotted(value).startswith("self.")
        case ast.Attribute(ctx=ast.Store()):
            return dotted(node).startswith("self.")
        case ast.Subscript(ctx=ast.Store(), value=value):
            return dotted(value).startswith("self.")
    return False
