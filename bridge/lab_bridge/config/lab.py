"""Lab's own builders as a schema, read off their sources: `Conv`, `Adam`, `Trainer`, …, and the roles they play."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

from lab_bridge.config.schema import Schema
from lab_bridge.config.sources.builders import schema_of_modules
from lab_bridge.config.sources.modules import Sources

__all__ = ["ENTRY", "add_lab", "lab_schema"]

#: What a Lab program builds first; everything else is built by it.
ENTRY = "Trainer"


@lru_cache(maxsize=1)
def lab_schema() -> Schema:
    """The schema of the installed `legacy_lab`."""
    sources = Sources()
    return schema_of_modules(sources, add_lab(sources))


def add_lab(sources: Sources) -> list[str]:
    """Make Lab's modules known to `sources`; nothing of them is imported but the empty top of the package."""
    spec = importlib.util.find_spec("legacy_lab")
    assert spec is not None, "legacy_lab is a dependency"
    assert spec.submodule_search_locations is not None, "legacy_lab is a package"
    root = Path(spec.submodule_search_locations[0])
    return [name for name in sources.add(root, "legacy_lab") if ".tests" not in name]
