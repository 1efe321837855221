"""The block builder: models composed from registered blocks, swapped by config alone.

A block is a `torch.nn.Module` with two phases. `infer` computes shapes and allocates nothing, so a whole model is
checked before its first tensor exists; `build` allocates the parameters. One block per file, each registered by
`@block`; a project adds its own in the same way.
"""

from legacy_lab.blocks.activation import Activation
from legacy_lab.blocks.block import Block, Scope, block, registered_blocks
from legacy_lab.blocks.chain import Blocks
from legacy_lab.blocks.conv import Conv
from legacy_lab.blocks.embedding import Embedding
from legacy_lab.blocks.gaussian import Gaussian
from legacy_lab.blocks.inits import ConstantInit, Init, KaimingInit, NormalInit, OrthogonalInit, XavierInit
from legacy_lab.blocks.linear import Linear
from legacy_lab.blocks.merge import Merge
from legacy_lab.blocks.meta import cross_check, on_meta, shapes_of
from legacy_lab.blocks.model import Model
from legacy_lab.blocks.modulation import AdaIN, FiLM
from legacy_lab.blocks.norm import Norm
from legacy_lab.blocks.pooling import Pool
from legacy_lab.blocks.resample import Resample
from legacy_lab.blocks.reshape import Reshape
from legacy_lab.blocks.residual import Residual
from legacy_lab.blocks.self_attention import SelfAttention
from legacy_lab.blocks.shapes import Shape, ShapeError

__all__ = [
    "Activation",
    "AdaIN",
    "Block",
    "Blocks",
    "ConstantInit",
    "Conv",
    "Embedding",
    "FiLM",
    "Gaussian",
    "Init",
    "KaimingInit",
    "Linear",
    "Merge",
    "Model",
    "Norm",
    "NormalInit",
    "OrthogonalInit",
    "Pool",
    "Resample",
    "Reshape",
    "Residual",
    "Scope",
    "SelfAttention",
    "Shape",
    "ShapeError",
    "XavierInit",
    "block",
    "cross_check",
    "on_meta",
    "registered_blocks",
    "shapes_of",
]
