"""What a scan found, as data."""

from __future__ import annotations

import attrs

from lab_migrate.findings import Finding
from lab_migrate.project import Skipped

__all__ = [
    "Assumption", "Effort", "Entry", "Evidence", "Generator", "Inventory", "Loop", "RoleUse", "Run", "Skipped",
    "Stepper",
]  # fmt: skip


@attrs.frozen(order=True)
class Evidence:
    """A line that shows something: its text as it stands, the function it is in, and what to note about it."""

    path: str
    line: int
    text: str = ""
    scope: str = ""
    note: str = ""

    @property
    def place(self) -> str:
        """`path:line`, clickable in most terminals."""
        return f"{self.path}:{self.line}"


@attrs.frozen(order=True)
class Entry:
    """A place where a program starts: `how` tells by what, `loops` which training loops its calls lead to.

    `trainers` are the uses of an installed framework's trainer that its imports reach, `imported` the loops in files
    that it imports, to which its calls do not lead as far as can be told, but another script's do.
    """

    path: str
    line: int
    how: str = "main"
    loops: tuple[str, ...] = ()
    trainers: tuple[str, ...] = ()
    imported: tuple[str, ...] = ()


@attrs.frozen(order=True)
class RoleUse:
    """A class, or a place that builds or uses one, and what it is for.

    `how` is `class` for a definition, `built` for a construction, `used` for anything else.
    """

    role: str
    path: str
    line: int
    name: str
    assumptions: tuple[str, ...] = ()
    how: str = "used"
    note: str = ""


@attrs.frozen(order=True)
class Loop:
    """A training loop: the innermost loop that repeats a backward pass and an optimizer step.

    `shape` is a letter of the catalogue of loop shapes, `calls` the places of backward and step and how they are
    reached, wherever they stand; `converts` whether `convert` would outline it as it is.
    """

    path: str
    line: int
    function: str
    backwards: int
    steps: int
    shape: str = ""
    kind: str = ""
    calls: tuple[Evidence, ...] = ()
    converts: bool = False

    @property
    def place(self) -> str:
        """`path:line`."""
        return f"{self.path}:{self.line}"


@attrs.frozen(order=True)
class Assumption:
    """Something that the code takes for granted and Lightning does not, with the lines that show it.

    `faithful` and `idiomatic` say what becomes of it in either tier, `hand` what a person must do (empty: nothing).
    `loops` are the places of the training loops that it belongs to; none: it belongs to the project.
    """

    name: str
    title: str
    evidence: tuple[Evidence, ...]
    faithful: str
    idiomatic: str = ""
    hand: str = ""
    loops: tuple[str, ...] = ()


@attrs.frozen
class Effort:
    """How much is left to a person, in words, and what that rests on."""

    size: str
    reasons: tuple[str, ...] = ()


@attrs.frozen
class Stepper:
    """An optimizer that was seen to step: first at `first` (from 0), after so many backward passes."""

    name: str
    steps: int
    first: int
    fewest_backwards: int
    most_backwards: int
    parameters: int
    settings: str = ""
    first_rate: float | None = None
    last_rate: float | None = None


@attrs.frozen
class Generator:
    """A global generator, and in how many of the steps its state moved."""

    name: str
    steps: int
    moved: int


@attrs.frozen
class Run:
    """What a recorded run showed."""

    command: str
    exit_code: int
    steps: int
    end: str
    steppers: tuple[Stepper, ...] = ()
    generators: tuple[Generator, ...] = ()
    notes: tuple[str, ...] = ()


@attrs.frozen
class Inventory:
    """All that is known of a project without running it; `parsed` of its files were read in full.

    `tests` are the files that test it: what they train is counted, and no more.
    """

    root: str
    files: int
    lines: int
    parsed: int = 0
    entries: tuple[Entry, ...] = ()
    roles: tuple[RoleUse, ...] = ()
    loops: tuple[Loop, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    configs: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    effort: Effort = Effort("nothing to migrate")
    findings: tuple[Finding, ...] = ()
    run: Run | None = None
    tests: tuple[str, ...] = ()
    #: Where no training loop was found: places that take gradients all the same, and what they are.
    unrepeated: tuple[Evidence, ...] = ()
