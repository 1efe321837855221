"""Opening a checkpoint of any kind: its leaves, its format, its contents."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import attrs

from lab_bridge.checkpoint.contents import Contents
from lab_bridge.checkpoint.dcp_folder import is_dcp_folder, read_dcp_folder
from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.folder import read_folder
from lab_bridge.checkpoint.format import Format
from lab_bridge.checkpoint.formats import all_formats, format_named
from lab_bridge.checkpoint.safetensors_file import is_safetensors_file, read_safetensors_file
from lab_bridge.checkpoint.torch_file import is_torch_file, read_torch_file
from lab_bridge.checkpoint.translate import contents_of
from lab_bridge.checkpoint.tree import Leaf, TreePath, flatten

__all__ = ["Opened", "Reading", "open_checkpoint"]


@attrs.frozen
class Reading:
    """How far to go with files that hold more than tensors and plain values.

    `objects_as_data`: describe foreign objects, import nothing. `trusted`: unpickle these files as usual, which runs
    whatever they say.
    """

    objects_as_data: bool = False
    trusted: Collection[Path] = ()


@attrs.frozen
class Opened:
    """A checkpoint whose tensors are still in their file."""

    path: Path
    leaves: dict[TreePath, Leaf]
    format: Format
    contents: Contents


def open_checkpoint(path: str | Path, reading: Reading | None = None) -> Opened:
    """Open a file or folder.

    Raises `FileNotFoundError`, `UntrustedError` for a file that wants to import something, `CheckpointError` for a file
    that is no checkpoint.
    """
    path, reading = Path(path), reading or Reading()
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    leaves, form = _read(path, reading)
    if not leaves:
        raise CheckpointError(f"{path}: expected a checkpoint, found an empty one")
    return Opened(path, leaves, form, contents_of(leaves, form))


def _read(path: Path, reading: Reading) -> tuple[dict[TreePath, Leaf], Format]:
    if is_dcp_folder(path):
        leaves = read_dcp_folder(path, reading.objects_as_data)
        return leaves, _recognised(path, leaves, "dcp")
    if path.is_dir():
        leaves = read_folder(path, lambda file: _read_torch(file, reading))
        return leaves, _recognised(path, leaves, "folder")
    if is_safetensors_file(path):
        return read_safetensors_file(path), format_named("safetensors")
    if not is_torch_file(path):
        raise CheckpointError(f"{path}: expected a file of torch.save or safetensors, found neither")
    leaves = flatten(_read_torch(path, reading))
    return leaves, _recognised(path, leaves, "torch")


def _read_torch(path: Path, reading: Reading) -> Any:
    trust = path.resolve() in {trusted.resolve() for trusted in reading.trusted}
    return read_torch_file(path, reading.objects_as_data, trust)


def _recognised(path: Path, leaves: dict[TreePath, Leaf], container: str) -> Format:
    for form in all_formats():
        if form.container == container and form.recognises(leaves):
            return form
    tops = ", ".join(str(key) for key in list(dict.fromkeys(path[0].key for path in leaves if path))[:8])
    wanted = "a model's weights under a key such as model or state_dict"
    if container == "folder":
        wanted = "trainer_state.json (the Hugging Face Trainer's) or .metadata (torch.distributed.checkpoint's)"
    raise CheckpointError(f"{path}: expected {wanted}, found {tops}")
