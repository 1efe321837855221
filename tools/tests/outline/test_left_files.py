"""A file that would not compile is left, and so is what calls it: nothing waits for a loop that was not handed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_migrate.convert import convert_project
from lab_migrate.findings import Finding, Status
from lab_migrate.outline import project as outline_project

STEP = """\
def train_epoch(model, optimizer, loader):
    for x in loader:
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
"""
MAIN = """\
import torch

from step import train_epoch

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    train_epoch(model, optimizer, [torch.ones(1, 2)])
"""


def test_what_calls_a_file_that_is_left_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The epochs go with the batches' loop, or not at all."""
    (tmp_path / "step.py").write_text(STEP, encoding="utf-8")
    (tmp_path / "main.py").write_text(MAIN, encoding="utf-8")
    assert {change.path for change in convert_project(tmp_path).changes} >= {"step.py", "main.py"}

    def refused(module: outline_project.Module, edits: object) -> Finding | None:
        left = module.path == "step.py"
        return Finding(module.path, 1, 1, "LM227", Status.UNSUPPORTED, "left as it is", "report it") if left else None

    monkeypatch.setattr(outline_project, "_refused_by_compiler", refused)
    conversion = convert_project(tmp_path)
    assert [finding.code for finding in conversion.findings] == ["LM227"]
    assert not {change.path for change in conversion.changes} & {"step.py", "main.py"}
