"""Lab: models composed from blocks in gin configs, and the trainer, loaders and optimizers that train them.

    from legacy_lab import Trainer, load_config

    load_config("digits_vae.gin")
    Trainer().train()

Names are imported on first use, so that `legacy_lab.blocks` works as a library without the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legacy_lab.config import ConfigError, load_config
    from legacy_lab.train.trainer import Trainer

__all__ = ["ConfigError", "Trainer", "load_config"]

_HOMES = {
    "ConfigError": "legacy_lab.config",
    "Trainer": "legacy_lab.train.trainer",
    "load_config": "legacy_lab.config",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'legacy_lab' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
