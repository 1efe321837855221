"""Programs that train in several processes, run as they are and converted, each process by itself recorded."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

#: Each process writes its parameters after every step, by rank, and the generator at its end. `leave` ends one that is
#: done: on a busy machine, one exit in some forty aborted in torch's own threads ("terminate called without an active
#: exception"), after everything is printed.
HEAD = """\
import hashlib
import os
import sys

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler


def record(optimizer, args, kwargs):
    values = [p.detach().flatten() for group in optimizer.param_groups for p in group["params"]]
    with open(f"steps.{dist.get_rank()}", "a") as file:
        for tensor in (torch.cat(values), torch.get_rng_state()):
            print(hashlib.sha256(tensor.numpy().tobytes()).hexdigest(), file=file)


register_optimizer_step_post_hook(record)


def leave():
    sys.stdout.flush()
    os._exit(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.25)
        self.outer = nn.Linear(8, 2)

    def forward(self, x):
        return self.outer(self.drop(torch.relu(self.norm(self.inner(x)))))


"""


def free_port(first: int = 20_000, last: int = 30_000) -> int:
    """A port that nothing listens on, below those that the system deals out.

    One that `bind(0)` gives is free only now: until two processes have imported torch and one of them listens, half a
    minute on a busy machine, it may be dealt to any connection.
    """
    begin = os.getpid() % (last - first)
    for number in range(last - first):
        port = first + (begin + number) % (last - first)
        with socket.socket() as tried:
            try:
                tried.bind(("localhost", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"ports: expected a free one from {first} to {last}, found none; end what listens on them")


def run_distributed(text: str, folder: Path, *, torchrun: bool) -> dict[str, str]:
    """What two processes leave behind: what they recorded, by file, and what was printed."""
    folder.mkdir()
    (folder / "train.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-W", "ignore"]
    command += ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"] if torchrun else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FREE_PORT": str(free_port())}
    done = subprocess.run(
        [*command, "train.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    found = {path.name: path.read_text() for path in sorted(folder.glob("steps.*"))}
    lines = [line for line in done.stdout.splitlines() if line.startswith("epoch")]
    return {**found, "printed": "\n".join(lines)}
