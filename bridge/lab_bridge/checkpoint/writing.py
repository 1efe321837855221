"""Writing leaves as a file of some format, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab_bridge.checkpoint.atomic import new_file
from lab_bridge.checkpoint.dcp_folder import write_dcp_folder
from lab_bridge.checkpoint.folder import write_folder
from lab_bridge.checkpoint.format import Format
from lab_bridge.checkpoint.safetensors_file import write_safetensors_file
from lab_bridge.checkpoint.torch_writer import write_torch_file
from lab_bridge.checkpoint.tree import Leaf, TreePath, unflatten

__all__ = ["write_checkpoint"]


def write_checkpoint(path: Path, leaves: Mapping[TreePath, Leaf], form: Format, force: bool = False) -> None:
    """Write. Raises `CheckpointError` where something lies at `path` and `force` does not say otherwise."""
    if form.container == "folder":
        write_folder(path, leaves)
        return
    if form.container == "dcp":
        write_dcp_folder(path, leaves)
        return
    with new_file(path, force) as file:
        if form.container == "safetensors":
            write_safetensors_file(file, leaves)
        else:
            write_torch_file(file, unflatten(leaves))
