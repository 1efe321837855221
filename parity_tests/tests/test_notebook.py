"""A notebook: cells that define, a cell that records, a cell that is run again."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lab_parity
from lab_parity import compare

CELLS = [
    "import torch\nfrom torch import nn\nimport lab_parity",
    "torch.manual_seed(0)\nmodel = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.3), nn.Linear(4, 1))\n"
    "shadow = {name: value.detach().clone() for name, value in model.named_parameters()}",
    "optimizer = torch.optim.Adam(model.parameters(), lr=0.01)\ndef batch():\n    return torch.randn(6, 3)",
    "with lab_parity.record(PATH):\n"
    "    for _ in range(3):\n"
    "        optimizer.zero_grad()\n"
    "        loss = model(batch()).square().mean()\n"
    "        loss.backward()\n"
    "        optimizer.step()\n"
    "        for name, value in model.named_parameters():\n"
    "            shadow[name].lerp_(value.detach(), 0.1)\n",
    "loss.item()",
]


def namespace(path: Path) -> dict[str, Any]:
    """What the cells run in, as a kernel has it: one for all of them."""
    return {"__name__": "__main__", "PATH": str(path)}


def run(cells: list[str], within: dict[str, Any]) -> None:
    """Each cell as a unit of its own."""
    for number, cell in enumerate(cells):
        exec(compile(cell, f"<ipython-input-{number}>", "exec"), within)


def test_a_cell_that_trains_is_recorded_with_what_other_cells_made(tmp_path: Path) -> None:
    """The model, its average in a dict and the optimizer come from cells before; twice the same is identical."""
    for name in "ab":
        run(CELLS, namespace(tmp_path / f"{name}.trace"))
    verdict = compare(tmp_path / "a.trace", tmp_path / "b.trace")
    assert (verdict.rung, verdict.coverage.steps) == ("identical", 3), verdict.first
    assert {"ema", "batch", "buffer"} & set(verdict.coverage.not_exercised) == {"buffer"}


def test_a_cell_that_is_run_again_trains_on(tmp_path: Path) -> None:
    """Its recording never writes over the one before; the second one starts where the first one ended."""
    within = namespace(tmp_path / "a.trace")
    run(CELLS, within)
    with pytest.raises(FileExistsError):
        run(CELLS[3:4], within)
    within["PATH"] = str(tmp_path / "b.trace")
    run(CELLS[3:4], within)
    verdict = compare(tmp_path / "a.trace", tmp_path / "b.trace")
    assert verdict.first is not None
    assert verdict.first.phase == "config"


def test_a_real_kernel_records_the_same(tmp_path: Path) -> None:
    """Where nbclient and ipykernel are installed: the trace of a notebook is that of its cells."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.v4.new_notebook()
    first = f"import sys\nsys.path[:] = {json.dumps(sys.path)}\nPATH = {json.dumps(str(tmp_path / 'kernel.trace'))}"
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in [first, *CELLS]]
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    run(CELLS, namespace(tmp_path / "cells.trace"))
    assert len(lab_parity.read(tmp_path / "kernel.trace")) == 3
    verdict = compare(tmp_path / "cells.trace", tmp_path / "kernel.trace")
    assert verdict.rung == "identical", verdict.first


def test_a_verdict_and_a_cause_show_themselves_in_words(tmp_path: Path) -> None:
    """A cell that ends in a comparison showed a screen of fields."""
    for name, rate in (("a", 0.1), ("b", 0.2)):
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        with lab_parity.record(tmp_path / name):
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()
    verdict, cause = (look(tmp_path / "a", tmp_path / "b") for look in (lab_parity.compare, lab_parity.diagnose))
    assert str(verdict).startswith("DIVERGED\nFirst difference at step 0, phase optimizer")
    assert "compared: 1 steps, 1 micro-steps, 2 tensors, 1 batch tensors, 6 generator states, bitwise" in str(verdict)
    assert str(cause).endswith("[lr, read]")
    shown = io.StringIO()

    class Printer:
        text = staticmethod(shown.write)

    for each in (verdict, cause):
        each._repr_pretty_(Printer, False)  # type: ignore[union-attr]
    assert shown.getvalue() == f"{verdict}{cause}"
