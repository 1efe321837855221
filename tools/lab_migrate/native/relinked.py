"""Files of a project that build on Lab's objectives or data: they import these from the native training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import libcst as cst

from lab_migrate.native.files import File
from lab_migrate.native.lift import lift
from lab_migrate.native.taken import Taken

__all__ = ["HOMES", "Relinked", "of_file", "relinked"]

#: Where of Lab's that stands, and the file of the native training that has it then.
HOMES = {"legacy_lab.objectives.": "objective", "legacy_lab.data.": "datasets"}


@attrs.frozen
class Relinked:
    """The files by path, and the full names of what they import."""

    files: Mapping[str, Taken]
    targets: tuple[str, ...]


def relinked(read: Mapping[str, File], entry: str, package: str, taken: Mapping[str, Taken]) -> Relinked:
    """Read the project's files, those that classes are taken out of as they are then; `entry` is written anew.

    Where that script lies in a folder, nothing is: the native package would not be found from other folders.
    """
    files: dict[str, Taken] = {}
    targets: dict[str, None] = {}
    for path, file in read.items() if "/" not in entry else ():
        text = taken[path].after if path in taken else file.text
        if path == entry or not any(home in text for home in HOMES):
            continue
        module = cst.parse_module(text)
        found = _Linking(package)
        after = module.visit(found).code
        if found.targets:
            files[path] = attrs.evolve(taken[path], after=after) if path in taken else Taken(text, after)
            targets |= dict.fromkeys(found.targets)
    return Relinked(files, tuple(targets))


def of_file(name: str, targets: Iterable[str]) -> list[str]:
    """Those of the targets that a file of the native training has."""
    return [one for one in targets if any(one.startswith(home) for home, of in HOMES.items() if of == name)]


class _Linking(cst.CSTTransformer):
    """`from legacy_lab.objectives.vae import VAE` at the top of a file."""

    def __init__(self, package: str) -> None:
        self.package, self.targets = package, list[str]()

    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> bool:  # noqa: N802
        """No further down."""
        return False

    def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> cst.ImportFrom:  # noqa: N802
        """Another module, the same names."""
        if original_node.module is None or isinstance(original_node.names, cst.ImportStar):
            return updated_node
        home = cst.Module(body=[]).code_for_node(original_node.module)
        names = [name for prefix, name in HOMES.items() if home.startswith(prefix)]
        if original_node.relative or not names:
            return updated_node
        targets = [f"{home}.{one.evaluated_name}" for one in original_node.names]
        try:
            for target in targets:
                lift(target)
        except KeyError:
            return updated_node
        self.targets += targets
        module = cst.Attribute(cst.Name(self.package), cst.Name(names[0]))
        return updated_node.with_changes(module=module)
