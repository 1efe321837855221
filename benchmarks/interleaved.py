"""Timing of several ways to do one thing, on a machine that does other things as well.

The ways take turns in one process. Each turn gives one figure per way, and a ratio compares two figures of the same
turn, so a slow minute of the machine slows both. Time is this process's own on the processors (all its threads): what
others take while it waits is not in it. What is reported is the median over the turns.
"""

from __future__ import annotations

import gc
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import process_time_ns

import lightning
import torch

__all__ = ["Ticks", "machine", "markdown", "ratio", "take_turns", "write_section"]

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks.md"


class Ticks:
    """A clock inside a training: told once a step, always at the same place, it knows what a step costs."""

    def __init__(self) -> None:
        self.times: list[int] = []

    def tick(self) -> None:
        """The step has come to the place."""
        self.times.append(process_time_ns())

    def per_step(self, warm_up: int) -> float:
        """Microseconds a step, everything in it: the mean of the steps after the first `warm_up`, which are not fair.

        A mean, since what happens every fiftieth step (a logger that writes) is a part of the cost.
        """
        times = self.times[warm_up:]
        if len(times) < 2:
            raise ValueError(f"expected more than {warm_up + 1} steps to time, found {len(self.times)}")
        return (times[-1] - times[0]) / (len(times) - 1) / 1000


def take_turns(ways: Mapping[str, Callable[[], float]], turns: int) -> dict[str, list[float]]:
    """`turns` figures of every way; each turn starts with another way, so none always follows the same one."""
    figures: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for turn in range(turns):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            gc.collect()
            figures[name].append(ways[name]())
    return figures


def ratio(figures: Sequence[float], reference: Sequence[float]) -> float:
    """Median over the turns of the ratio within a turn."""
    return statistics.median(figure / base for figure, base in zip(figures, reference, strict=True))


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; its first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def machine(turns: int) -> str:
    """Where and how it was measured."""
    return (
        f"{turns} turns; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"torch {torch.__version__}, lightning {lightning.__version__}."
    )


def write_section(title: str, body: str) -> None:
    """Put `body` under the heading `title` of docs/benchmarks.md, in place of what stood there."""
    text = DOCS.read_text(encoding="utf-8") if DOCS.exists() else "# Benchmarks\n"
    head, marker, rest = text.partition(f"\n## {title}\n")
    _, next_marker, tail = rest.partition("\n## ")
    new = f"{head.rstrip()}\n\n## {title}\n\n{body.strip()}\n"
    if marker and next_marker:
        new += f"\n## {tail}"
    DOCS.write_text(new, encoding="utf-8")
