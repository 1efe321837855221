"""Planted bugs: are they found, at the right step and phase, and called by the right name?

    python benchmarks/planted_bugs.py               # prints the table; about four minutes
    python benchmarks/planted_bugs.py --write       # the same into docs/planted_bugs.md
    python benchmarks/planted_bugs.py --only lr     # one cause, every bug told

Each bug is a training in which one setting is wrong from some step on, recorded beside the right one; then the two
traces are compared and the cause is asked for. Equal pairs are generated besides, with random settings, the migrated
one in another shape (wrapped in a module of a framework); none of them may part.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs

sys.path.insert(0, str(Path(__file__).parent))

from planted.bugs import BUGS, Bug
from planted.equal import equal_pairs
from planted.training import HEALTHY, train

import lab_parity

DOCS = Path(__file__).parents[1] / "docs" / "planted_bugs.md"
GENERATED = 150


@attrs.frozen
class Outcome:
    """What became of one bug."""

    bug: Bug
    found: bool
    placed: bool
    named: bool
    measured: bool | None
    said: str
    where: str


def main() -> None:
    """Run and print; exit code 1 where a bug was missed, misplaced or an equal pair parted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="one cause")
    parser.add_argument("--write", action="store_true", help=f"write {DOCS.name}")
    parser.add_argument("--pairs", type=int, default=GENERATED, help="equal pairs to generate")
    arguments = parser.parse_args()
    chosen = [bug for bug in BUGS if arguments.only in (None, *bug.causes)]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run(chosen, Path(folder))
        alarms = [] if arguments.only else equal_pairs(arguments.pairs, Path(folder))
    for outcome in outcomes:
        if arguments.only or not (outcome.placed and outcome.named and outcome.measured is not False):
            print(_told(outcome))
    for alarm in alarms:
        print(f"FALSE ALARM {alarm}")
    text = table(outcomes, 0 if arguments.only else arguments.pairs, len(alarms))
    print(text)
    print(f"{time.monotonic() - started:.0f} s")
    if arguments.write:
        DOCS.write_text(text, encoding="utf-8")
    sys.exit(0 if all(outcome.placed for outcome in outcomes) and not alarms else 1)


def run(bugs: Sequence[Bug], folder: Path) -> list[Outcome]:
    """Plant each bug, compare, diagnose."""
    healthy: dict[str, Path] = {}
    outcomes = []
    for number, bug in enumerate(bugs):
        base = attrs.evolve(HEALTHY[bug.model], **bug.base)
        key = f"{bug.model} {bug.base}"
        if key not in healthy:
            healthy[key] = folder / f"healthy{len(healthy)}.trace"
            with lab_parity.record(healthy[key], capture=range(100)):
                train(bug.model, base)
        planted = folder / f"planted{number}.trace"
        with lab_parity.record(planted, capture=range(100)):
            train(bug.model, base, attrs.evolve(base, **bug.change), bug.at)
        outcomes.append(judge(bug, healthy[key], planted))
        for file in folder.glob(f"planted{number}.*"):
            file.unlink()
    return outcomes


def judge(bug: Bug, healthy: Path, planted: Path) -> Outcome:
    """Compare and diagnose one pair."""
    verdict = lab_parity.compare(healthy, planted)
    first = verdict.first
    cause = lab_parity.diagnose(healthy, planted, verdict=verdict)
    if first is None or cause is None:
        return Outcome(bug, verdict.rung != "identical", False, False, None, "", verdict.rung)
    size = None
    if bug.size is not None:
        size = cause.size is not None and abs(cause.size - bug.size) <= 0.02 * max(abs(bug.size), 1e-12)
        if bug.size != 1 and abs(bug.size - 1) < 0.1 and cause.size is not None:
            size = abs(cause.size - bug.size) <= 0.1 * abs(bug.size - 1)
    return Outcome(
        bug,
        True,
        (first.step, first.phase) == (bug.step, bug.phase),
        cause.name in bug.causes,
        size,
        f"{cause.name} ({cause.confidence}, {cause.size}): {cause.sentence}",
        f"step {first.step}, {first.phase}, {first.tensor}",
    )


def table(outcomes: Sequence[Outcome], pairs: int, alarms: int) -> str:
    """Markdown, by cause."""
    lines = [
        "# Planted bugs",
        "",
        "Made by `python benchmarks/planted_bugs.py --write`. Each bug is one wrong setting of a small training, from",
        "some step on; sizes from gross to 1e-3 relative. *Placed*: first difference at the expected step and phase.",
        "*Named*: the diagnosis gives the expected cause. *Measured*: where the bug has a size, the diagnosis",
        "gives it within 2 % (of a factor near 1: within 10 % of its distance from 1).",
        "",
        "| cause | planted | found | placed | named | measured |",
        "|---|---|---|---|---|---|",
    ]
    causes = dict.fromkeys(outcome.bug.causes[0] for outcome in outcomes)
    lines += [_row(cause, [outcome for outcome in outcomes if outcome.bug.causes[0] == cause]) for cause in causes]
    lines.append(_row("**all**", outcomes))
    models = sorted({outcome.bug.model for outcome in outcomes})
    lines += ["", f"Models: {', '.join(models)}.", ""]
    if pairs:
        lines += [f"Generated equal pairs: {pairs}, false alarms: {alarms}.", ""]
    wrong = [outcome for outcome in outcomes if not outcome.named]
    if wrong:
        lines += ["Not named:", "", *(f"- {_told(outcome)}" for outcome in wrong), ""]
    return "\n".join(lines)


def _row(cause: str, outcomes: Sequence[Outcome]) -> str:
    sized = [outcome for outcome in outcomes if outcome.measured is not None]
    counts = [
        str(len(outcomes)),
        *(str(sum(getattr(outcome, name) for outcome in outcomes)) for name in ("found", "placed", "named")),
        f"{sum(bool(outcome.measured) for outcome in sized)} of {len(sized)}" if sized else "–",
    ]
    return f"| {cause} | {' | '.join(counts)} |"


def _told(outcome: Outcome) -> str:
    expected = f"expected step {outcome.bug.step}, {outcome.bug.phase}"
    place = outcome.where if outcome.placed else f"{outcome.where} ({expected})"
    marks = "".join(
        letter if good else "-"
        for letter, good in zip("pns", (outcome.placed, outcome.named, outcome.measured is not False), strict=True)
    )
    return f"{marks} {'/'.join(outcome.bug.causes)} in {outcome.bug.name}; {place}; {outcome.said}"


if __name__ == "__main__":
    main()
