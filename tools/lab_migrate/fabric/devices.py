"""Where Fabric trains: on the device that the program chose, as far as it chose one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from lab_migrate.analysis import Module
from lab_migrate.analysis.symbols import dotted

__all__ = ["accelerator_of"]

#: Inside `use_cuda`, `ngpus`; the others are parts of other words, too (timestamps).
_DEVICE = re.compile(r"cuda|gpu|(?<![a-z])(mps|xpu|hpu|tpu|accelerator)(?![a-z])", re.IGNORECASE)
_LONGEST = 40


def accelerator_of(modules: Iterable[Module]) -> str:
    """Fabric's `accelerator`: "cpu" for a program that never speaks of another device, else "auto".

    With "auto" a program that has always trained on the CPU would train on the GPU of the next machine, where it
    rounds otherwise.
    """
    speaks = any(_speaks_of_devices(node) for module in modules for node in ast.walk(module.tree))
    return "auto" if speaks else "cpu"


def _speaks_of_devices(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            # A docstring may speak of anything; an option is a word.
            return len(text) < _LONGEST and (_DEVICE.search(text) or re.match("-.*device", text)) is not None
        case ast.Attribute(attr="device"):
            return dotted(node) != "torch.device"
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
            return _DEVICE.search(name) is not None
    return False
