"""What a scan found, as data."""

from __future__ import annotations

import attrs

from lab_migrate.findings import Finding


@attrs.frozen(order=True)
class Entry:
    """A file that a person starts: it has an `if __name__ == "__main__"`."""

    path: str
    line: int


@attrs.frozen(order=True)
class RoleUse:
    """A name of a known framework, used at a place, and what it is for."""

    role: str
    path: str
    line: int
    name: str
    assumptions: tuple[str, ...] = ()


@attrs.frozen(order=True)
class Loop:
    """A training loop: the innermost `for` or `while` that holds both a backward pass and an optimizer step."""

    path: str
    line: int
    function: str
    backwards: int
    steps: int


@attrs.frozen
class Inventory:
    """All that is known of a project without running it."""

    root: str
    files: int
    lines: int
    entries: tuple[Entry, ...] = ()
    roles: tuple[RoleUse, ...] = ()
    loops: tuple[Loop, ...] = ()
    configs: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
