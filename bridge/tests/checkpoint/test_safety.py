"""No file runs code, no half-written file is left, nothing is overwritten."""

from __future__ import annotations

import argparse
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab_bridge.checkpoint import CheckpointError, Reading, UntrustedError, convert, open_checkpoint
from lab_bridge.checkpoint.atomic import new_file, new_folder
from lab_bridge.checkpoint.symbols import plain_symbols, unknown_symbols
from lab_bridge.checkpoint.torch_file import symbols_in


class Hostile:
    """Makes a file as soon as it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


Save = Callable[..., Path]
Training = Callable[..., dict[str, Any]]

FORMS: dict[str, dict[str, Any]] = {
    "zip": {},
    "zip, protocol 4": {"pickle_protocol": 4},
    "before zip": {"_use_new_zipfile_serialization": False},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_hostile_file_is_refused_with_its_symbols_and_runs_nothing(tmp_path: Path, form: str, save: Save) -> None:
    """Neither refusing it nor reading it as data imports or calls anything; trusting it does."""
    marker = tmp_path / "it ran"
    path = save("a.pt", {"model": {"w": torch.ones(2)}, "extra": Hostile(marker)}, **FORMS[form])
    with pytest.raises(UntrustedError, match=r"posix\.mkdir") as refused:
        open_checkpoint(path)
    assert refused.value.symbols == ("posix.mkdir",)
    assert f"--trust-pickle {path}" in str(refused.value)
    described = open_checkpoint(path, Reading(objects_as_data=True))
    assert "posix.mkdir" in described.leaves.values()
    assert not marker.exists()
    other = save("b.pt", {"model": {}})
    with pytest.raises(UntrustedError):
        open_checkpoint(path, Reading(trusted=[other]))
    assert not marker.exists()
    if form != "before zip":
        open_checkpoint(path, Reading(trusted=[path]))
        assert marker.exists()


def test_the_symbols_are_those_that_torch_itself_would_refuse(tmp_path: Path, save: Save, training: Training) -> None:
    """`get_unsafe_globals_in_checkpoint`, less numpy's arrays, which are plain values."""
    tree = {"a": argparse.Namespace(x=Path("p")), "b": np.arange(3), "c": training(), "d": argparse.ArgumentParser}
    path = save("a.pt", tree)
    unsafe = set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    assert set(symbols_in(path)) == {name for name in unsafe if not name.startswith("numpy.")}
    assert {"argparse.Namespace", "argparse.ArgumentParser", "pathlib.PosixPath"} <= set(symbols_in(path))


def test_a_name_put_together_while_loading_is_never_taken_for_plain() -> None:
    """STACK_GLOBAL with parts that are not there to be read."""
    assert unknown_symbols(["(made up while loading)", "torch.FloatStorage"]) == ["(made up while loading)"]
    assert "builtins.eval" not in plain_symbols()
    assert "builtins.getattr" not in plain_symbols()


def test_a_symbol_made_up_while_loading_is_listed(tmp_path: Path) -> None:
    """A hand-made pickle that takes the function's name out of a tuple."""
    hidden = b"\x80\x04\x8c\x05posix\x8c\x06system\x94\x30\x8c\x05mkdir\x86\x30\x8c\x05posix\x8c\x05mkdir\x93."
    path = tmp_path / "a.pkl"
    path.write_bytes(hidden)
    with path.open("rb") as file:
        from lab_bridge.checkpoint.symbols import symbols_in_pickle

        assert symbols_in_pickle(file) == ["posix.mkdir"]
    path.write_bytes(b"\x80\x04(\x8c\x05posixl\x8c\x05mkdir\x93.")
    with path.open("rb") as file:
        assert symbols_in_pickle(file) == ["(made up while loading)"]


def test_plain_values_and_arrays_need_no_trust(tmp_path: Path, save: Save) -> None:
    """numpy arrays and scalars, sets, dtypes, sizes, devices, bytes, non-contiguous and odd-typed tensors."""
    tree = {
        "model": {"w": torch.arange(6.0).view(2, 3).t(), "f8": torch.ones(3).to(torch.float8_e5m2), "none": None},
        "rng": ("MT19937", np.arange(4, dtype=np.uint32), np.float64(2.5)),
        "odd": [{1, 2}, torch.float16, torch.Size([2]), torch.device("cpu"), b"bytes", 1j, float("nan"), 10**30],
    }
    path = save("a.pt", tree)
    convert(path, tmp_path / "a.ckpt")
    convert(tmp_path / "a.ckpt", tmp_path / "b.pt", to="home-grown")
    back = torch.load(tmp_path / "b.pt", weights_only=False)
    assert torch.equal(back["model"]["w"], tree["model"]["w"])
    assert back["rng"][1].dtype == np.uint32
    assert (back["rng"][1] == tree["rng"][1]).all()
    assert isinstance(back["rng"][2], np.float64)
    assert str(back["odd"]) == str(tree["odd"])
    torch.load(tmp_path / "a.ckpt", weights_only=True)


@pytest.mark.parametrize("keep", [100, 2000, -40])
def test_a_truncated_file_is_an_error_that_says_so(tmp_path: Path, keep: int, save: Save, training: Training) -> None:
    """Wherever it was cut."""
    path = save("a.pt", training())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"a\.pt: expected"):
        open_checkpoint(path)


def test_a_tensor_that_reaches_beyond_its_storage_is_an_error(tmp_path: Path, save: Save) -> None:
    """Strides out of a hostile pickle would read other memory."""
    storage = torch.ones(4)

    class Beyond:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (storage._typed_storage(), 0, (1000,), (1,), False, {})

    path = save("a.pt", {"model": {"w": Beyond()}})
    with pytest.raises(CheckpointError, match="inside its storage of 16 bytes"):
        open_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04rest", b"\x80\x02}.", pickle.dumps([1]), b"\x00" * 64])
def test_a_file_that_is_no_checkpoint_is_an_error(tmp_path: Path, content: bytes) -> None:
    """With the path and what was expected."""
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.pt: expected"):
        open_checkpoint(path)


def test_an_existing_output_is_refused_and_force_replaces_it_in_one_step(
    tmp_path: Path, save: Save, training: Training
) -> None:
    """Also where it appears while the new one is written."""
    path, target = save("a.pt", training()), tmp_path / "a.ckpt"
    target.write_bytes(b"precious")
    with pytest.raises(CheckpointError, match="expected no such file"):
        convert(path, target)
    late = new_file(tmp_path / "b")
    late.__enter__().write(b"late")
    (tmp_path / "b").write_bytes(b"first")
    with pytest.raises(CheckpointError, match="expected no such file"):
        late.__exit__(None, None, None)
    assert (tmp_path / "b").read_bytes() == b"first"
    assert target.read_bytes() == b"precious"
    convert(path, target, force=True)
    assert open_checkpoint(target).format.name == "lightning"
    with pytest.raises(CheckpointError, match="expected no such file"), new_folder(tmp_path):
        pass
    assert sorted(place.name for place in tmp_path.iterdir()) == ["a.ckpt", "a.pt", "b"]


def test_a_file_size_limit_leaves_the_old_file(tmp_path: Path, save: Save, training: Training) -> None:
    """As a full disk does; nothing is left beside it."""
    path, target = save("a.pt", training()), tmp_path / "a.ckpt"
    target.write_bytes(b"precious")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            convert(path, target, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert target.read_bytes() == b"precious"
    assert sorted(place.name for place in tmp_path.iterdir()) == ["a.ckpt", "a.pt"]


@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, ending: str, save: Save) -> None:
    """A tmpfs of 64 KiB; needs the right to mount one."""
    path = save("a.pt", {"model": {"w": torch.ones(30_000)}})
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        (disk / f"a.{ending}").write_bytes(b"precious")
        with pytest.raises(OSError, match="No space left"):
            convert(path, disk / f"a.{ending}", force=True)
        assert (disk / f"a.{ending}").read_bytes() == b"precious"
        assert len(list(disk.iterdir())) == 1
    finally:
        subprocess.run(["umount", disk], check=True)


def test_kill_9_while_writing_leaves_the_old_file(tmp_path: Path, save: Save, training: Training) -> None:
    """A process that ends half-way; the next conversion goes through."""
    path, target = save("a.pt", training()), tmp_path / "a.ckpt"
    target.write_bytes(b"precious")
    program = (
        "import os, signal, sys\n"
        "from lab_bridge.checkpoint import convert, zip_writer\n"
        "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "zip_writer.ZipWriter.finish = die\n"
        "convert(sys.argv[1], sys.argv[2], force=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", program, path, target], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"precious"
    assert len(list(tmp_path.glob(".a.ckpt.*.partial"))) == 1
    convert(path, target, force=True)
    assert open_checkpoint(target).contents.weights()


def test_a_conversion_holds_no_more_than_a_few_chunks(tmp_path: Path, save: Save) -> None:
    """256 MiB through a process whose memory may grow by 64 MiB at most, to both containers, transposed views too."""
    wide = torch.ones(64, 2**20)
    path = save("a.pt", {"model": {"w": wide, "turned": wide.t()}, "step": 1})
    program = (
        "import resource, sys\n"
        "from lab_bridge.checkpoint import convert, open_checkpoint\n"
        "open_checkpoint(sys.argv[1])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "convert(*sys.argv[1:3])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, path, tmp_path / "a.ckpt"]
    grown = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert int(grown.stdout) < 64 * 1024
    shutil.rmtree(tmp_path)
