"""What an update of Lab's own optimizers costs by their loops and through foreach.

    python benchmarks/optimizer_cost.py            # a table
    python benchmarks/optimizer_cost.py --write    # the same into docs/benchmarks.md

The ways take turns in one process on parameters of their own, whose bits are compared at the end.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Sequence
from time import process_time_ns
from typing import Any

import torch
from interleaved import machine, markdown, ratio, take_turns, write_section
from torch import nn

from lab_bridge.update import choose_update
from legacy_lab.optim.adam import Adam
from legacy_lab.optim.sgd import SGD

Shapes = Sequence[tuple[int, ...]]
OPTIMIZERS: dict[str, Callable[[nn.Module], Any]] = {
    "Adam": lambda model: Adam(model, decay=0.01),
    "SGD": lambda model: SGD(model, decay=0.01),
}


def sizes() -> dict[str, Shapes]:
    """The shapes of the parameters that are updated, by name."""
    chance = random.Random(0)
    small = [(chance.randint(16, 64), chance.randint(16, 64)) for _ in range(200)]
    return {
        "200 of 16×16 to 64×64": small,
        "200 of 64 (vectors)": [(64,)] * 200,
        "50 of 128×128": [(128, 128)] * 50,
        "50 of 256×256": [(256, 256)] * 50,
        "50 of 512×512": [(512, 512)] * 50,
        "20 of 512×512, 100 of 32×32": [(512, 512)] * 20 + [(32, 32)] * 100,
        "3 of 32×32": [(32, 32)] * 3,
    }


class Updating:
    """An optimizer with parameters of its own; a call is one figure."""

    def __init__(self, make: Callable[[nn.Module], Any], shapes: Shapes, how: str, updates: int) -> None:
        torch.manual_seed(0)
        self.model = nn.ParameterList([nn.Parameter(torch.randn(shape)) for shape in shapes])
        self.optimizer, self.updates = make(self.model), updates
        choose_update(self.optimizer, how)
        for parameter in self.model:
            parameter.grad = torch.randn_like(parameter)

    def __call__(self) -> float:
        """Microseconds an update: the fastest of `updates`, since a machine that does other things only ever adds."""
        figures = []
        for _ in range(self.updates):
            start = process_time_ns()
            self.optimizer.apply()
            figures.append(process_time_ns() - start)
            self.optimizer.steps += 1
        return min(figures) / 1000


def measure(turns: int, updates: int) -> list[list[str]]:
    """Rows of the table. Raises `RuntimeError` where the two ways end at different bits."""
    rows = [["", *(f"{name}: loop, µs" if part == 0 else f"{name}: foreach" for name in OPTIMIZERS for part in (0, 1))]]
    for name, shapes in sizes().items():
        row = [name]
        for make in OPTIMIZERS.values():
            ways = {how: Updating(make, shapes, how, updates) for how in ("loop", "foreach")}
            found = take_turns(ways, turns)
            for a, b in zip(ways["loop"].model, ways["foreach"].model, strict=True):
                if not torch.equal(a, b):
                    raise RuntimeError(f"{name}: the two ways ended at different bits")
            row += [f"{statistics.median(found['loop']):.0f}", f"{ratio(found['loop'], found['foreach']):.2f}x"]
        rows.append(row)
    return rows


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=15, help="how often every way is timed (default 15)")
    parser.add_argument("--updates", type=int, default=10, help="updates that make one figure (default 10)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    text = markdown(measure(arguments.turns, arguments.updates))
    print(text)
    if arguments.write:
        write_section("Cost of an update", f"{INTRODUCTION}\n\n{text}\n\n{machine(arguments.turns)}")


INTRODUCTION = """`python benchmarks/optimizer_cost.py --write` wrote this. One update of Lab's own optimizers (decay
on) by their per-parameter loops, and how many times faster it is through foreach, which ends at the same bits (it is
checked). Float32, in turns in one process, one thread, in processor time; the fastest of ten updates, median over the
turns. Tensors whose update touches more than 1 MiB, and chunks of fewer than four tensors, go through the loop."""


if __name__ == "__main__":
    main()
