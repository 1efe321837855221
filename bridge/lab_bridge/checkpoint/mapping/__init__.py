"""Names and tensors of one model as those of another: declared in a file, both ways, proven on both sides.

    mapping = read_mapping(Path("mapping.toml"))
    done = apply(mapping, opened.contents)
    back = apply(mapping.reverse(), done.contents, Order.of(opened.contents))

One idea a file: `names` (wildcards), `operation` and `operations/` (what may be declared, each with its reverse),
`declared` (the file), `claims` (which operation takes which names), `apply` (weights, averages, optimizer state and
groups), `propose` (a draft from two checkpoints).
"""

from lab_bridge.checkpoint.mapping.apply import Mapped, Order, apply
from lab_bridge.checkpoint.mapping.declared import Mapping, read_mapping
from lab_bridge.checkpoint.mapping.propose import Draft, propose

__all__ = ["Draft", "Mapped", "Mapping", "Order", "apply", "propose", "read_mapping"]
