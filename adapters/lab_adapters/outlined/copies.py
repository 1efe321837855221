"""Outlined copies of files of an installed package, taken by `import` in place of the installed ones."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

import attrs

__all__ = ["use_copies"]


@attrs.frozen
class Copy:
    """One file: the copy, the hash (SHA-256) of the file that it was made from, and the package's version then."""

    file: Path
    made_from: str
    version: str


@attrs.frozen(eq=False)
class Copies(MetaPathFinder):
    """Finds the modules that have a copy."""

    known: Mapping[str, Copy]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The copy of a module. Raises `ImportError` where another file is installed than it was made from."""
        copy = self.known.get(fullname)
        if copy is None:
            return None
        installed = PathFinder.find_spec(fullname, path)
        origin = installed.origin if installed is not None else None
        found = hashlib.sha256(Path(origin).read_bytes()).hexdigest() if origin is not None else "nothing"
        if found != copy.made_from:
            raise ImportError(
                f"{copy.file}: expected the {fullname} of version {copy.version} that this copy was made from, found "
                f"another ({origin}); install that version, or run lab-migrate convert again"
            )
        return importlib.util.spec_from_file_location(fullname, copy.file)


def use_copies(entry: str, folder: str) -> None:
    """Let `import` take the outlined copies in `folder`, which lies beside the file `entry`.

    To be called before the packages are imported. Raises `ImportError` where one of the modules is there already.
    """
    place = Path(entry).resolve().parent / folder
    known = {
        name: Copy(place / one["file"], one["made_from"], one["version"])
        for manifest in sorted(place.glob("*.json"))
        for name, one in json.loads(manifest.read_text(encoding="utf-8")).items()
    }
    if not known:
        raise ImportError(
            f"{place}: expected outlined copies and their manifest, found none; run lab-migrate convert again"
        )
    late = sorted(name for name in known if name in sys.modules and not _is_copy(sys.modules[name], known[name]))
    if late:
        raise ImportError(f"{entry}: expected to come before the import of {', '.join(late)}; move the call to the top")
    if not any(isinstance(finder, Copies) and finder.known == known for finder in sys.meta_path):
        sys.meta_path.insert(0, Copies(known))


def _is_copy(module: ModuleType, copy: Copy) -> bool:
    return getattr(module, "__file__", None) == str(copy.file)
