"""Small training programs of our own, as they are and rewritten idiomatically."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from textwrap import dedent, indent

import attrs

from lab_migrate.convert import convert_project

sys.path.insert(0, str(Path(__file__).parents[1] / "outline"))

from outline_programs import Outcome, run

__all__ = ["HEAD", "WAYS", "Outcome", "Rewritten", "program", "rewritten", "run", "training"]

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


#: Where a training may stand.
WAYS = ("script", "function", "class")
_TRAINING = """
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader({data}, batch_size=6, shuffle=True)
{made}
for epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        {inside}
"""


def training(way: str, made: str = "", inside: str = "pass", given: str = "", data: str = "data") -> str:
    """A plain training with something of its own, by the name `extra`: `made` before the epochs, used `inside` a batch.

    As a script, in a function, or in a class that keeps it as an attribute; `given` stands above.
    """
    body = _TRAINING.format(made=made, inside=inside, data=data)
    if way == "function":
        body = f"def main():\n{indent(body, '    ')}\n\nmain()\n"
    elif way == "class":
        body = re.sub(r"(?<![\w.'])(model|optimizer|loader|extra)\b(?!=)", r"self.\1", body)
        before, epochs, batches = body.partition("for epoch")
        body = f"class Trainer:\n    def __init__(self):\n{indent(before, ' ' * 8)}\n"
        body += f"    def fit(self):\n{indent(epochs + batches, ' ' * 8)}\n\nTrainer().fit()\n"
    return program(f"{given}\n\n{body}")
