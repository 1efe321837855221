"""What a tag of a builder dict names (`type: MnistModel`): found in a project's sources, nothing is imported.

A tag means, in this order: what is registered under it; what an `if kind == "adam":` or a table of the project builds
for it; an import path; a name in a module that the project looks names up in (`getattr(torch.optim, …)`, or a module
that is passed to whoever looks up); the one class or function of the project with that name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

import attrs

from lab_bridge.config.problems import did_you_mean
from lab_bridge.config.sources.modules import Definition, Module, Sources, dotted

__all__ = ["Meant", "Tags"]

_REGISTERS = re.compile(r"^(register|register_module|register_\w+|add)$")
_NO_PROJECT = re.compile(r"(^|\.)(tests?|testing|docs?)(\.|$)|(^|\.)(test_|conftest)")


@attrs.frozen
class Meant:
    """A builder that a tag may mean, and how that is known."""

    target: Definition | str
    why: str
    #: The import path that the project uses, where that is another than the one at which it is defined.
    public: str = ""

    @property
    def path(self) -> str:
        """The import path to name it by."""
        return self.public or self.defined

    @property
    def defined(self) -> str:
        """The import path at which it is defined."""
        return self.target.qualified if isinstance(self.target, Definition) else self.target


class Tags:
    """The tags that some modules of a project give a meaning."""

    def __init__(self, sources: Sources, modules: Iterable[str]) -> None:
        self._sources, self._modules, self._is_read = sources, tuple(modules), False
        self._registered: dict[str, dict[str, Meant]] = {}
        self._dispatched: dict[str, dict[str, Meant]] = {}
        self._spaces: dict[str, None] = {}
        self._defined: dict[str, dict[str, Meant]] = {}

    def _require(self) -> None:
        """Read the project, which takes a while, once somebody asks."""
        if not self._is_read:
            self._is_read = True
            for name in self._modules:
                module = self._sources.module(name) if not _NO_PROJECT.search(name) else None
                if module is not None:
                    self._read(module)

    def find(self, tag: str) -> list[Meant]:
        """What a tag may mean: nothing, one builder, or several that the sources do not tell apart."""
        self._require()
        for known in (self._registered, self._dispatched):
            if tag in known:
                return list(known[tag].values())
        if "." in tag:
            found = self._at(tag)
            return [Meant(found, "an import path", tag)] if found is not None else []
        inside: dict[str, Meant] = {}
        for space in self._spaces:
            definition = self._at(f"{space}.{tag}")
            if isinstance(definition, Definition):
                inside.setdefault(definition.qualified, Meant(definition, f"looked up in {space}", f"{space}.{tag}"))
        return list((inside or self._defined.get(tag, {})).values())

    def hint(self, tag: str) -> str:
        """The nearest known tag, as a question; empty where none is near."""
        self._require()
        names = [*self._registered, *self._dispatched]
        for space in self._spaces:
            module = self._sources.module(space)
            names += [name for name in module.names if not name.startswith("_")] if module is not None else []
        near = did_you_mean(tag, [*names, *self._defined], most=0)
        return near if near.startswith("did you") else ""

    def _at(self, path: str) -> Definition | str | None:
        self._sources.read_library(path.split(".")[0])
        found = self._sources.find(path)
        if isinstance(found, Definition):
            return found if isinstance(found.node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else None
        package, _, name = found.rpartition(".")
        # a library that is not installed here, or a name that a module of it makes at run time
        module = self._sources.module(package)
        return found if "." in path and (module is None or name not in module.names) else None

    def _read(self, module: Module) -> None:
        for name, node in module.names.items():
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                definition = Definition(module, name, node)
                self._note(self._defined, name, Meant(definition, "the one of that name"))
                for decorator in node.decorator_list:
                    for tag in _registered_as(decorator, name):
                        self._note(self._registered, tag, Meant(definition, "registered"))
        for inner in ast.walk(module.tree):
            if isinstance(inner, ast.If):
                self._dispatch(inner, module)
            elif isinstance(inner, ast.Dict):
                self._table(inner, module)
            elif isinstance(inner, ast.Call):
                self._call(inner, module)

    def _dispatch(self, node: ast.If, module: Module) -> None:
        tags = list(_compared(node.test))
        if not tags:
            return
        made: dict[str, Meant] = {}
        for statement in node.body:
            for inner in ast.walk(statement):
                if isinstance(inner, ast.Call):
                    meant = self._class(inner.func, module)
                    if meant is not None:
                        made.setdefault(meant.defined, meant)
        if len(made) == 1:
            for tag in tags:
                self._note(self._dispatched, tag, next(iter(made.values())))

    def _table(self, node: ast.Dict, module: Module) -> None:
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
        values = [self._class(value, module) for value in node.values if isinstance(value, ast.Name | ast.Attribute)]
        if keys and len(keys) == len(node.keys) == len(values) and all(values):
            for tag, meant in zip(keys, values, strict=True):
                assert meant is not None, "all are known"
                self._note(self._dispatched, tag, meant)

    def _class(self, node: ast.expr, module: Module) -> Meant | None:
        name = dotted(node)
        if not name:
            return None
        meant = self._sources.resolve(module, name)
        if isinstance(meant, Definition):
            return Meant(meant, "built for it") if isinstance(meant.node, ast.ClassDef) else None
        last = meant.rpartition(".")[2]
        if "." not in meant or not last[:1].isupper():
            return None
        found = self._at(meant)
        return Meant(found, "built for it", meant) if found is not None else None

    def _call(self, node: ast.Call, module: Module) -> None:
        name = dotted(node.func)
        if name == "getattr" and len(node.args) >= 2 and not isinstance(node.args[1], ast.Constant):
            self._space(node.args[0], module)
            return
        last = name.rpartition(".")[2]
        if _REGISTERS.match(last) and (node.args or node.keywords):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            thing = given.get("module") or next((arg for arg in node.args if dotted(arg)), None)
            tag = given.get("name") or next((arg for arg in node.args if isinstance(arg, ast.Constant)), None)
            meant = self._class(thing, module) if thing is not None else None
            if meant is not None:
                known = tag.value if isinstance(tag, ast.Constant) and isinstance(tag.value, str) else ""
                self._note(self._registered, known or meant.path.rpartition(".")[2], meant)
        for argument in node.args:
            if isinstance(argument, ast.Name | ast.Attribute):
                self._space(argument, module)

    def _space(self, node: ast.expr, module: Module) -> None:
        name = dotted(node)
        first = name.split(".")[0]
        if not name or not isinstance(module.names.get(first), str):
            return
        meant = self._sources.resolve(module, name)
        if isinstance(meant, str) and meant not in self._spaces:
            if meant.split(".")[0] in ("torch", "torchvision", "torchaudio"):
                self._sources.read_library(meant.split(".")[0])
            if self._sources.module(meant) is not None:
                self._spaces[meant] = None

    def _note(self, known: dict[str, dict[str, Meant]], tag: str, meant: Meant) -> None:
        known.setdefault(tag, {}).setdefault(meant.defined, meant)


def _registered_as(decorator: ast.expr, name: str) -> Iterator[str]:
    call = decorator if isinstance(decorator, ast.Call) else None
    last = dotted(call.func if call is not None else decorator).rpartition(".")[2]
    if not _REGISTERS.match(last):
        return
    given = [] if call is None else [*call.args, *(k.value for k in call.keywords if k.arg in ("name", "names", None))]
    found = [text for value in given for text in _texts(value)]
    yield from found or [name]


def _compared(test: ast.expr) -> Iterator[str]:
    """The texts that a test compares something with: `kind == "a"`, `kind in ["a", "b"]`, joined by `or`."""
    match test:
        case ast.BoolOp(op=ast.Or(), values=values):
            for value in values:
                yield from _compared(value)
        case ast.Compare(left=left, ops=[ast.Eq() | ast.In()], comparators=[right]):
            yield from _texts(right) or _texts(left)


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [text for item in node.elts for text in _texts(item)]
    return []
