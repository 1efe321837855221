"""The drop-in: `from lab_bridge import Trainer` in place of `from legacy_lab import Trainer`."""

from lab_bridge.trainer import Trainer

__all__ = ["Trainer"]
