"""Python runs this at start-up: once torch has been imported, the program records itself.

Put here by `lab_parity.recording_environment`. Imports nothing heavy: a program that never imports torch runs as
if this were not there. A sitecustomize of the user's own, further down the path, runs as ever.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

_FOLDER = os.path.dirname(os.path.abspath(__file__))


class _AfterTorch(importlib.abc.MetaPathFinder):
    """Starts the recording right after torch has run; until then, programs may ask whether there is a torch."""

    asking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """torch's ordinary spec with a loader that starts the recording afterwards; None for all else."""
        if fullname != "torch" or self.asking:
            return None
        self.asking = True
        try:
            spec = importlib.util.find_spec("torch")
        finally:
            self.asking = False
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            is_first = self in sys.meta_path
            if is_first:
                sys.meta_path.remove(self)
            load(module)
            if is_first:
                _start()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _start() -> None:
    # Last on the path, and only for as long as it takes: what the program can import is not to change. What we need
    # and it has is its own.
    folders = [path for path in os.environ.get("LAB_PARITY_ROOT", "").split(os.pathsep) if path not in sys.path]
    sys.path += folders
    try:
        from lab_parity.activate import start_from_environment
    except ImportError as error:
        if "LAB_PARITY_NESTED" not in os.environ:
            print(
                f"lab-migrate: {sys.executable} cannot record itself: {error}. Install lab-migrate for this Python, or "
                "lab-migrate for the same version of Python elsewhere.",
                file=sys.stderr,
                flush=True,
            )
            os._exit(2)
        return
    finally:
        sys.path[:] = [path for path in sys.path if path not in folders]
    start_from_environment()


def _run_the_next_sitecustomize() -> None:
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.getcwd()) != _FOLDER]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None and spec.origin != __file__:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get("LAB_PARITY_TRACE"):
    _run_the_next_sitecustomize()
    if "torch" in sys.modules:  # a .pth file or the user's own sitecustomize brought it in
        _start()
    else:
        sys.meta_path.insert(0, _AfterTorch())
