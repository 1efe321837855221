"""How many batches one evaluation has, by a loader of Lab's or of the project's own, where the config does not say."""

from __future__ import annotations

from typing import Any

from lab_bridge.config.schema import Schema
from lab_migrate.native.draws import Draws
from lab_migrate.native.labs import is_labs

__all__ = ["length_of_pass"]

DATA = "legacy_lab.data"


def length_of_pass(loader: Any, schema: Schema, draws: Draws) -> str | None:
    """What to ask the loader `evaluation` for, which is the same for every pass; None where it cannot be told."""
    match _target(loader, schema):
        case "legacy_lab.data.buckets.Buckets":  # the lengths of its examples decide, in whatever order they come
            return None if _changes(loader.dataset, schema, draws) else "len(evaluation.batches)"
        case "legacy_lab.data.epochs.Epochs":
            made = getattr(loader.batches, "config", loader.batches)
            return "evaluation.size" if _target(made, schema) == f"{DATA}.torch_loader.torch_loader" else None
        case "legacy_lab.data.prefetch.Prefetch":
            within = getattr(loader.loader, "config", loader.loader)
            return "evaluation.batches_per_epoch" if _target(within, schema) == f"{DATA}.loader.Loader" else None
        case str(target) if draws.keeps(target, "batches_per_epoch"):
            return "evaluation.batches_per_epoch"
    return None


def _target(made: Any, schema: Schema) -> str | None:
    builder = schema.builder_of(made)
    return builder.target if builder is not None else None


def _changes(dataset: Any, schema: Schema, draws: Draws) -> bool:
    """Whether making a batch changes a dataset, maybe its lengths."""
    builder = schema.builder_of(dataset)
    if builder is None:
        return True
    return not is_labs(builder) and draws.remembered(builder.target, "batch") is not None
