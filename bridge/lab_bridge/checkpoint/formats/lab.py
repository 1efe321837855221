"""Lab's own checkpoints (`legacy_lab.train.checkpoint`)."""

from __future__ import annotations

from lab_bridge.checkpoint.format import Format, Leaves
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Place, address
from lab_bridge.checkpoint.tree import Leaf, TreePath
from legacy_lab.train.checkpoint import FORMAT as TAG


def _recognises(leaves: Leaves) -> bool:
    return leaves.get(address("format")) == TAG


def _places(names: Names, dialect: str) -> list[Place]:
    return [
        Place("model/@_metadata/<module>/<rest...>", "versions/<module>/<rest...>"),
        Place("model/<name>", "weights/<name>"),
        *lab_optimizer("optimizer"),
        *lab_parts(""),
        Place("config", "config"),
    ]


def lab_optimizer(root: str) -> list[Place]:
    """Lab's optimizer state, which goes by name."""
    return [
        Place(f"{root}/slots/<name>/<slot>", "optimizer/[0]/state/<name>/<slot>"),
        Place(f"{root}/slots", "optimizer/[0]/state"),
        Place(f"{root}/grads/<name>", "optimizer/[0]/gradients/<name>"),
        Place(f"{root}/<rest...>", "optimizer/[0]/<rest...>"),
    ]


def lab_parts(root: str) -> list[Place]:
    """What Lab's trainer saves beside model and optimizer."""
    return [
        Place(f"{root}step", "counters/step"),
        Place(f"{root}loader/<rest...>", "loader/train/<rest...>"),
        Place(f"{root}eval_loader/<rest...>", "loader/evaluation/<rest...>"),
        Place(f"{root}ema/<rest...>", "ema/<rest...>"),
        Place(f"{root}rng/<rest...>", "generators/<rest...>"),
        Place(f"{root}mid_step", "counters/mid_step"),
        Place(f"{root}objective/<rest...>", "objective/<rest...>"),
        Place(f"{root}hooks/<rest...>", "hooks/<rest...>"),
    ]


def _implied(leaves: Leaves) -> dict[TreePath, Leaf]:
    return {address("format"): TAG}


#: Without these Lab's trainer cannot go on.
REQUIRED = tuple(
    address(text)
    for text in (
        "weights",
        "optimizer/[0]/gradients",
        "optimizer/[0]/hyper",
        "loader/train",
        "generators",
        "counters/step",
    )
)

FORMAT = Format(
    "lab", "a Lab checkpoint", _recognises, _places, ".lab", rank=1, required=REQUIRED, implied=_implied, plain=True
)
