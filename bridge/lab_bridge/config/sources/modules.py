"""The modules of some folders, parsed on demand, and what a dotted name in one of them stands for."""

from __future__ import annotations

import ast
import importlib.util
import os
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from lab_bridge.config.places import Place

__all__ = ["Definition", "Module", "Sources", "dotted"]

#: Folders that hold no source of a project.
SKIPPED = frozenset(
    {".git", ".hg", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox",
     "node_modules", "site-packages", "build", "dist", "runs", ".ipynb_checkpoints"}
)  # fmt: skip
_LONGEST_CHAIN = 20

Statement = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign


@attrs.frozen(eq=False)
class Module:
    """One parsed file. `names` maps what its top level binds to a statement, or to the dotted name it imports."""

    name: str
    path: Path
    tree: ast.Module
    names: dict[str, Statement | str]
    stars: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class Definition:
    """Where a name is defined: `qualified` is the import path by which it can be had."""

    module: Module
    name: str
    node: Statement

    @property
    def qualified(self) -> str:
        """`package.module.Name`."""
        return f"{self.module.name}.{self.name}" if self.module.name else self.name

    @property
    def place(self) -> Place:
        """File and line."""
        return Place(str(self.module.path), self.node.lineno)


class Sources:
    """The modules below some roots. A root is a folder that stands on `sys.path`, or one package of it.

    Installed packages are read where they are named in `libraries`; others stay dotted names. Files that cannot be
    parsed are skipped and kept in `unreadable`, with the reason.
    """

    def __init__(self, libraries: Iterable[str] = ()) -> None:
        self._libraries = set(libraries)
        self._files: dict[str, Path] = {}
        self._modules: dict[str, Module | None] = {}
        self.unreadable: dict[Path, str] = {}

    def read_library(self, name: str) -> None:
        """Read an installed package from now on, too."""
        if name not in self._libraries:
            self._libraries.add(name)
            self._modules = {known: module for known, module in self._modules.items() if module is not None}

    def add(self, root: Path, package: str = "") -> list[str]:
        """Make the modules below `root` known, under `package` where given; returns their names, in order."""
        found = []
        for file in _python_files(root):
            name = _module_name(file, root, package)
            self._files.setdefault(name, file)
            found.append(name)
        return found

    def file_of(self, name: str) -> Path | None:
        """The file of a module below a root."""
        return self._files.get(name)

    def module(self, name: str) -> Module | None:
        """The module of that name, parsed now; None where it is not below a root or cannot be read."""
        if name not in self._modules:
            self._modules[name] = self._parse(name)
        return self._modules[name]

    def holds(self, full: str) -> bool:
        """Whether an import path leads into a module below a root."""
        parts = full.split(".")
        return any(self.module(".".join(parts[:cut])) is not None for cut in range(1, len(parts) + 1))

    def resolve(self, module: Module, name: str) -> Definition | str:
        """What `name` (dotted) means in `module`: a definition below a root, else its full dotted name."""
        first, _, rest = name.partition(".")
        bound = module.names.get(first)
        if bound is None:
            for star in module.stars:
                other = self.module(star)
                if other is not None and (first in other.names or other.stars):
                    found = self.resolve(other, name)
                    if isinstance(found, Definition) or found != name:
                        return found
            return name
        if isinstance(bound, str):
            return self.find(f"{bound}.{rest}" if rest else bound)
        return Definition(module, first, bound) if not rest else f"{module.name}.{name}"

    def imported(self, module: Module, name: str) -> Definition | str:
        """What `name` means in `module` as far as imports say, whatever is defined under it further down."""
        names: dict[str, Statement | str] = {}
        for node in _top_level(module.tree.body):
            if isinstance(node, ast.Import | ast.ImportFrom):
                _bind(node, module.name.rpartition(".")[0], names, [])
        first, _, rest = name.partition(".")
        bound = names.get(first)
        return self.find(f"{bound}.{rest}" if rest else bound) if isinstance(bound, str) else name

    def find(self, full: str, _depth: int = 0) -> Definition | str:
        """The definition behind an import path, through re-exports, else the path itself."""
        parts = full.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            module = self.module(".".join(parts[:cut]))
            if module is None:
                continue
            bound = module.names.get(parts[cut])
            rest = parts[cut + 1 :]
            if isinstance(bound, str) and bound != full and _depth < _LONGEST_CHAIN:
                return self.find(".".join([bound, *rest]), _depth + 1)
            if bound is not None and not isinstance(bound, str) and not rest:
                return Definition(module, parts[cut], bound)
            for star in module.stars:
                if _depth < _LONGEST_CHAIN:
                    found = self.find(".".join([star, *parts[cut:]]), _depth + 1)
                    if isinstance(found, Definition):
                        return found
            return full
        return full

    def with_inner_imports(self, module: Module) -> Module:
        """The module as its functions see it: what they import themselves is among its names."""
        names, stars = dict(module.names), list(module.stars)
        package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                _bind(node, package, names, stars)
        return attrs.evolve(module, names=names, stars=tuple(dict.fromkeys(stars)))

    def _parse(self, name: str) -> Module | None:
        path = self._files.get(name) or self._installed(name)
        if path is None:
            return None
        try:
            with tokenize.open(path) as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # odd escapes are the program's own
                tree = ast.parse(file.read())
        except (OSError, SyntaxError, ValueError) as error:
            self.unreadable[path] = str(error)
            return None
        names: dict[str, Statement | str] = {}
        stars: list[str] = []
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in _top_level(tree.body):
            _bind(node, package, names, stars)
        return Module(name, path, tree, names, tuple(stars))

    def _installed(self, name: str) -> Path | None:
        """The file of a library's module; finding a top-level package imports nothing."""
        first, *inner = name.split(".")
        if first not in self._libraries:
            return None
        spec = importlib.util.find_spec(first)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            for file in (Path(folder, *inner, "__init__.py"), Path(folder, *inner).with_suffix(".py")):
                if file.is_file():
                    return file
        return None


def dotted(node: ast.expr) -> str:
    """`a.b.c` for such an expression, else empty."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module, those under `if` and `try` included."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _top_level([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _top_level([*node.body, *(s for handler in node.handlers for s in handler.body), *node.orelse])
        else:
            yield node


def _bind(node: ast.stmt, package: str, names: dict[str, Statement | str], stars: list[str]) -> None:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            names[name] = node
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            names.setdefault(name, node)
        case ast.Import(names=aliases):
            for alias in aliases:
                first = alias.name.split(".")[0]
                names.setdefault(alias.asname or first, alias.name if alias.asname else first)
        case ast.ImportFrom(module=module, names=aliases, level=level):
            base = _absolute(module or "", package, level)
            for alias in aliases:
                if alias.name == "*":
                    stars.append(base)
                else:
                    names.setdefault(alias.asname or alias.name, f"{base}.{alias.name}" if base else alias.name)


def _absolute(module: str, package: str, level: int) -> str:
    if not level:
        return module
    parts = package.split(".") if package else []
    parts = parts[: len(parts) - (level - 1)] if level > 1 else parts
    return ".".join([*parts, *([module] if module else [])])


def _python_files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(
            name for name in inner if name not in SKIPPED and not (Path(folder) / name / "pyvenv.cfg").exists()
        )
        yield from (Path(folder) / file for file in sorted(files) if file.endswith(".py"))


def _module_name(file: Path, root: Path, package: str) -> str:
    base = root.parent if root.is_file() else root
    parts = list(file.relative_to(base).with_suffix("").parts)
    if not package and parts[0] == "src" and not (base / "src" / "__init__.py").exists():
        parts = parts[1:]
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join([*([package] if package else []), *parts])
