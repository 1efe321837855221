"""The operations that a mapping may declare. Each is a file here with an `OPERATION`; adding one touches no other."""

from __future__ import annotations

import importlib
import pkgutil

from lab_bridge.checkpoint.mapping.operation import Operation

__all__ = ["all_operations"]


def all_operations() -> dict[str, type[Operation]]:
    """From the word in a mapping file to the operation."""
    found = [importlib.import_module(f"{__name__}.{info.name}").OPERATION for info in pkgutil.iter_modules(__path__)]
    return {made.word: made for made in found}
