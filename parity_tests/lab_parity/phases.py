"""The causal order of what happens inside one optimizer step."""

from __future__ import annotations

PHASES = (
    "config", "evaluation", "rng", "batch", "forward", "loss", "grad", "reduce", "clip",
    "optimizer", "param", "buffer", "schedule", "ema", "metric",
)  # fmt: skip
"""Phases in causal order: a difference in one can cause differences in those after it, and in later steps."""
