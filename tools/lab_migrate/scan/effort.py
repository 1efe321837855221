"""How much of a migration is left to a person."""

from __future__ import annotations

from collections.abc import Sequence

from lab_migrate.findings import Finding
from lab_migrate.scan.inventory import Assumption, Effort, Loop

__all__ = ["effort_of"]


def effort_of(
    loops: Sequence[Loop],
    trainers: Sequence[str],
    assumptions: Sequence[Assumption],
    refused: Sequence[Finding],
    unread: int,
    unrepeated: int = 0,
) -> Effort:
    """A word, and the counts that it rests on. It says nothing about hours: those depend on who does it.

    `trainers` are the uses of installed frameworks' trainers: a project that only calls one has no loop of its own.
    `unrepeated` counts the places that take gradients where no loop was found.
    """
    if not loops and not trainers:
        found = "no training loop was found, nor a trainer of a framework we know"
        if unrepeated:
            return Effort(
                "unknown", (found, f"but {_count(unrepeated, 'place')} that no loop of the project repeats: see above")
            )
        if unread:
            return Effort("unknown", (found, f"but {_count(unread, 'Python file')} could not be read"))
        return Effort("nothing to migrate", (found,))
    hand = [assumption for assumption in assumptions if assumption.hand]
    reasons = []
    if loops:
        files = len({loop.path for loop in loops})
        reasons.append(f"{_count(len(loops), 'training loop')} in {_count(files, 'file')}")
    else:
        reasons.append(f"no training loop of its own: it trains by {', '.join(trainers)}")
    delegated = sum(loop.shape == "F" for loop in loops)
    if delegated:
        reasons.append(f"{delegated} of them {'steps' if delegated == 1 else 'step'} in another function")
    left = sum(not loop.converts for loop in loops)
    if loops:
        reasons.append("convert outlines all of them" if not left else f"convert leaves {left} of them as they are")
    if hand:
        reasons.append(f"{len(hand)} {'thing needs' if len(hand) == 1 else 'things need'} a hand: "
                       + ", ".join(assumption.name for assumption in hand))  # fmt: skip
    if unread:
        reasons.append(f"{_count(unread, 'Python file')} could not be read")
    places = len({finding.place for finding in refused}) + len(hand)
    size = "large" if places > 4 else "moderate" if places or unread or left else "small"
    return Effort(size, tuple(reasons))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
