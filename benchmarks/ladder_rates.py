"""How often are the rungs `within-noise` and `equivalent` wrong?

    python benchmarks/ladder_rates.py                  # both; about ten minutes
    python benchmarks/ladder_rates.py --rung noise --kind conv
    python benchmarks/ladder_rates.py --rung seeds --kind latent --seeds 96     # twenty minutes
    python benchmarks/ladder_rates.py --write          # into docs/diagnosis.md, where a rung left out keeps its lines

Pairs of trainings (ladder/trainings.py) of which is known whether they are the same: the migrated side runs other
kernels, or has one wrong setting that its optimizer does not tell. A false alarm is `diverged` for the former, a false
pass `within-noise` or `equivalent` for the latter. Reruns are those of `lab-migrate record --reruns`, with a state put
in place before each step as `--from` does, and without.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from ladder.trainings import EQUAL, KINDS, Change, faults_of, train

import lab_parity
from lab_migrate.repeats import FULL, reruns
from lab_parity import Trace, Verdict
from lab_parity.equivalence import equivalent
from lab_parity.noise import within_noise
from lab_parity.plant import plant
from lab_parity.record import Transplant

DOCS = Path(__file__).parents[1] / "docs" / "diagnosis.md"
BEGIN, END = "<!-- made by benchmarks/ladder_rates.py -->", "<!-- end -->"
STEPS, RERUNS = 60, 8
SETS = 5


def main() -> None:
    """Run and print; exit code 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rung", choices=("noise", "seeds"), action="append", help="one rung alone")
    parser.add_argument("--kind", choices=tuple(KINDS), action="append", help="one training alone")
    parser.add_argument("--seeds", type=int, default=8, help="runs a side (default 8)")
    parser.add_argument("--write", action="store_true", help=f"write the table into {DOCS.name}")
    arguments = parser.parse_args()
    kinds = arguments.kind or list(KINDS)
    lines = ["| rung | pairs | passed | inconclusive | diverged |", "|---|---|---|---|---|"]
    wrong = []
    rungs = {"noise": (("within noise, each step from a legacy state", True), ("within noise, free runs", False)),
             "seeds": ((f"equivalent, {arguments.seeds} seeds a side", None),)}  # fmt: skip
    for name, listed in rungs.items():
        for title, given in listed if name in (arguments.rung or rungs) else ():
            found: dict[str, Counter[str]] = {"equal": Counter(), "faulty": Counter()}
            for kind in kinds:
                pairs = seed_pairs(kind, arguments.seeds) if given is None else noise_pairs(kind, given)
                for what, equal, verdict in pairs:
                    said = "passed" if verdict.exit_code == 0 else verdict.rung
                    found["equal" if equal else "faulty"][said] += 1
                    wrong += [f"{title}: {kind}, {what}: {verdict.rung}"] * (
                        said == ("diverged" if equal else "passed")
                    )
                    why = (
                        verdict.reasons or verdict.notes[:1] if verdict.exit_code != 1 else (verdict.first.sentence(),)
                    )  # type: ignore[union-attr]
                    print(f"{kind:12s} {what:34s} {verdict.rung:13s} {why[0] if why else ''}"[:230], flush=True)
            for which, counts in found.items():
                numbers = " | ".join(str(counts[said]) for said in ("passed", "inconclusive", "diverged"))
                lines.append(f"| {title}: {which} | {counts.total()} | {numbers} |")
    lines += ["", *(f"- {text}" for text in wrong)]
    print("\n".join(lines))
    if arguments.write:
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        left_out = {("noise",): "equivalent", ("seeds",): "within noise"}.get(tuple(arguments.rung or ()), "none")
        known = rest.partition(END)[0].splitlines()
        rows, remarks = ([line for line in known if line.startswith(f"{mark} {left_out}")] for mark in "|-")
        text = "\n".join([*lines[:2], *rows, *lines[2:], *remarks]).strip()
        DOCS.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    sys.exit(1 if wrong else 0)


def noise_pairs(kind: str, given: bool) -> Iterator[tuple[str, bool, Verdict]]:
    """What differs, whether that is no other training, and the verdict."""
    with tempfile.TemporaryDirectory() as folder:
        legacy = _recorded(kind, Change(), Path(folder) / "legacy.trace", states=range(STEPS))
        source = Path(folder) / "legacy.trace" if given else None
        others = []
        for rerun in reruns(RERUNS):
            if rerun.extra:  # another number of threads is a matter of the process
                change = Change(kernel="two threads")
            else:
                change = Change()
            others.append(_recorded(kind, change, Path(folder) / f"{rerun.name}.trace", source, rerun.plant))
        for what, change in (EQUAL | faults_of(kind)).items():
            migrated = _recorded(kind, change, Path(folder) / f"{what}.trace", source)
            yield what, what in EQUAL, within_noise(legacy, migrated, others)


def _recorded(
    kind: str, change: Change, path: Path, source: Path | None = None, planted: str | None = None,
    states: Sequence[int] | range = (), steps: int = STEPS, seed: int = 0,
) -> Trace:  # fmt: skip
    transplant = None if source is None else Transplant(source)
    if planted is None:
        with lab_parity.record(path, scope=FULL, states=states, transplant=transplant):
            train(kind, change, steps, seed)
    else:
        with plant(planted), lab_parity.record(path, scope=FULL, states=states, transplant=transplant):
            train(kind, change, steps, seed)
    return lab_parity.read(path)


def seed_pairs(kind: str, seeds: int) -> Iterator[tuple[str, bool, Verdict]]:
    """The same over seeds; of the legacy side there are several disjoint sets, to be held against each other."""
    steps = 2 * STEPS
    with tempfile.TemporaryDirectory() as folder:

        def runs(change: Change, first: int) -> list[Trace]:
            return [
                _recorded(
                    kind, change, Path(folder) / f"{len(list(Path(folder).iterdir()))}.trace", seed=seed, steps=steps
                )
                for seed in range(first, first + seeds)
            ]

        sets = [runs(Change(), 1000 * number) for number in range(SETS)]
        for number in range(1, SETS):
            yield f"other seeds, set {number}", True, equivalent(sets[0], sets[number])
        for what, change in faults_of(kind).items():
            yield what, False, equivalent(sets[0], runs(change, 1000 * SETS))


if __name__ == "__main__":
    main()
