"""The formats that checkpoints come in. Each is a file here with a `FORMAT`; adding one touches no other file."""

from __future__ import annotations

import importlib
import pkgutil

from lab_bridge.checkpoint.format import Format

__all__ = ["all_formats", "format_named"]


def all_formats() -> list[Format]:
    """Every format, the most particular first."""
    found = [importlib.import_module(f"{__name__}.{info.name}").FORMAT for info in pkgutil.iter_modules(__path__)]
    return sorted(found, key=lambda made: (made.rank, made.name))


def format_named(name: str) -> Format:
    """One of them. Raises `KeyError`."""
    return {made.name: made for made in all_formats()}[name]
