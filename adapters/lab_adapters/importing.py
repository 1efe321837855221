"""Importing Lightning in the middle of a program, which sees nothing of it.

Of what a program can read, importing Lightning changes Python's generator (it imports rich, which draws), the filters
of warnings, and two environment variables that torch and Lightning read. numpy's and torch's generators it leaves, but
another version of what it imports may not.
"""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from lab_adapters.drawn_later import draw_later

__all__ = ["unseen"]


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """Around an import of Lightning: leave the generators, and let nothing that it warns of or logs reach the program.

    What it imported and draws, as rich does, draws when the program itself imports it, as it would have without us.
    """
    if "lightning.pytorch" in sys.modules:
        yield
        return
    there = set(sys.modules)
    python, of_numpy, of_torch = random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state()
    added: list[Any] = []
    try:
        with _unlogged(), warnings.catch_warnings():
            # The program may have turned warnings into errors by now.
            warnings.simplefilter("ignore")
            before: list[Any] = list(warnings.filters)
            yield
            added = [one for one in warnings.filters if one not in before]
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)
    # What libraries say of their own warnings, such as scipy, is said once, when they are imported.
    filters: Any = warnings.filters
    filters[:0] = added
    draw_later(there)


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Keep what new loggers say (matplotlib tells its folders) from the handlers of the program's root logger."""
    known = {"root", *logging.root.manager.loggerDict}

    def is_known(record: logging.LogRecord) -> bool:
        return record.name in known

    handlers = list(logging.root.handlers)
    for handler in handlers:
        handler.addFilter(is_known)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(is_known)
