"""What is in a checkpoint, whoever wrote it: every leaf under an address that means the same in all formats.

Addresses start with a section:

| address | what |
|---|---|
| `weights/<name>` | parameters and buffers, as `state_dict()` names them |
| `versions/<module>/…` | versions of modules, the `_metadata` of a state dict |
| `optimizer/<i>/state/<parameter>/<slot>` | optimizer state by parameter name (by index where no name is known) |
| `optimizer/<i>/gradients/<parameter>` | gradients of an unfinished accumulation |
| `optimizer/<i>/…` | hyperparameters, groups, counters |
| `schedules/<i>/…`, `scaler/…`, `ema/average/<name>`, `ema/…` | |
| `loader/<which>/…`, `generators/<which>/…` | |
| `counters/step`, `counters/epoch`, … | |
| `objective/…`, `hooks/…` | what else a trainer keeps |
| `config/…` | what the run was configured with |
| `carried/<format>/<path>` | what only that format has a place for |
"""

from __future__ import annotations

import attrs

from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.tree import Leaf, Step, TreePath

__all__ = [
    "DIALECT",
    "SECTIONS",
    "UNORDERED",
    "Contents",
    "is_buffer",
    "is_reading",
    "parameter_name",
    "section",
    "with_parameter_name",
]

SECTIONS = (
    "weights", "versions", "optimizer", "schedules", "scaler", "ema", "loader", "generators", "counters",
    "objective", "hooks", "config", "carried",
)  # fmt: skip

_BUFFER_NAMES = ("running_mean", "running_var", "num_batches_tracked")


#: Where, among what is carried for a format, the words stand that a file of it used.
DIALECT: TreePath = (Step("lab_migrate.dialect"),)

#: And where it stands that its weights came in no order, wherever they have gone since.
UNORDERED: TreePath = (Step("lab_migrate.unordered"),)


@attrs.frozen
class Contents:
    """`entries` by address; `paths` says where each lay in the file. `implied` is what the format adds by itself, from
    the entries (a format tag, a version). `notes` are what a person should know, e.g. how names were found."""

    format: str
    entries: dict[TreePath, Leaf]
    paths: dict[TreePath, TreePath] = attrs.field(factory=dict)
    implied: dict[TreePath, Leaf] = attrs.field(factory=dict)
    notes: tuple[str, ...] = ()

    def weights(self) -> dict[str, StoredTensor]:
        """Parameters and buffers by name."""
        return {
            str(where[1].key): leaf
            for where, leaf in self.entries.items()
            if section(where) == "weights" and len(where) == 2 and isinstance(leaf, StoredTensor)
        }


def section(where: TreePath) -> str:
    """The first word of an address."""
    return str(where[0].key)


def is_reading(where: TreePath) -> bool:
    """Whether it says how a file of some format was read, and nothing that was in it."""
    return section(where) == "carried" and where[2:] in (DIALECT, UNORDERED)


#: Where in an address the name of a parameter stands.
_NAMED = {"weights": 1, "ema": 2, "optimizer": 3}


def parameter_name(where: TreePath) -> str | None:
    """The parameter (or buffer) that an address is about, if it is about one."""
    at = _NAMED.get(section(where))
    if at is None or len(where) <= at or not isinstance(where[at].key, str):
        return None
    if section(where) == "ema" and where[1].key != "average":
        return None
    if section(where) == "optimizer" and where[2].key not in ("state", "gradients"):
        return None
    return str(where[at].key)


def with_parameter_name(where: TreePath, name: str) -> TreePath:
    """The same for another parameter."""
    at = _NAMED[section(where)]
    return (*where[:at], Step(name, where[at].kind), *where[at + 1 :])


def is_buffer(name: str, tensor: StoredTensor) -> bool:
    """By its name or dtype: a state dict does not say what is a parameter."""
    return name.endswith(_BUFFER_NAMES) or not (tensor.dtype.is_floating_point or tensor.dtype.is_complex)
