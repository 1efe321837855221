"""Schedules: from the number of updates done to hyperparameters; one per file."""

from legacy_lab.optim.schedules.combined import combined
from legacy_lab.optim.schedules.ramp import Ramp
from legacy_lab.optim.schedules.timed import Timed
from legacy_lab.optim.schedules.warmup_cosine import WarmupCosine

__all__ = ["Ramp", "Timed", "WarmupCosine", "combined"]
