"""Compiled: blocks that `torch.compile` made, on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from semantics.harness import Parity, different
from semantics.test_checkpoints import resumes

BLOCKS = [
    "Model.blocks = [@wide/Linear(), @Residual(), @Activation(), @head/Linear()]",
    "Residual.layers = [@Norm(), @Activation(), @inner/Linear()]",
    "Norm.kind = 'layer'",
    "inner/Linear.features = 8",
    "Activation.dropout = 0.0",
]


@pytest.fixture(autouse=True)
def _compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled stays in the test's folder; a machine without a C++ compiler cannot run this."""
    from torch._inductor import cpp_builder

    try:
        cpp_builder.get_cpp_compiler()
    except Exception as error:  # torch raises exceptions of its own, which moved between versions
        pytest.skip(f"needs a C++ compiler: {error}")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_compiled_blocks(parity: Parity) -> None:
    """A block compiled by inductor, on both sides; its checkpoints keep the names of the block.

    Seam: `block.compile()` in the legacy trainer's construction; nothing wraps the block, so no name changes.

    Twin: compiled on one side only.
    """
    right = [*BLOCKS, "Trainer.compiled = ('blocks.1',)", "Trainer.checkpoint_every = 4"]
    legacy = parity.identical(*right)
    assert not any("_orig_mod" in name for name in legacy.state["model"])
    resumes(parity, right, legacy, legacy.folder / "step_00000004.lab", ("L1",))
    eager = parity.train("L1", BLOCKS)
    assert different(legacy.state["model"], eager.state["model"]), "the wrong twin was not found"
    parity.found["twin"] = "state at the end"
