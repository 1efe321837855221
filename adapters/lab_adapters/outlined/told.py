"""What objects of the program's say of themselves by a `state_dict` of their own.

They are put back by their attributes: their `load_state_dict` begins another run, and may do more than to load. Where
one then says something else than when the checkpoint was written, it knows what no attribute tells, such as state that
lies in C: it is loaded, and the attributes that the checkpoint has put back stay.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_leaves_with_path, tree_map, tree_map_with_path

from lab_adapters.outlined.forms import PLAIN, form_of
from lab_adapters.outlined.instances import attributes_of, put_attributes
from lab_adapters.outlined.kinds import container_kind
from lab_adapters.outlined.made import loads_by_own_code
from lab_adapters.outlined.names import LIBRARIES, is_own_class
from lab_adapters.outlined.state_dicts import storable, stored

__all__ = ["put_untold", "say_untold", "told_by"]

#: A tensor of more bytes is an attribute's, which has it in the checkpoint: no more is told than that there is one.
_MOST_BYTES = 2**16
_MORE = "a tensor of more: "


def told_by(owners: Mapping[str, Any]) -> dict[str, Any]:
    """Path -> state of those that say one, of plain values and tensors only."""
    found = {path: _told(one) for path, one in owners.items() if loads_by_own_code(one)}
    return {path: state for path, state in found.items() if state is not None}


def put_untold(owners: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    """Load those that say something else, but for the attributes that are put back; their paths."""
    untold = [path for path, state in told.items() if path in owners and _differs(owners[path], state)]
    for path in untold:
        before = attributes_of(owners[path])
        with contextlib.suppress(Exception):  # one that has not grown to its state yet
            owners[path].load_state_dict(_whole(told[path], owners[path]))
        put_attributes(owners[path], {name: one for name, one in before.items() if not _is_opaque(one)})
    return untold


def say_untold(owners: Mapping[str, Any], told: Mapping[str, Any], paths: list[str]) -> None:
    """Warn of those that say something else all the same."""
    for path in paths:
        if _differs(owners[path], told[path]):
            warnings.warn(
                f"resume: {path}: expected its state_dict to say what it said when the checkpoint was written, found "
                "another state; what the training reads of it may not be the same",
                stacklevel=2,
            )


def _told(one: Any) -> Any:
    """Its state; None where that holds objects which no checkpoint does."""
    try:
        state = storable(one.state_dict())
    except Exception:
        return None  # the program may never ask for it, or not yet
    plain = all(isinstance(leaf, (*PLAIN, Tensor)) for leaf in tree_leaves(state))
    return tree_map(_short, state) if plain else None


def _short(leaf: Any) -> Any:
    is_more = isinstance(leaf, Tensor) and leaf.nbytes > _MOST_BYTES
    return f"{_MORE}{leaf.dtype} {tuple(leaf.shape)}" if is_more else leaf


def _whole(state: Any, one: Any) -> Any:
    """With the tensors that the object gives now."""
    now = dict(tree_leaves_with_path(storable(one.state_dict())))

    def filled(keys: Any, leaf: Any) -> Any:
        return now.get(keys, leaf) if isinstance(leaf, str) and leaf.startswith(_MORE) else leaf

    return stored(tree_map_with_path(filled, state))


def _differs(one: Any, state: Any) -> bool:
    now = tree_leaves_with_path(_told(one))
    then = tree_leaves_with_path(state)
    return len(now) != len(then) or not all(
        key == other and _is_same(a, b) for (key, a), (other, b) in zip(now, then, strict=True)
    )


def _is_same(a: Any, b: Any) -> bool:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return type(a) is type(b) and bool(a == b or (a != a and b != b))
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    a, b = (one.detach().cpu().to_dense() if one.is_sparse else one.detach().cpu() for one in (a, b))
    return bool(((a == b) | ((a != a) & (b != b))).all())


def _is_opaque(value: Any) -> bool:
    """A library's object, of which a checkpoint may have nothing."""
    if container_kind(value) is not None or form_of(value) is not None or is_own_class(type(value)):
        return False
    return type(value).__module__.partition(".")[0] not in LIBRARIES - {"pandas"} | {"builtins"}
