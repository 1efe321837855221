"""What makes recording in one process quick."""

from __future__ import annotations

import gc
import importlib

import pytest


@pytest.fixture(scope="session", autouse=True)
def _frozen() -> None:
    """The recorder looks for modules among all live objects; those of the libraries need not be looked at."""
    importlib.import_module("lab_bridge.trainer")
    gc.collect()
    gc.freeze()
