"""Names that a file only hands on: an import that nothing in it uses, and a place in `__all__`.

A package's `__init__` has them for its users, and so has a file that is imported to make names known to gin. Where a
class leaves the file that it is imported from, they go as well.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import libcst as cst

from lab_bridge.config.sources.modules import Sources
from lab_migrate.findings import Finding
from lab_migrate.native.files import File
from lab_migrate.native.registrations import without_registrations
from lab_migrate.native.source_names import imported_from
from lab_migrate.native.still_used import Use, uses
from lab_migrate.native.taken import Taken

__all__ = ["LOOKS_AROUND", "HandedOn", "handed_on", "only_hands_on"]

#: Calls by which a file may use a name without writing it.
LOOKS_AROUND = {"dir", "eval", "exec", "getmembers", "globals", "locals", "vars"}


@attrs.frozen
class HandedOn:
    """The files as they are then, those that classes are taken out of among them, and what still uses such a class."""

    files: Mapping[str, Taken]
    findings: tuple[Finding, ...]


def handed_on(root: Path, files: Mapping[str, File], entry: str, taken: Mapping[str, Taken]) -> HandedOn:
    """Read the project's files; `entry` is written anew."""
    places: dict[str, list[Use]] = {}
    for one in uses(root, files, entry, taken):
        places.setdefault(one.path, []).append(one)
    # What leaves a file uses nothing in it any more.
    texts = {
        path: _unregistered(taken[path].after if path in taken else files[path].text, places[path]) for path in places
    }
    trees = {path: ast.parse(text) for path, text in texts.items()}
    refused = [one for path, found in places.items() for one in found if not only_hands_on(one, trees[path])]
    if refused:
        return HandedOn(taken, tuple(one.finding() for one in refused))
    sources = Sources()
    modules = {path: name for name in sources.add(root) for path in files if sources.file_of(name) == root / path}
    found = dict(taken)
    empty: set[str] = set()
    while True:
        for path, listed in places.items():
            dropping = _Dropping(listed, _package(path, modules), frozenset(empty))
            names = taken[path].names if path in taken else frozenset[str]()
            found[path] = Taken(files[path].text, cst.parse_module(texts[path]).visit(dropping).code, names)
        emptied = {modules[path] for path, one in found.items() if path in modules and _is_empty(one.after)}
        if emptied <= empty:  # a file that is left empty is not worth an import in those that imported from it
            break
        empty |= emptied
    left = {path: found[path].after if path in found else file.text for path, file in files.items() if path != entry}
    wanted = {name for path, text in left.items() for name in _imported(text, _package(path, modules))}
    for path, file in found.items():
        if not file.after.strip():  # a file without text is removed
            stays = Path(path).name == "__init__.py" or modules.get(path) in wanted
            found[path] = attrs.evolve(file, after="\n" if stays else "")
    return HandedOn(found, ())


def _unregistered(text: str, places: Sequence[Use]) -> str:
    return without_registrations(text, {one.bound for one in places if one.bound})


def _package(path: str, modules: Mapping[str, str]) -> str:
    module = modules.get(path, "")
    return module if Path(path).name == "__init__.py" else module.rpartition(".")[0]


def only_hands_on(use: Use, tree: ast.Module) -> bool:
    """Whether nothing in the `tree`, which is left of the file, does more with it."""
    match use.node, use.statement:
        case ast.Constant(), ast.Assign(value=ast.List() | ast.Tuple()):
            return True
        case ast.ImportFrom() as node, statement if node is statement and use.bound:
            names = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
            names |= {part.attr for part in ast.walk(tree) if isinstance(part, ast.Attribute)} & LOOKS_AROUND
            return not names & {use.bound, *LOOKS_AROUND}
    return False


def _is_empty(text: str) -> bool:
    """Whether nothing but a docstring, imports and an empty list of names is left."""
    body = ast.parse(text).body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    listing = ("__all__ = []", "__all__ = ()")
    return all(_is_future(one) or ast.unparse(one) in listing for one in body)


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _imported(text: str, package: str) -> set[str]:
    """Modules that a file's imports name, and those that may be one of the names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            home = imported_from(node, package)
            found |= {home, *(f"{home}.{alias.name}" for alias in node.names)}
    return found


class _Dropping(cst.CSTTransformer):
    """Without the names that some uses bind or list."""

    def __init__(self, places: Sequence[Use], package: str, empty: frozenset[str]) -> None:
        self.bound = {one.bound for one in places}
        self.package, self.empty = package, empty

    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> bool:  # noqa: N802
        """No further down."""
        return False

    def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> Any:  # noqa: N802
        """The other names; the module alone, where there are none: others may find it by its package."""
        if isinstance(updated_node.names, cst.ImportStar):
            return updated_node
        kept = [one for one in updated_node.names if (one.evaluated_alias or one.evaluated_name) not in self.bound]
        if len(kept) == len(updated_node.names):
            return updated_node
        if kept:
            kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            return updated_node.with_changes(names=kept)
        [node] = ast.parse(cst.Module([cst.SimpleStatementLine([original_node])]).code).body
        assert isinstance(node, ast.ImportFrom)
        if node.module is None or imported_from(node, self.package) in self.empty:
            return cst.RemoveFromParent()
        above, _, last = node.module.rpartition(".")
        alone = f"from {'.' * node.level}{above} import {last}" if node.level else f"import {node.module}"
        return cst.ensure_type(cst.parse_statement(alone), cst.SimpleStatementLine).body[0]

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:  # noqa: N802
        """`__all__` without them."""
        target, listed = original_node.targets[0].target, updated_node.value
        if not (
            isinstance(target, cst.Name) and target.value == "__all__" and isinstance(listed, cst.List | cst.Tuple)
        ):
            return updated_node
        kept = [
            one
            for one in listed.elements
            if not (isinstance(one.value, cst.SimpleString) and one.value.evaluated_value in self.bound)
        ]
        if kept and len(kept) < len(listed.elements):
            last = cst.MaybeSentinel.DEFAULT if isinstance(listed, cst.List) or len(kept) > 1 else kept[-1].comma
            kept[-1] = kept[-1].with_changes(comma=last)
        return updated_node.with_changes(value=listed.with_changes(elements=kept))
