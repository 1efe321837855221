"""What is in a project, found by reading it: nothing is imported or run."""

from lab_migrate.scan.inventory import Assumption, Effort, Entry, Evidence, Inventory, Loop, RoleUse
from lab_migrate.scan.markdown import markdown
from lab_migrate.scan.project import scan_project

__all__ = [
    "Assumption", "Effort", "Entry", "Evidence", "Inventory", "Loop", "RoleUse", "markdown", "scan_project",
]  # fmt: skip
