"""What is wrong, or odd, in a config: collected, so that a person sees all of it at once."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable

import attrs

from lab_bridge.config.places import NOWHERE, Place

__all__ = ["ConfigErrors", "Problem", "Severity", "did_you_mean"]


class Severity(enum.StrEnum):
    """Whether a config can be used."""

    ERROR = "error"  #: it cannot be used
    FINDING = "finding"  #: it can, but says something that has no effect, or that a person should look at


@attrs.frozen(order=True)
class Problem:
    """One thing to say about one place: what was expected, what was found, what to do.

    `path` is where in the tree (`model.blocks[2].heads`; empty where it is about no value), `kind` one word to filter
    by: `syntax`, `unknown`, `type`, `missing`, `unreached`, `duplicate`, ….
    """

    place: Place
    path: str
    kind: str
    message: str
    next_step: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        where = "" if self.place == NOWHERE else f"{self.place}: "
        path = f"{self.path}: " if self.path else ""
        return f"{where}{path}{self.message}{'; ' if self.next_step else ''}{self.next_step}"


class ConfigErrors(ValueError):  # noqa: N818  (several at once)
    """A config that cannot be used; `problems` holds every error at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        # The same cause, reached on two ways, is said once.
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(name: str, known: Iterable[str], most: int = 20) -> str:
    """`did you mean 'Conv'?`, or up to `most` known names where none is near; empty where nothing is known."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1)
    if not near:
        folded = {candidate.lower(): candidate for candidate in names}
        near = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=1)]
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names[:most])}{', …' if len(names) > most else ''}" if names else ""
