"""Noise: what reruns of one training differ by, and whether another run differs by no more."""

from __future__ import annotations

from lab_parity.noise.envelope import Envelope, envelope_of
from lab_parity.noise.within import within_noise

__all__ = ["Envelope", "envelope_of", "within_noise"]
