"""The drop-in: `from lab_bridge import Trainer` in place of `from legacy_lab import Trainer`.

It is imported on first use, so that reading a config imports neither torch nor Lightning.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab_bridge.trainer import Trainer

__all__ = ["Trainer"]


def __getattr__(name: str) -> Any:
    """Import the drop-in on first use (PEP 562)."""
    if name != "Trainer":
        raise AttributeError(f"module 'lab_bridge' has no attribute {name!r}")
    drawn = random.getstate()
    try:
        from lab_bridge.trainer import Trainer
    finally:
        # Importing Lightning imports rich, which draws from Python's generator: a program that seeded it before
        # would shuffle otherwise from here on.
        random.setstate(drawn)
    return Trainer
