"""One forward pass of the legacy model with the legacy weights, and of the migrated one with the migrated weights.

This runs a user's code, so it is done only when asked for, each side in a process of its own. A side is named as
`file.py:function` or `package.module:function`; the function returns `(model, inputs)`, the inputs as a tuple. Both
sides are seeded alike before it is called.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.fault import Fault
from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.torch_writer import write_torch_file

__all__ = ["forward_faults"]

Weights = Mapping[str, StoredTensor]
SEED = 0


def forward_faults(source: Weights, target: Weights, legacy: str, migrated: str) -> list[Fault]:
    """What differs between the outputs of the two models; empty where all are the same bits.

    Raises `CheckpointError` where a side cannot be built, does not take its weights, or gives no tensor.
    """
    with tempfile.TemporaryDirectory(prefix="lab-migrate-forward-") as work:
        one = _outputs(source, legacy, Path(work) / "legacy")
        other = _outputs(target, migrated, Path(work) / "migrated")
    if len(one) != len(other):
        return [Fault("forward", "outputs", f"forward pass: expected {len(one)} tensors, found {len(other)}")]
    return [
        fault
        for number, (a, b) in enumerate(zip(one, other, strict=True))
        if (fault := _differing(number, a, b)) is not None
    ]


def _differing(number: int, a: torch.Tensor, b: torch.Tensor) -> Fault | None:
    where = f"output[{number}]"
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        told = f"{where}: expected {tuple(a.shape)} {a.dtype}, found {tuple(b.shape)} {b.dtype}"
        return Fault("forward", where, told)
    if torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8)):
        return None
    worst = (a.double() - b.double()).abs().max().item()
    told = f"{where}: expected the same bits from one forward pass, found a difference of up to {worst:.3g}"
    return Fault("forward", where, told)


def _outputs(weights: Weights, builder: str, folder: Path) -> list[torch.Tensor]:
    folder.mkdir()
    with (folder / "weights.pt").open("xb", buffering=0) as file:
        write_torch_file(file, dict(weights))
    command = [sys.executable, "-m", __name__, builder, str(folder / "weights.pt"), str(folder / "outputs.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckpointError(f"{builder}: one forward pass failed:\n{done.stderr[-2000:].strip()}")
    outputs: list[torch.Tensor] = torch.load(folder / "outputs.pt", weights_only=True)
    if not outputs:
        raise CheckpointError(f"{builder}: expected a model that gives tensors, found none in its output")
    return outputs


def _builder(name: str) -> Callable[[], tuple[torch.nn.Module, tuple[Any, ...]]]:
    module, _, function = name.rpartition(":")
    if module.endswith(".py"):
        path = Path(module).resolve()
        sys.path.insert(0, str(path.parent))
        module = path.stem
    else:
        sys.path.insert(0, "")
    found: Callable[[], tuple[torch.nn.Module, tuple[Any, ...]]] = getattr(importlib.import_module(module), function)
    return found


def _main(builder: str, weights: str, outputs: str) -> None:
    torch.manual_seed(SEED)
    model, inputs = _builder(builder)()
    model.load_state_dict(torch.load(weights, weights_only=True))
    with torch.no_grad():
        result = model.eval()(*inputs)
    found: list[torch.Tensor] = []
    torch.utils._pytree.tree_map_only(torch.Tensor, lambda tensor: found.append(tensor.clone()), result)
    torch.save(found, outputs)


if __name__ == "__main__":
    _main(*sys.argv[1:])
