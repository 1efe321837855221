"""What of a project's config is Lab's own."""

from __future__ import annotations

from lab_bridge.config.schema import Builder

__all__ = ["is_labs"]


def is_labs(builder: Builder) -> bool:
    """Whether Lab defines what a builder stands for.

    A name tells as much: a class of the project's that is called as one of Lab's has its module before its name in
    the schema, so that a config class `SAM` is Lab's, and one of `own.py` is `own_SAM`.
    """
    return builder.target.startswith("legacy_lab.")
