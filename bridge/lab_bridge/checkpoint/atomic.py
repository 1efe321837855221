"""Writing a file or folder whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lab_bridge.checkpoint.errors import CheckpointError

__all__ = ["new_file", "new_folder", "refuse_existing"]


def refuse_existing(path: Path, force: bool = False) -> None:
    """Raise `CheckpointError` where something lies at `path` already."""
    if not force and (path.exists() or path.is_symlink()):
        raise CheckpointError(
            f"{path}: expected no such file, found one; choose another name, or --force to replace it"
        )


@contextlib.contextmanager
def new_file(path: Path, force: bool = False) -> Iterator[BinaryIO]:
    """A file to write, which gets the name `path` once everything has reached the disk.

    Whatever happens before (an exception, a full disk, a killed process) leaves what lay at `path` as it was; a killed
    process leaves a hidden `.partial` beside it. An existing file is refused, also one that appears meanwhile, unless
    `force`.
    """
    refuse_existing(path, force)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        with partial.open("xb", buffering=0) as file:
            yield file
            os.fsync(file.fileno())
        if force:
            partial.replace(path)
        else:
            # A link, unlike a rename, never replaces.
            _link(partial, path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which gets the name `path` once everything in it has reached the disk. Never replaces one."""
    refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    partial.mkdir()
    try:
        yield partial
        for place in sorted(partial.rglob("*"), reverse=True):
            _sync(place)
        _sync(partial)
        refuse_existing(path)
        partial.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def _link(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path)
    except FileExistsError:
        refuse_existing(path)
        raise
    except OSError:  # a file system without links
        refuse_existing(path)
        partial.rename(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
