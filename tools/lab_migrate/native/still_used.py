"""Where a project still uses a class that leaves its file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from lab_bridge.config.sources.modules import Definition, Sources, dotted
from lab_migrate.findings import Finding, Status
from lab_migrate.native.files import File
from lab_migrate.native.registrations import registers
from lab_migrate.native.source_names import imported_from
from lab_migrate.native.taken import Taken

__all__ = ["Use", "bound_by_imports", "uses"]


@attrs.frozen
class Use:
    """A place in the file `path`: the `node`, the `statement` at the file's top that it stands in, the class's `name`,
    and the file that is its `home`.

    `bound` is what the file calls the class, empty where it gives it no name here.
    """

    path: str
    node: ast.AST
    statement: ast.stmt
    name: str
    home: str
    bound: str = ""

    def finding(self) -> Finding:
        """Why that cannot be."""
        assert isinstance(self.node, ast.expr | ast.stmt | ast.alias)
        return Finding(
            self.path, self.node.lineno, self.node.col_offset + 1, "LM403", Status.MANUAL,
            f"uses {self.name}, which moves into the native training in another form",
            "use what the native training has, or give this code a class of its own",
        )  # fmt: skip


def uses(root: Path, files: Mapping[str, File], entry: str, taken: Mapping[str, Taken]) -> Iterator[Use]:
    """Each place: in its own file, where it is imported, or asked of its module.

    Relative imports, names that a package hands on and `import *` are followed. The script `entry` is written anew, and
    what is only registered with gin is not used by that.
    """
    sources = Sources()
    modules = {sources.file_of(name): name for name in sources.add(root)}
    gone = {(root / path, name) for path, one in taken.items() for name in one.names}
    for path, file in files.items():
        if path == entry:
            continue
        here = taken[path].names if path in taken else frozenset[str]()
        module = modules.get(root / path, "")
        package = module if Path(path).name == "__init__.py" else module.rpartition(".")[0]
        bound = bound_by_imports(file.tree, package)
        for statement in file.tree.body:
            if getattr(statement, "name", "") in here or registers(statement):
                continue
            for node in ast.walk(statement):
                for full, name in _meant(node, statement, package, module, bound):
                    found = sources.find(full)
                    if isinstance(found, Definition) and (found.module.path, found.name) in gone:
                        home = found.module.path.relative_to(root).as_posix()
                        yield Use(path, node, statement, found.name, home, name)


def bound_by_imports(tree: ast.Module, package: str) -> dict[str, str]:
    """What a file's imports stand for, by the name that they give it."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
        if isinstance(node, ast.ImportFrom):
            home = imported_from(node, package)
            found |= {alias.asname or alias.name: f"{home}.{alias.name}" for alias in node.names}
    return found


def _meant(
    node: ast.AST, statement: ast.stmt, package: str, module: str, bound: Mapping[str, str]
) -> list[tuple[str, str]]:
    """The full names of what a node may take out of a file, each with the name that it gives it, if it does.

    Of an imported name the import tells already.
    """
    match node:
        case ast.ImportFrom(names=names):
            home = imported_from(node, package)
            return [(f"{home}.{alias.name}", alias.asname or alias.name) for alias in names]
        case ast.Name(id=name) if name not in bound:
            return [(f"{module}.{name}", "")]
        case ast.Attribute() if name := dotted(node):
            first, _, rest = name.partition(".")
            return [(f"{bound[first]}.{rest}", "")] if first in bound else []
        case ast.Constant(value=str(name)) if _is_listing(statement):
            return [(f"{module}.{name}", name)]
    return []


def _is_listing(statement: ast.stmt) -> bool:
    """`__all__ = […]` and its kin."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [ast.unparse(one) for one in targets if one is not None] == ["__all__"]
