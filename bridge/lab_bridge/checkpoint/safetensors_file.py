"""Reading and writing safetensors without holding the tensors (https://huggingface.co/docs/safetensors, "Format").

As a table of leaves: tensors under `tensors/<name>`, the file's metadata under `metadata/<key>`; everything that is no
tensor of the model lies under `lab_migrate/…`, its tensors as `lab_migrate/…` in the file as well, the rest as JSON in
the metadata. Tensors that are one tensor (tied weights) are written once, and the others named in the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open

from lab_bridge.checkpoint.carried import KEY
from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.plain_json import leaf_from_json, leaf_to_json, path_from_json, path_to_json
from lab_bridge.checkpoint.stored import FileStorage, StoredTensor, row_major, write_all
from lab_bridge.checkpoint.tree import Leaf, Step, TreePath

__all__ = ["is_safetensors_file", "read_safetensors_file", "write_safetensors_file"]

# https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs, enum Dtype
_DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn, "I16": torch.int16, "U16": torch.uint16, "F16": torch.float16,
    "BF16": torch.bfloat16, "I32": torch.int32, "U32": torch.uint32, "F32": torch.float32, "C64": torch.complex64,
    "F64": torch.float64, "I64": torch.int64, "U64": torch.uint64,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def is_safetensors_file(path: Path) -> bool:
    """Whether it starts as one: the length of a JSON header, then the header."""
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000


def read_safetensors_file(path: Path) -> dict[TreePath, Leaf]:
    """The leaves. Raises `CheckpointError` where the library finds the file damaged."""
    try:
        with safe_open(path, "pt") as file:  # checks header, sizes and offsets
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: expected a safetensors file, found a damaged one: {error}") from error
    with path.open("rb") as raw:
        size = int.from_bytes(raw.read(8), "little")
        header: dict[str, Any] = json.loads(raw.read(size))
    header.pop("__metadata__", None)
    tensors: dict[str, StoredTensor] = {}
    for name, told in header.items():
        if told["dtype"] not in _DTYPES:
            raise CheckpointError(f"{path}: {name}: expected one of {', '.join(_DTYPES)}, found {told['dtype']}")
        start, stop = told["data_offsets"]
        shape = tuple(told["shape"])
        storage = FileStorage(path, 8 + size + start, stop - start)
        tensors[name] = StoredTensor(storage, _DTYPES[told["dtype"]], shape, row_major(shape))
    ours = json.loads(metadata.pop(KEY, "{}"))
    tensors |= {name: tensors[first] for name, first in ours.get("ties", {}).items()}
    order = ours.get("order", sorted(tensors, key=lambda name: _at(tensors[name])))
    leaves: dict[TreePath, Leaf] = {
        (Step("tensors"), Step(name)): tensors[name] for name in order if not name.startswith(f"{KEY}/")
    }
    leaves |= {(Step("metadata"), Step(key)): value for key, value in metadata.items()}
    for told_path, value in ours.get("rest", []):
        whole = (Step(KEY), *path_from_json(told_path))
        leaves[whole] = (
            tensors[value["tensor"]] if isinstance(value, dict) and "tensor" in value else leaf_from_json(value)
        )
    return leaves


def _at(tensor: StoredTensor) -> int:
    assert isinstance(tensor.storage, FileStorage)
    return tensor.storage.offset


def write_safetensors_file(file: BinaryIO, leaves: Mapping[TreePath, Leaf]) -> None:
    """Write leaves to an empty file."""
    tensors: dict[str, StoredTensor] = {}
    metadata: dict[str, str] = {}
    rest: list[Any] = []
    order = []
    for path, leaf in leaves.items():
        if path[0].key == KEY:
            if isinstance(leaf, StoredTensor):
                name = "/".join(str(step.key) for step in path)
                while name in tensors:
                    name += "'"
                tensors[name] = leaf
                rest.append([path_to_json(path[1:]), {"tensor": name}])
            else:
                rest.append([path_to_json(path[1:]), leaf_to_json(leaf, path)])
        elif path[0].key == "tensors" and isinstance(leaf, StoredTensor):
            tensors[str(path[1].key)] = leaf
            order.append(str(path[1].key))
        else:
            metadata[str(path[1].key)] = leaf
    ties: dict[str, str] = {}
    first: dict[tuple[object, ...], str] = {}
    for name, tensor in tensors.items():
        other = first.setdefault(tensor.place, name)
        if other != name:
            ties[name] = other
    if rest or ties:
        metadata[KEY] = json.dumps({"ties": ties, "order": order, "rest": rest})
    _write(file, {name: tensor for name, tensor in tensors.items() if name not in ties}, metadata)


def _write(file: BinaryIO, tensors: Mapping[str, StoredTensor], metadata: Mapping[str, str]) -> None:
    # Wide elements first, so that every tensor lies at a multiple of its element's size.
    ordered = sorted(tensors.items(), key=lambda pair: -pair[1].dtype.itemsize)
    header: dict[str, Any] = {"__metadata__": metadata}
    at = 0
    for name, tensor in ordered:
        if tensor.dtype not in _NAMES:
            raise CheckpointError(f"{name}: expected a dtype that safetensors has, found {tensor.dtype}")
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    told = json.dumps(header, separators=(",", ":")).encode()
    told += b" " * (-len(told) % 8)
    for data in (len(told).to_bytes(8, "little"), told):
        write_all(file, memoryview(data))
    for _, tensor in ordered:
        tensor.write(file)
