"""Level L3: a Lab project rewritten for Lightning alone; of Lab, only the block builder stays.

The project's gin config is read, not run, and so are its sources.
"""

from lab_migrate.native.project import convert_native

__all__ = ["convert_native"]
