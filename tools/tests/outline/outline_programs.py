"""Running a small training program as it is and outlined, in one process."""

from __future__ import annotations

import contextlib
import io
import random
import tempfile
from pathlib import Path
from typing import Any

import attrs
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from lab_migrate.analysis import read_project
from lab_migrate.convert.engine import apply
from lab_migrate.outline import outline

#: What every program starts with: a model with dropout (it draws), data, a loader that shuffles (it draws).
PRELUDE = """\
import torch
from torch import nn
torch.manual_seed(3)
model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.25), nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
data = torch.utils.data.TensorDataset(torch.randn(22, 4), torch.randint(0, 2, (22,)))
loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
def loss_of(x, y):
    return nn.functional.cross_entropy(model(x), y)
"""


@attrs.frozen
class Outcome:
    """What a program leaves behind: prints, every optimizer step's parameters, generators, the error it ended with."""

    printed: str
    steps: tuple[bytes, ...]
    rng: bytes
    error: str


def outlined_text(text: str) -> tuple[str, list[str]]:
    """A one-file project's text once outlined, and the codes of what was found."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(text, encoding="utf-8")
        project = read_project(Path(folder))
        done = outline(project)
        after = apply(text, done.edits.get("train.py", ()), "train.py")
        return after, [finding.code for finding in done.findings]


def run(text: str) -> Outcome:
    """Run a program in this process."""
    printed = io.StringIO()
    steps: list[bytes] = []

    def record(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        values = [p.detach().flatten() for group in optimizer.param_groups for p in group["params"]]
        steps.append(torch.cat(values).numpy().tobytes())

    random.seed(0)
    hook = register_optimizer_step_post_hook(record)
    error = ""
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(text, "train.py", "exec", dont_inherit=True), {"__name__": "__main__"})
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    finally:
        hook.remove()
    return Outcome(printed.getvalue(), tuple(steps), torch.get_rng_state().numpy().tobytes(), error)
