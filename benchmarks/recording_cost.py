"""What recording a training costs, next to other tools that record one.

    python benchmarks/recording_cost.py                      # a table of ratios
    python benchmarks/recording_cost.py --write              # the same into docs/benchmarks.md
    python benchmarks/recording_cost.py --only 5M --turns 3  # one size

Every way trains the same model on the same batches with torch's AdamW, in turns in one process, on one thread; a step
is timed from the end of one update to the end of the next, so that all that is done between two steps is in it. The
other tools are taken where they are installed (pip install trainparity mindstudio-probe), and left out where not.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import torch
from interleaved import Ticks, machine, markdown, ratio, take_turns, write_section
from torch import Tensor, nn

import lab_parity
from lab_parity import Scope
from lab_parity.sketch import BUCKETS

WARM_UP = 5
PLAIN = "not recorded"


class Perceptron(nn.Module):
    """(B, 64) -> (B, 10)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        sizes = [64, *[width] * depth]
        layers = [[nn.Linear(a, b), nn.ReLU()] for a, b in pairwise(sizes)]
        self.body = nn.Sequential(*[part for pair in layers for part in pair])
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of a batch."""
        return nn.functional.cross_entropy(self.head(self.body(x)), y)


class Transformer(nn.Module):
    """A decoder of about 5 million parameters on tokens: (B, T) int64."""

    def __init__(self, width: int = 256, depth: int = 6, words: int = 1024) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        block = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, words, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of a batch."""
        found = self.head(self.blocks(self.embed(x)))
        return nn.functional.cross_entropy(found.flatten(0, 1), y.flatten())


@attrs.frozen
class Size:
    """A model, its batch, and how many steps make one turn."""

    name: str
    model: Callable[[], nn.Module]
    batch: Callable[[], tuple[Tensor, Tensor]]
    steps: int


def digits(batch_size: int) -> tuple[Tensor, Tensor]:
    """Random pictures and labels."""
    return torch.randn(batch_size, 64), torch.randint(10, (batch_size,))


def tokens() -> tuple[Tensor, Tensor]:
    """8 × 64 random tokens and targets."""
    return torch.randint(1024, (8, 64)), torch.randint(1024, (8, 64))


SIZES = (
    Size("tiny", lambda: Perceptron(128, 2), lambda: digits(32), 200),
    Size("small", lambda: Perceptron(512, 3), lambda: digits(96), 60),
    Size("5M transformer", Transformer, tokens, 85),
)


def train(size: Size, each: Callable[[nn.Module, torch.optim.Optimizer, Tensor, Callable[[], None]], None]) -> float:
    """Microseconds a step; `each` does one step on a loss and calls what it is given when the update has ended."""
    torch.manual_seed(0)
    model = size.model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    batch = size.batch()
    ticks = Ticks()
    for _ in range(size.steps):
        each(model, optimizer, batch, ticks.tick)
    return ticks.per_step(WARM_UP)


def plain_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Any, done: Callable[[], None]) -> None:
    """As everybody trains."""
    optimizer.zero_grad()
    model(*batch).backward()
    optimizer.step()
    done()


def plain(size: Size, folder: Path) -> float:
    """Not recorded."""
    return train(size, plain_step)


def recorded(scope: Scope, **how: Any) -> Callable[[Size, Path], float]:
    """Recorded by lab_parity."""

    def run(size: Size, folder: Path) -> float:
        with lab_parity.record(folder / "run.trace", scope=scope, **how):
            return train(size, plain_step)

    return run


def trainparity(size: Size, folder: Path) -> float:
    """A snapshot of trainparity's after every step: full values, kept in memory (the last one)."""
    from trainparity.snapshot import capture_snapshot

    def step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Any, done: Callable[[], None]) -> None:
        optimizer.zero_grad()
        model(*batch).backward()
        optimizer.step()
        found = capture_snapshot(model, optimizer=optimizer, batch=list(batch))
        if found.snapshot is None:
            raise RuntimeError(f"trainparity took no snapshot: {found.issue}")
        done()

    return train(size, step)


def msprobe(size: Size, folder: Path) -> float:
    """mindstudio-probe, statistics of every module's inputs and outputs, written at every step."""
    from msprobe.pytorch import PrecisionDebugger

    debugger = PrecisionDebugger(task="statistics", dump_path=str(folder), level="L0")

    def step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Any, done: Callable[[], None]) -> None:
        debugger.start(model=model)
        optimizer.zero_grad()
        model(*batch).backward()
        optimizer.step()
        debugger.stop()
        debugger.step()
        done()

    return train(size, step)


WAYS: dict[str, Callable[[Size, Path], float]] = {
    PLAIN: plain,
    "lab_parity, digests": recorded(Scope()),
    "lab_parity, digests, every 10th step": recorded(Scope(every=10)),
    "lab_parity, digests and ledger": recorded(Scope(ledger=True)),
    "lab_parity, statistics and sketches": recorded(Scope(buckets=BUCKETS)),
    "trainparity, snapshots in memory": trainparity,
    "mindstudio-probe, statistics of modules (L0)": msprobe,
}
#: Package -> the ways that need it.
NEEDS = {"trainparity": "trainparity", "msprobe": "mindstudio-probe"}
#: What patches torch for good and is therefore measured last, each turn in a process of its own beside a plain one.
APART = "mindstudio-probe"


def installed() -> tuple[dict[str, Callable[[Size, Path], float]], list[str]]:
    """The ways that can be measured here, and why the others cannot."""
    ways, missing = dict(WAYS), []
    for package, label in NEEDS.items():
        if importlib.util.find_spec(package) is None:
            ways = {name: way for name, way in ways.items() if not name.startswith(label)}
            missing.append(f"{label} is not installed")
    return ways, missing


def once(way: Callable[[Size, Path], float], size: Size) -> float:
    """One figure."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), quiet_output():
        warnings.simplefilter("ignore")
        return way(size, Path(folder))


@contextlib.contextmanager
def quiet_output() -> Iterator[None]:
    """Tools print at every step."""
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
        yield


def apart(size: Size, name: str) -> float:
    """The ratio of a way to the plain one, in a process of its own."""
    call = [sys.executable, __file__, "--apart", size.name, name]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def measure(size: Size, turns: int) -> list[str]:
    """A column: of each way the ratio to the plain one."""
    ways, _ = installed()
    together = {name: way for name, way in ways.items() if not name.startswith(APART)}
    found = take_turns({name: lambda way=way: once(way, size) for name, way in together.items()}, turns)
    column = {name: f"{ratio(figures, found[PLAIN]):.3f}" for name, figures in found.items()}
    column[PLAIN] = f"{statistics.median(found[PLAIN]) / 1000:.2f} ms"
    for name in ways.keys() - together.keys():
        column[name] = f"{statistics.median(apart(size, name) for _ in range(min(turns, 3))):.3f}"
    return [size.name, *(column.get(name, "") for name in WAYS)]


def trace_size() -> str:
    """Of a model of 200 tensors under AdamW: bytes a step."""
    model = nn.ParameterList([nn.Parameter(torch.randn(3)) for _ in range(200)])
    optimizer = torch.optim.AdamW(model.parameters())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.trace"
        sizes = []
        with lab_parity.record(path):
            for _ in range(12):
                optimizer.zero_grad()
                torch.stack([parameter.square().sum() for parameter in model]).sum().backward()
                optimizer.step()
                sizes.append(path.stat().st_size)
    return f"{(sizes[-1] - sizes[1]) / (len(sizes) - 2) / 1024:.1f} KiB"


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7, help="how often every way is timed (default 7)")
    parser.add_argument("--only", default="", help="sizes whose name contains this")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--apart", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.apart:
        size = next(size for size in SIZES if size.name == given.apart[0])
        base = once(plain, size)
        print("\n", once(WAYS[given.apart[1]], size) / base)
        return
    columns = [["", *WAYS], *(measure(size, given.turns) for size in SIZES if given.only in size.name)]
    text = markdown(list(zip(*columns, strict=True)))
    facts = [*installed()[1], f"a step of 200 parameter tensors takes {trace_size()} of the trace"]
    print(text, *facts, sep="\n")
    if given.write:
        write_section(
            "Cost of recording", "\n\n".join([INTRODUCTION, text, "; ".join(facts) + ".", machine(given.turns)])
        )


INTRODUCTION = """`python benchmarks/recording_cost.py --write` wrote this. A training step while it is recorded over
the same step unrecorded, in turns in one process, one thread, in processor time, median over the turns; torch's AdamW.
Every digest of every gradient, parameter, state and generator is on its way to the disk when the step ends. The looks
for averages (0.1 s each, before the steps that follow 1, 5, 20, 80, 320, … steps) are in it where they fall.
trainparity keeps values in memory and writes nothing; mindstudio-probe writes statistics of the modules' inputs and
outputs, and is measured in processes of its own, as it patches torch for good."""


if __name__ == "__main__":
    main()
