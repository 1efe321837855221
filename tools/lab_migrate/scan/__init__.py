"""What is in a project, found by reading it: nothing is imported or run."""

from lab_migrate.scan.inventory import Entry, Inventory, Loop, RoleUse
from lab_migrate.scan.project import scan_project

__all__ = ["Entry", "Inventory", "Loop", "RoleUse", "scan_project"]
