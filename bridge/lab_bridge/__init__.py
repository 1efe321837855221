"""The drop-in: `from lab_bridge import Trainer` in place of `from legacy_lab import Trainer`.

It is imported on first use, so that reading a config imports neither torch nor Lightning; Lightning is imported when
a trainer trains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab_bridge.trainer import Trainer

__all__ = ["Trainer"]


def __getattr__(name: str) -> Any:
    """Import the drop-in on first use (PEP 562)."""
    if name != "Trainer":
        raise AttributeError(f"module 'lab_bridge' has no attribute {name!r}")
    from lab_bridge.trainer import Trainer

    return Trainer
