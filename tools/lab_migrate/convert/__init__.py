"""Converting a project: rules propose edits, the engine applies them to a copy."""

from lab_migrate.convert.engine import Conversion, FileChange, convert_project
from lab_migrate.convert.rule import Rule, all_rules

__all__ = ["Conversion", "FileChange", "Rule", "all_rules", "convert_project"]
