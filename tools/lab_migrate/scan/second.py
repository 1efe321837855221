"""The second process of a scan: takes files on standard input, gives what each shows on standard output."""

from __future__ import annotations

import pickle
import sys

from lab_migrate.scan.reading import facts_of_files

__all__ = ["main"]


def main() -> None:
    """Read {path: text}, write the list of facts, both pickled."""
    texts: dict[str, str] = pickle.load(sys.stdin.buffer)
    pickle.dump(facts_of_files(texts), sys.stdout.buffer)
