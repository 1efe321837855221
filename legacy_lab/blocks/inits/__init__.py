"""Initialisers: each draws one parameter anew; one per file. `Model.inits` says which parameters, by pattern."""

from legacy_lab.blocks.inits.constant import ConstantInit
from legacy_lab.blocks.inits.init import Init, chosen, initialise, require_matches
from legacy_lab.blocks.inits.kaiming import KaimingInit
from legacy_lab.blocks.inits.normal import NormalInit
from legacy_lab.blocks.inits.orthogonal import OrthogonalInit
from legacy_lab.blocks.inits.xavier import XavierInit

__all__ = [
    "ConstantInit",
    "Init",
    "KaimingInit",
    "NormalInit",
    "OrthogonalInit",
    "XavierInit",
    "chosen",
    "initialise",
    "require_matches",
]
