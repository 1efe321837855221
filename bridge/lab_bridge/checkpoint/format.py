"""What a format of checkpoints is: how to recognise one, and where in it things lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Codec, Place
from lab_bridge.checkpoint.tree import Leaf, TreePath

__all__ = ["Format", "nothing_implied", "torch_optimizer"]

Leaves = Mapping[TreePath, Leaf]


def nothing_implied(leaves: Leaves) -> dict[TreePath, Leaf]:
    """For a format that adds nothing by itself."""
    return {}


@attrs.frozen
class Format:
    """`places` gets the parameter names of the torch optimizers in the file, whose state dicts lie under `optimizers`,
    and the file's dialect, where a format has several: the words that a file uses, found by `dialect`.

    `required` are the addresses, or beginnings of addresses, without which no training resumes from such a file.
    `implied` gets the leaves of a file and says which others the format always writes, with their values. `derived`
    finds further entries for a reader's eyes, e.g. a step counter inside JSON text; they are never written. `ordered`:
    the weights stand in the file in the order of the model, which is the order that optimizers count in. `plain`: such
    a file never holds more than `weights_only=True` reads, not even where its source did.
    """

    name: str
    title: str
    recognises: Callable[[Leaves], bool]
    places: Callable[[Names, str], list[Place]]
    suffix: str = ".pt"
    container: str = "torch"
    rank: int = 5
    optimizers: Callable[[str], Sequence[str]] = lambda dialect: ()
    dialect: Callable[[Leaves], str] = lambda leaves: ""
    required: tuple[TreePath, ...] = ()
    implied: Callable[[Leaves], dict[TreePath, Leaf]] = nothing_implied
    derived: Callable[[Leaves], dict[TreePath, Leaf]] = nothing_implied
    ordered: bool = True
    plain: bool = False


def torch_optimizer(path: str, where: str, names: Names, which: int = 0) -> list[Place]:
    """The places of a `torch.optim.Optimizer.state_dict()` at `path`, whose address is `where`.

    In the file parameters are counted through the groups; in addresses they have their names. The number of the
    optimizer is what the pattern captures as `i`, or else `which`.
    """

    def number(captured: Mapping[str, TreePath]) -> int:
        return int(captured["i"][0].key) if "i" in captured else which

    codec = Codec(
        lambda index, captured: names.name_of(number(captured), index),
        lambda name, captured: names.index_of(number(captured), name),
    )
    return [
        Place(f"{path}/state/<parameter>/<slot...>", f"{where}/state/<parameter>/<slot...>", {"parameter": codec}),
        Place(f"{path}/param_groups/<g>/params/<j>", f"{where}/param_groups/<g>/params/<j>", leaf=codec),
        Place(f"{path}/<rest...>", f"{where}/<rest...>"),
    ]
