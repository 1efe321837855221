"""Folders of torch.distributed.checkpoint: shards that several ranks wrote, read as whole tensors.

`.metadata` is a pickle of torch's own classes: it is read as data, nothing of it is imported. Every shard is something
that torch.save wrote into a part of a `.distcp` file, and stays there until somebody wants its bytes. `meta.pt`, where
Lightning keeps what is no model or optimizer, lies beside it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from lab_bridge.checkpoint.atomic import new_folder
from lab_bridge.checkpoint.carried import KEY
from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.inert import Inert, InertUnpickler
from lab_bridge.checkpoint.plain_json import path_from_json, path_to_json
from lab_bridge.checkpoint.stored import StoredTensor, join
from lab_bridge.checkpoint.torch_file import read_torch_file, read_torch_region
from lab_bridge.checkpoint.torch_writer import write_torch_file
from lab_bridge.checkpoint.tree import Leaf, Step, TreePath, flatten, show, unflatten

__all__ = ["is_dcp_folder", "read_dcp_folder", "write_dcp_folder"]

METADATA = ".metadata"
#: What Lightning writes beside the shards.
REST = "meta.pt"
#: The parts that are sharded; the rest goes into `meta.pt`.
SHARDED = ("state_dict", "optimizer_")
#: Where `meta.pt` says which tensors are one.
_TIES: TreePath = (Step(KEY), Step("ties"))


@attrs.frozen
class _Shard:
    """One part of a tensor: where in it, and where in which file."""

    offsets: tuple[int, ...]
    file: Path
    start: int
    length: int


def is_dcp_folder(path: Path) -> bool:
    """Whether torch.distributed.checkpoint finished writing there."""
    return path.is_dir() and (path / METADATA).is_file()


def read_dcp_folder(path: Path, objects_as_data: bool = False) -> dict[TreePath, Leaf]:
    """The leaves. Raises `CheckpointError` where shards are missing or do not make up their tensor."""
    with (path / METADATA).open("rb") as file:
        metadata: Any = InertUnpickler(file, _no_storage).load()
    state = metadata.state if isinstance(metadata, Inert) and isinstance(metadata.state, dict) else {}
    if "state_dict_metadata" not in state or not isinstance(state.get("storage_data"), dict):
        raise CheckpointError(
            f"{path / METADATA}: expected torch.distributed.checkpoint's metadata, found another pickle"
        )
    shards: dict[str, list[_Shard]] = {}
    for index, info in state["storage_data"].items():
        key, at = _fields(index), _fields(info)
        shards.setdefault(key["fqn"], []).append(
            _Shard(tuple(key.get("offset") or ()), path / at["relative_path"], at["offset"], at["length"])
        )
    planned = state.get("planner_data") or {}
    leaves: dict[TreePath, Leaf] = {}
    if (path / REST).is_file():
        leaves |= flatten(read_torch_file(path / REST, objects_as_data))
    for name, told in state["state_dict_metadata"].items():
        where = tuple(Step(key, "list") if isinstance(key, int) else Step(key) for key in planned.get(name) or (name,))
        if name not in shards:
            raise CheckpointError(f"{path}: {name}: expected a shard of it, found none")
        parts = {shard.offsets: _read(shard, objects_as_data) for shard in shards[name]}
        size = _fields(told).get("size")
        if size is None:
            (value,) = parts.values()
            leaves |= {(*where, *inner): leaf for inner, leaf in flatten(value).items()}
        else:
            leaves[where] = _whole(path, name, tuple(size), parts)
    for where in [one for one in leaves if one[:2] == _TIES]:
        other, first = (path_from_json(part) for part in json.loads(leaves.pop(where)))
        leaves[other] = leaves[first]
    return leaves


def _ties(leaves: Mapping[TreePath, Leaf]) -> dict[TreePath, Leaf]:
    """Which tensors are one: the shards say nothing of it."""
    first: dict[object, TreePath] = {}
    found: list[str] = []
    for where, leaf in leaves.items():
        if isinstance(leaf, StoredTensor) and leaf.count:
            other = first.setdefault(leaf.place, where)
            if other != where:
                found.append(json.dumps([path_to_json(where), path_to_json(other)]))
    return {(*_TIES, Step(at, "list")): text for at, text in enumerate(found)}


def _read(shard: _Shard, objects_as_data: bool) -> Any:
    if not shard.file.is_file():
        raise CheckpointError(f"{shard.file}: expected it beside {METADATA}, found none; copy the shards of all ranks")
    if shard.start + shard.length > shard.file.stat().st_size:
        raise CheckpointError(f"{shard.file}: expected {shard.start + shard.length} bytes, found fewer: cut short")
    return read_torch_region(shard.file, shard.start, shard.length, objects_as_data)


def _whole(path: Path, name: str, size: tuple[int, ...], parts: Mapping[tuple[int, ...], Any]) -> StoredTensor:
    made = _assembled([(offsets, part) for offsets, part in sorted(parts.items())], 0, len(size))
    covered = sum(part.count for part in parts.values())
    if made.shape != size or covered != made.count:
        raise CheckpointError(f"{path}: {name}: expected shards of a tensor of {size}, found {made.shape} in all")
    return made


def _assembled(parts: Sequence[tuple[tuple[int, ...], StoredTensor]], axis: int, axes: int) -> StoredTensor:
    """Shards that tile a tensor, joined along one axis after the other."""
    if len(parts) == 1:
        return parts[0][1]
    if axis == axes:
        raise CheckpointError(f"expected shards at places of their own, found {len(parts)} at {parts[0][0]}")
    rows: dict[int, list[tuple[tuple[int, ...], StoredTensor]]] = {}
    for offsets, part in parts:
        rows.setdefault(offsets[axis], []).append((offsets, part))
    joined = [_assembled(row, axis + 1, axes) for _, row in sorted(rows.items())]
    return joined[0] if len(joined) == 1 else join(joined, axis)


def _fields(value: Any) -> dict[str, Any]:
    return value.state if isinstance(value, Inert) and isinstance(value.state, dict) else {}


def _no_storage(*_: Any) -> Any:
    raise CheckpointError(f"{METADATA}: expected no tensors in it, found one")


def write_dcp_folder(path: Path, leaves: Mapping[TreePath, Leaf]) -> None:
    """Write a folder by torch.distributed.checkpoint itself, in one process; tensors are mapped from where they lie.

    Raises `CheckpointError` for an existing folder, and where reading the result would not give the same leaves.
    """
    # Half a second to import, which reading does without.
    from torch.distributed.checkpoint.filesystem import FileSystemWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    sharded = {where: leaf for where, leaf in leaves.items() if str(where[0].key).startswith(SHARDED)}
    rest = {where: leaf for where, leaf in leaves.items() if where not in sharded}
    tree = unflatten(
        {where: leaf.load() if isinstance(leaf, StoredTensor) else leaf for where, leaf in sharded.items()}
    )
    with new_folder(path) as folder:
        with warnings.catch_warnings():
            # It says that nobody set up a process group; there is one process.
            warnings.simplefilter("ignore")
            save(tree, storage_writer=FileSystemWriter(folder, single_file_per_rank=True), no_dist=True)
        with (folder / REST).open("xb", buffering=0) as file:
            write_torch_file(file, unflatten(rest | _ties(sharded)))
        back = read_dcp_folder(folder)
        lost = [show(where) for where in leaves if where not in back] + [show(one) for one in back if one not in leaves]
        if lost:
            raise CheckpointError(f"{path}: expected every leaf again, found {', '.join(lost[:8])} lost or added")
