"""The plain numbers that an object holds, in attributes of its own or of the program's classes: settings, mostly.

Only in a captured step: what an object holds need not act on anything, so no verdict rests on it.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["held_numbers"]

_MOST = 8
_NOT_SETTINGS = {"training", "call_super_init", "dump_patches"}


def held_numbers(*holders: Any) -> str:
    """JSON of name -> number, truth value, or a few of them; the last holder's where several have a name.

    Texts (a run's name, a path) say nothing of numerics.
    """
    held: dict[str, Any] = {}
    for holder in holders:
        for owner in reversed(type(holder).__mro__):
            if not owner.__module__.startswith(("torch.", "builtins")):
                held |= owner.__dict__
        held |= getattr(holder, "__dict__", {})
        for group in getattr(holder, "param_groups", [])[:1]:  # which of torch's kernels update, and their last bits
            held |= {flag: bool(group[flag]) for flag in ("fused", "foreach") if flag in group}
    found = {
        name: value
        for name, value in sorted(held.items())
        if not name.startswith("_") and name not in _NOT_SETTINGS and _is_plain(value)
    }
    return json.dumps(found)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return 0 < len(value) <= _MOST and all(isinstance(part, (bool, int, float)) for part in value)
    return isinstance(value, (bool, int, float))
