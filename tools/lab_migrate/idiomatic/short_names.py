"""A plain name for each dotted one: its last part, or all of its parts where that means something else already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable


def short_names(names: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """`one.net` and `two.net` are `one_net` and `two_net`, and `one.net` alone is `net` where nothing is called so."""
    listed = list(dict.fromkeys(names))
    counted = Counter(_last(name) for name in listed)
    found: dict[str, str] = {}
    for name in listed:
        short = _last(name)
        if counted[short] > 1 or (short != name and short in taken):
            short = "_".join(part for part in name.rpartition(":")[2].split(".") if part != "self") or short
        while short in found.values() or (short != name and short in taken):
            short += "_"
        found[name] = short
    return found


def _last(name: str) -> str:
    last = name.rpartition(":")[2].rpartition(".")[2]
    return "model" if last == "self" else last  # a model that trains itself
