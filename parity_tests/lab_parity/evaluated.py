"""Evaluations that differ where the trainings do not: notes of a verdict. And averages that the runs leave.

Evaluations are no part of the training. One side may evaluate more often (Lightning's sanity check), and then nothing
is compared; the same calls with other answers are what a forgotten eval() looks like.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["APART", "AVERAGES", "LATE", "PARAMETERS", "EvaluationsApart"]

BEHIND = "behind the last step"
#: Before an optimizer's label: the field of the averages that a run leaves.
AVERAGES = "averages of "
#: Before it: the same of what lies near the parameters, changes, and was not followed from step to step.
LATE = "late averages of "
#: The field of the parameters that a run leaves, of all its optimizers: how many, and a digest of their digests.
PARAMETERS = "parameters"
OTHERWISE = (
    "the parameters that the runs leave differ, and are the same behind the last step: one side alone changes them "
    "afterwards (averaged or best weights that are loaded, another precision)"
)
APART = (
    "what both runs keep beside the parameters differs at their end, and was not followed from step to step (an "
    "average that begins late, perhaps): run longer, or begin it with the training"
)
LEFT = (
    "the averages of the parameters that the runs leave differ, and are the same at every step: one side alone updates "
    "them behind the last step, or once more"
)


class EvaluationsApart:
    """Collects differences of what models were called with, and said, without a graph; in constant memory."""

    def __init__(self) -> None:
        self._places = 0
        self._last = ""
        self._first = ""
        self._differ: dict[str, tuple[float, float]] = {}
        self._averages = False
        self._parameters = False
        #: Whether the one average that both runs leave differs.
        self.average = False
        #: Whether what they leave beside averages that were followed differs.
        self.late = False

    def differ(self, where: str, field: str, a: float, b: float) -> None:
        """The `field` ("count", "inputs" or "outputs") of what was evaluated at one place differs."""
        if where != self._last:
            self._places, self._last = self._places + 1, where
            self._first = self._first or where
        if where == self._first:
            self._differ[field] = a, b

    def ends(self, a: Mapping[str, str], b: Mapping[str, str]) -> None:
        """What was evaluated behind the last step: as `differ`, of {field: text}; and the averages that are left."""
        for key in a.keys() & b.keys():
            if key.startswith(AVERAGES):
                # One that only one side still holds at its end says nothing.
                left, right = a[key].split(), b[key].split()
                self.average |= len(left) == len(right) == 1 and not _agree(left[0], right[0])
                self._averages |= left != right and len(left) == len(right) > 1
            elif key.startswith(LATE):
                left, right = a[key].split(), b[key].split()
                self.late |= len(left) == len(right) and not all(map(_agree, left, right))
            elif key == PARAMETERS:
                left, right = a[key].split(), b[key].split()
                self._parameters = left[0] == right[0] and left != right
        kinds = (AVERAGES, LATE, PARAMETERS)
        a, b = ({key: text for key, text in side.items() if not key.startswith(kinds)} for side in (a, b))
        if bool(a) != bool(b):
            a, b = ({"count": "0", **side} for side in (a, b))
        for field in a.keys() & b.keys():
            if a[field] != b[field]:
                mine, other = (float(side["count"]) for side in (a, b))
                self.differ(BEHIND, field, mine, other)

    def notes(self, same: bool) -> list[str]:
        """One for the first place, with how many there are; `same` says that the trainings are."""
        left = [note for note, holds in ((LEFT, self._averages), (OTHERWISE, self._parameters)) if holds and same]
        return [*left, *self._of_evaluations(same)]

    def _of_evaluations(self, same: bool) -> list[str]:
        if not self._places:
            return []
        more = f" (and at {self._places - 1} more places)" if self._places > 1 else ""
        where = f"evaluation {self._first}{more}"
        if "count" in self._differ:
            mine, other = self._differ["count"]
            return [f"{where}: models were called {mine:g} times without a graph against {other:g}, not compared"]
        if "inputs" in self._differ:
            what = "models were given other inputs without a graph (other data, or what they had said before)"
            return [f"{where}: {what}" + ("; the training is the same, its metrics may not be" if same else "")]
        what = "models gave other outputs for the same inputs without a graph"
        means = "; the training is the same, its metrics are not" if same else ""
        return [f"{where}: {what}{means} (look at eval() and train(), averaged weights, generators)"]


def _agree(a: str, b: str) -> bool:
    """Whether two averages have the same tensors, but for those that one alone has: what is frozen, mostly."""
    mine, other = set(a.split(",")), set(b.split(","))
    return mine <= other or other <= mine
