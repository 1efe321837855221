"""Damage a trace at random places, and ask what a comparison with the whole one says.

    python benchmarks/damaged_traces.py                # 1,000 places, a table
    python benchmarks/damaged_traces.py --write        # the same into docs/benchmarks.md

A recorded training (a transformer's block, Adam, ledger, several blocks of the index) is cut short, has bytes changed,
runs of bytes overwritten, cut out or put in. What must never happen: a divergence that is none, an identical verdict on
fewer steps than there are, or an error that does not name the file.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import lab_parity
import lab_parity.trace_writer
from lab_parity import Scope, TraceError

PLACES = 1000
STEPS = 12
BLOCK = 4


def recorded(path: Path) -> Path:
    """A trace with several blocks, in which everything occurs that a trace can hold."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    before, lab_parity.trace_writer.BLOCK_STEPS = lab_parity.trace_writer.BLOCK_STEPS, BLOCK
    try:
        with lab_parity.record(path, scope=Scope(buckets=5, ledger=True)):
            for _ in range(STEPS):
                optimizer.zero_grad()
                model(torch.randn(6, 8)).square().mean().backward()
                optimizer.step()
    finally:
        lab_parity.trace_writer.BLOCK_STEPS = before
    return path


def cut_short(content: bytes, place: int, chance: random.Random) -> bytes:
    """What a killed writer leaves."""
    return content[:place]


def change_a_bit(content: bytes, place: int, chance: random.Random) -> bytes:
    """One bit."""
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def overwrite(content: bytes, place: int, chance: random.Random) -> bytes:
    """Up to 600 bytes."""
    length = min(chance.randrange(1, 600), len(content) - place)
    return content[:place] + chance.randbytes(length) + content[place + length :]


def zero(content: bytes, place: int, chance: random.Random) -> bytes:
    """A block of zeros, as a file system leaves after a crash."""
    length = min(chance.choice((64, 512, 4096)), len(content) - place)
    return content[:place] + bytes(length) + content[place + length :]


def cut_out(content: bytes, place: int, chance: random.Random) -> bytes:
    """Up to 600 bytes are missing."""
    return content[:place] + content[place + chance.randrange(1, 600) :]


def put_in(content: bytes, place: int, chance: random.Random) -> bytes:
    """Up to 600 bytes too many."""
    return content[:place] + chance.randbytes(chance.randrange(1, 600)) + content[place:]


def repeat(content: bytes, place: int, chance: random.Random) -> bytes:
    """A part of it comes twice."""
    length = chance.randrange(1, 4000)
    return content[: place + length] + content[place:]


KINDS: tuple[Callable[[bytes, int, random.Random], bytes], ...] = (
    cut_short, change_a_bit, overwrite, zero, cut_out, put_in, repeat,
)  # fmt: skip


def outcome(whole: Path, damaged: Path) -> str:
    """What the comparison says; "WRONG: …" for what must never be."""
    try:
        verdict = lab_parity.compare(whole, damaged)
    except TraceError as error:
        return "a clear error" if str(damaged) in str(error) else f"WRONG: an error without the file's name: {error}"
    except Exception as error:
        return f"WRONG: {type(error).__name__}: {error}"
    if verdict.rung == "identical":
        return "identical" if verdict.coverage.steps == STEPS else f"WRONG: identical on {verdict.coverage.steps} steps"
    return verdict.rung if verdict.rung == "inconclusive" else f"WRONG: {verdict.rung}: {verdict.first}"


def run(folder: Path, places: int, seed: int = 0) -> dict[str, Counter[str]]:
    """Kind of damage -> how often which outcome."""
    chance = random.Random(seed)
    whole = recorded(folder / "whole.trace")
    content = whole.read_bytes()
    found: dict[str, Counter[str]] = {kind.__name__: Counter() for kind in KINDS}
    damaged = folder / "damaged.trace"
    for number in range(places):
        kind = KINDS[number % len(KINDS)]
        harmed = kind(content, chance.randrange(len(content)), chance)
        damaged.write_bytes(harmed)
        found[kind.__name__]["unharmed" if harmed == content else outcome(whole, damaged)] += 1
    return found


def main() -> int:
    """Run, print, and write where asked; exit code 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=PLACES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), given.places, given.seed)
    outcomes = ["a clear error", "inconclusive", "identical"]
    wrong = {said for counts in found.values() for said in counts if said.startswith("WRONG")}
    rows = [["damage", "places", *outcomes, "wrong"]]
    for name, counts in found.items():
        cells = [str(counts[said]) for said in outcomes]
        bad = sum(counts[said] for said in wrong)
        rows.append([name.replace("_", " "), str(counts.total()), *cells, str(bad)])
    from interleaved import markdown, write_section

    text = markdown(rows)
    print(text, *sorted(wrong), sep="\n")
    if given.write:
        write_section("Damaged traces", f"{INTRODUCTION}\n\n{text}")
    return int(bool(wrong))


INTRODUCTION = """`python benchmarks/damaged_traces.py --write` wrote this. A trace of 12 steps is damaged at random
places, and compared with the whole one. Inconclusive: the whole steps before the damage were compared, and the verdict
says that the rest is missing. Identical: all 12 steps were read and verified; the damage lies where nothing is stored,
or in the index, without which a trace is read from front to back."""


if __name__ == "__main__":
    sys.exit(main())
