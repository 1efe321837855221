"""Outlining: a training loop's body becomes a function that Lightning's loop calls, byte for byte the same.

    outlining = outline(read_project(root), entry="train.py")
    outlining.edits["train.py"], outlining.findings

One idea a file: `flow` (break, continue and return of a loop), `carried` (which names outlive an iteration), `level`
(the edits of one loop), `refusals` (what cannot be outlined, and why), `nest` (which loops around a training loop go
with it, through which calls), `project` (all of it for one entry point), `installed` (loops of an installed framework).
"""

from lab_migrate.outline.installed import Copies, outline_installed
from lab_migrate.outline.project import Outlining, outline

__all__ = ["Copies", "Outlining", "outline", "outline_installed"]
