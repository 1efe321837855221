"""Small training programs of our own, as they are and rewritten idiomatically."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from textwrap import dedent

import attrs

from lab_migrate.convert import convert_project

sys.path.insert(0, str(Path(__file__).parents[1] / "outline"))

from outline_programs import Outcome, run

__all__ = ["HEAD", "Outcome", "Rewritten", "program", "rewritten", "run"]

#: Data, loaders that shuffle (they draw), a model with dropout and batch norm (it draws, and has two modes).
HEAD = """\
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.25)
        self.outer = nn.Linear(8, 2)

    def forward(self, x):
        return self.outer(self.drop(torch.relu(self.norm(self.inner(x)))))


torch.manual_seed(3)
data = TensorDataset(torch.randn(22, 4), torch.randint(0, 2, (22,)))
"""


@attrs.frozen
class Rewritten:
    """A program after the idiomatic way, and what was said."""

    text: str
    codes: tuple[str, ...]
    messages: tuple[str, ...]

    @property
    def manual(self) -> bool:
        """Whether the step stayed verbatim."""
        return any("manual optimization" in message for message in self.messages)


def rewritten(text: str, tier: str = "idiomatic", target: str = "lightning") -> Rewritten:
    """Convert a one-file project; the text is unchanged where it was refused."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(text, encoding="utf-8")
        conversion = convert_project(Path(folder), tier=tier, target=target)
    changed = {change.path: change.after for change in conversion.changes}
    return Rewritten(
        changed.get("train.py", text),
        tuple(finding.code for finding in conversion.findings),
        tuple(finding.message for finding in conversion.findings),
    )


def program(body: str) -> str:
    """`HEAD` and a body."""
    return HEAD + dedent(body)
