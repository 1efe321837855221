"""A Lightning program beside the loop that it replaces; the package itself knows no Lightning."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import lab_parity


def model() -> nn.Module:
    """Classifier (B, 4) -> (B, 3) with dropout and BatchNorm."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 3))


def batches() -> torch.utils.data.DataLoader[Any]:
    """Five batches of eight."""
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(40, 4, generator=generator), torch.randint(0, 3, (40,), generator=generator)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=8)


def test_automatic_optimization_is_identical_to_the_plain_loop(tmp_path: Path) -> None:
    """Lightning steps with a closure, under a module that holds the model; two epochs."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = model()

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=0.01)

    with lab_parity.record(tmp_path / "plain"):
        net = model()
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
        for _ in range(2):
            for x, y in batches():
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()
    with warnings.catch_warnings(), lab_parity.record(tmp_path / "lightning"):
        warnings.simplefilter("ignore")  # Lightning's advice on loader workers and logging
        module = Module()
        trainer = lightning.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, barebones=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(module, batches())
    verdict = lab_parity.compare(tmp_path / "plain", tmp_path / "lightning")
    assert (verdict.rung, verdict.reasons) == ("identical", ())
    assert verdict.coverage.steps == 10
    assert verdict.coverage.batches == 10
    plain, under = (lab_parity.read(tmp_path / name).end() for name in ("plain", "lightning"))
    # The one-line summary of whose loop it was, which tells a converted program from one that ran as before.
    assert (plain.under, under.under) == ({}, {"lightning": 10})
    assert plain.first.startswith("parity_tests/tests/test_lightning_program.py:")
