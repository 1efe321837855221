"""The precision in which losses are computed; one form per file."""

from legacy_lab.train.precision.autocast import Autocast
from legacy_lab.train.precision.half_weights import HalfWeights
from legacy_lab.train.precision.precision import Precision

__all__ = ["Autocast", "HalfWeights", "Precision"]
