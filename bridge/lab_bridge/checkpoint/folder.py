"""Checkpoints that are folders: every file under its name, as one table of leaves.

Files of torch.save and safetensors are read without their tensors, `.json` as its tree; what is neither is kept as
bytes, which nobody interprets. What a format has no place for lies in `lab_migrate.pt`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from lab_bridge.checkpoint.atomic import new_folder
from lab_bridge.checkpoint.carried import KEY
from lab_bridge.checkpoint.errors import CheckpointError, UntrustedError
from lab_bridge.checkpoint.safetensors_file import is_safetensors_file, read_safetensors_file, write_safetensors_file
from lab_bridge.checkpoint.torch_file import is_torch_file
from lab_bridge.checkpoint.torch_writer import write_torch_file
from lab_bridge.checkpoint.tree import Leaf, Step, TreePath, flatten, unflatten

__all__ = ["read_folder", "write_folder"]

#: A file that is kept as bytes may have so many.
LARGEST = 64 << 20
#: Missing weights that an error names.
SHOWN = 8
#: Pickled settings, which would import their framework; nothing in them is state of the training.
SETTINGS = ("training_args.bin",)


def read_folder(path: Path, read_torch: Callable[[Path], object]) -> dict[TreePath, Leaf]:
    """The leaves of all files directly in a folder. Raises `CheckpointError`, `UntrustedError`."""
    leaves: dict[TreePath, Leaf] = {}
    folders = sorted(inner.name for inner in path.iterdir() if inner.is_dir() and not inner.name.startswith("."))
    if folders:
        raise CheckpointError(
            f"{path}: expected files, found folders as well, of which nothing would come along: {', '.join(folders)}; "
            "move them out, or convert them by themselves"
        )
    for file in sorted(path.iterdir()):
        if not file.is_file() or file.name.startswith("."):
            continue
        for inner, leaf in _read(file, read_torch).items():
            leaves[(Step(KEY if file.name == f"{KEY}.pt" else file.name), *inner)] = leaf
    _check_index(path, leaves)
    return leaves


def _check_index(path: Path, leaves: Mapping[TreePath, Leaf]) -> None:
    """That every weight is there which an index of several files says is."""
    missing = [
        f"{where[2].key} in {file}"
        for where, file in leaves.items()
        if str(where[0].key).endswith(".index.json") and len(where) == 3 and where[1].key == "weight_map"
        and not {(Step(file), Step("tensors"), where[2]), (Step(file), where[2])} & leaves.keys()
    ]  # fmt: skip
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise CheckpointError(
            f"{path}: expected what its index lists, found no {', '.join(missing[:SHOWN])}{more}; copy those files"
        )


def _read(file: Path, read_torch: Callable[[Path], object]) -> dict[TreePath, Leaf]:
    if is_safetensors_file(file):
        return read_safetensors_file(file)
    if is_torch_file(file):
        try:
            return flatten(read_torch(file))
        except UntrustedError:
            if file.name not in SETTINGS:
                raise
    elif file.suffix == ".json":
        try:
            return flatten(json.loads(file.read_text(encoding="utf-8")))
        except ValueError as error:
            raise CheckpointError(f"{file}: expected JSON: {error}") from error
    if file.stat().st_size > LARGEST:
        raise CheckpointError(
            f"{file}: expected tensors, JSON, or a file of at most {LARGEST >> 20} MiB, found "
            f"{file.stat().st_size >> 20} MiB of something else; move it out of the folder"
        )
    return {(): file.read_bytes()}


def write_folder(path: Path, leaves: Mapping[TreePath, Leaf]) -> None:
    """Write the files of a folder, all of them or none. Raises `CheckpointError` where something lies at `path`."""
    files: dict[str, dict[TreePath, Leaf]] = {}
    for where, leaf in leaves.items():
        files.setdefault(str(where[0].key), {})[where[1:]] = leaf
    with new_folder(path) as folder:
        for name, inner in files.items():
            with (folder / (f"{KEY}.pt" if name == KEY else name)).open("xb", buffering=0) as file:
                if name.endswith(".safetensors"):
                    write_safetensors_file(file, inner)
                elif name.endswith(".json"):
                    file.write((json.dumps(unflatten(inner), indent=2, sort_keys=True) + "\n").encode())
                elif isinstance(inner.get(()), bytes):
                    file.write(inner[()])
                else:
                    write_torch_file(file, unflatten(inner))
