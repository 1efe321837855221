"""Classes and functions that need Lab and that nothing uses: hooks of other configs, say.

A native training has one config, and Lab is gone; they are left out of it, and named.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from lab_bridge.config.schema import Schema
from lab_bridge.config.sources.modules import Definition, Module, Sources, dotted
from lab_bridge.config.sources.signatures import ancestry
from lab_migrate.findings import Finding, Status
from lab_migrate.native.draws import PLAIN_BASES
from lab_migrate.native.files import File
from lab_migrate.native.given import builders_in
from lab_migrate.native.handed_on import LOOKS_AROUND, only_hands_on
from lab_migrate.native.hook_methods import may_draw
from lab_migrate.native.relinked import HOMES
from lab_migrate.native.still_used import bound_by_imports, uses
from lab_migrate.native.taken import Taken

__all__ = ["left_out", "said"]

Definable = ast.ClassDef | ast.FunctionDef
Key = tuple[str, str]
#: What stands for anything of Lab's but the block builder.
LAB = ("", "legacy_lab")


def left_out(
    root: Path, files: Mapping[str, File], entry: str, taken: Mapping[str, Taken], trainer: Any, schema: Schema
) -> Mapping[str, frozenset[str]]:
    """By file, the names of those; what the config of a `trainer` builds, and what leaves its file already, is none."""
    sources = Sources()
    paths = {sources.file_of(name): name for name in sources.add(root)}
    modules = {path: sources.module(paths.get(root / path, "")) for path in files}
    built = {(Path(one.place.file), one.target.rpartition(".")[2]) for one in builders_in(trainer, schema)}
    spoken = {text for file in files.values() for text in _texts(file.tree)}
    possible = {
        (path, node.name): (
            LAB in _meant(node, file.tree, module, root, sources),
            {key for base in _bases(node) for key in _meant(base, file.tree, module, root, sources)},
        )
        for path, file in files.items()
        if path != entry and (module := modules[path]) is not None
        for node in _droppable(module, file.tree, sources)
        if (root / path, node.name) not in built and node.name not in spoken | _names(taken, path)
    }
    needing = _needing(taken, possible)
    while True:
        gone = _joined(files, taken, needing)
        trees = {path: _kept(file.tree, _names(gone, path)) for path, file in files.items()}
        used = {
            (one.home, one.name)
            for one in uses(root, files, "", gone)  # by the script, too: a trainer of the project's own, say
            if (one.home, one.name) in needing and not only_hands_on(one, trees[one.path])
        }
        if not used:
            return {path: frozenset(name for home, name in needing if home == path) for path, _ in needing}
        needing -= used


def said(files: Mapping[str, File], left: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    """A finding for each."""
    for path, names in left.items():
        for node in files[path].tree.body:
            if isinstance(node, Definable) and node.name in names:
                yield Finding(
                    path, node.lineno, node.col_offset + 1, "LM401", Status.REVIEW,
                    f"leaves out {node.name}, which needs Lab and which neither the config nor the project's code uses",
                    "convert a config that uses it if you want it, or write it anew",
                )  # fmt: skip


def _names(taken: Mapping[str, Taken], path: str) -> frozenset[str]:
    return taken[path].names if path in taken else frozenset()


def _joined(files: Mapping[str, File], taken: Mapping[str, Taken], more: set[tuple[str, str]]) -> dict[str, Taken]:
    """What leaves files by now, and `more`."""
    found = dict(taken)
    for path, name in more:
        one = found.get(path, Taken(files[path].text, files[path].text))
        found[path] = attrs.evolve(one, names=one.names | {name})
    return found


def _kept(tree: ast.Module, gone: frozenset[str]) -> ast.Module:
    return ast.Module([one for one in tree.body if getattr(one, "name", "") not in gone], [])


def _needing(taken: Mapping[str, Taken], possible: Mapping[Key, tuple[bool, set[Key]]]) -> set[Key]:
    """Those of the `possible` that name Lab, or are built on what leaves its file, or on another of them."""
    gone = {(path, name) for path, one in taken.items() for name in one.names}
    found: set[Key] = set()
    while True:
        more = {one for one, (names_lab, bases) in possible.items() if names_lab or bases & (gone | found)}
        if more <= found:
            return found
        found |= more


def _bases(node: Definable) -> list[ast.expr]:
    return node.bases if isinstance(node, ast.ClassDef) else []


def _meant(node: ast.AST, tree: ast.Module, module: Module, root: Path, sources: Sources) -> Iterator[Key]:
    """The file and the name of each thing of the project's that code names, and `LAB` where it names that."""
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    bound = bound_by_imports(tree, package)
    for inner in ast.walk(node):
        said = dotted(inner) if isinstance(inner, ast.Name | ast.Attribute) else ""
        first, _, rest = said.partition(".")
        full = ".".join(filter(None, [bound.get(first, f"{module.name}.{first}"), rest]))
        parts = full.split(".")
        if parts[0] == "legacy_lab" and parts[1:] and parts[1] != "blocks" and not full.startswith(tuple(HOMES)):
            yield LAB
        found = sources.find(full)
        if isinstance(found, Definition) and found.module.path.is_relative_to(root):
            yield found.module.path.relative_to(root).as_posix(), found.name


def _droppable(module: Module, tree: ast.Module, sources: Sources) -> Iterator[Definable]:
    """What a file defines without doing anything else, and does not look for by other means than its name."""
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if named & LOOKS_AROUND:
        return
    definitions = [one for one in tree.body if isinstance(one, Definable)]
    for node in definitions:
        if sum(one.name == node.name for one in definitions) > 1 or _does_something(node):
            continue
        decorators = [one.func if isinstance(one, ast.Call) else one for one in node.decorator_list]
        meant = [sources.resolve(module, dotted(one)) for one in decorators]
        if not all(isinstance(one, str) and one.startswith("gin.") for one in meant):
            continue
        if not isinstance(node, ast.ClassDef) or _is_plain(Definition(module, node.name, node), sources):
            yield node


def _is_plain(definition: Definition, sources: Sources) -> bool:
    """Whether nobody is told that the class is there: no metaclass, no base that keeps a list."""
    for one in ancestry(definition, sources):
        if isinstance(one, str):
            if one not in PLAIN_BASES and not one.startswith("legacy_lab."):
                return False
        elif (
            not isinstance(one.node, ast.ClassDef)
            or one.node.keywords
            or any(getattr(part, "name", "") == "__init_subclass__" for part in one.node.body)
        ):
            return False
    return True


def _does_something(node: Definable) -> bool:
    """A call where it is defined: in the class itself, or in a default."""
    parts: list[ast.AST] = []
    for one in ast.walk(node):
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            parts += [*one.args.defaults, *(part for part in one.args.kw_defaults if part is not None)]
            parts += one.decorator_list if one is not node else []
        elif isinstance(one, ast.ClassDef):
            parts += [part for part in one.body if not isinstance(part, ast.FunctionDef | ast.ClassDef)]
    return any(isinstance(inner, ast.Call) and may_draw(inner) for part in parts for inner in ast.walk(part))


def _texts(tree: ast.Module) -> Iterator[str]:
    """Texts that may be names, by which something is asked for; not those of `__all__`."""
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if [ast.unparse(one) for one in targets] == ["__all__"]:
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                yield node.value
