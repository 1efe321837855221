"""Ways to bound gradients before an update; one per file.

Each is called with the parameters and returns the norm that it found, or None. `limit` is its bound, which a
schedule of the hyperparameter `clip` moves.
"""

from legacy_lab.optim.clipping.adaptive import ClipAdaptive
from legacy_lab.optim.clipping.clip import Clip
from legacy_lab.optim.clipping.norm import ClipNorm
from legacy_lab.optim.clipping.per_block import ClipPerBlock
from legacy_lab.optim.clipping.torch_norm import ClipTorchNorm
from legacy_lab.optim.clipping.value import ClipValue

__all__ = ["Clip", "ClipAdaptive", "ClipNorm", "ClipPerBlock", "ClipTorchNorm", "ClipValue"]
