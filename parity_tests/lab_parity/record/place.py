"""Places in the program: the line of its own code that led to a call, and the module of the model that was at work."""

from __future__ import annotations

import os
import random
import sys
import weakref
from types import CodeType, FrameType
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lab_parity.record.walk import modules

__all__ = ["NOWHERE", "Place", "Places"]


class Place(NamedTuple):
    """`line` is "train.py:31 in train", relative to the working folder; `module` a path in the model, or empty."""

    line: str
    module: str


NOWHERE = Place("", "")
_LIBRARIES = (
    *(os.path.dirname(os.path.abspath(module.__file__ or "")) + os.sep for module in (torch, np)),
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    os.path.abspath(random.__file__),
    "<frozen",
)


class Places:
    """Finds places; remembers the paths of the modules that it has met."""

    def __init__(self) -> None:
        self._paths: weakref.WeakKeyDictionary[nn.Module, dict[int, str]] = weakref.WeakKeyDictionary()

    def here(self, what: str = "") -> Place:
        """The place from which `what` was called: the innermost line that is neither torch's nor numpy's nor ours.

        Nor is it the line inside a function that the program has put in the place of `what`.
        """
        frame: FrameType | None = sys._getframe(1)
        line, inner, outer = "", None, None
        stand_in = _code_of(what)
        while frame is not None:
            code = frame.f_code
            if not line and code is not stand_in and not code.co_filename.startswith(_LIBRARIES):
                line = f"{_short(code.co_filename)}:{frame.f_lineno} in {code.co_name}"
            if code.co_name == "forward" and code.co_varnames[:1] == ("self",):
                module = frame.f_locals.get("self")
                if issubclass(type(module), nn.Module):
                    inner, outer = inner if inner is not None else module, module
            frame = frame.f_back
        return Place(line, "" if inner is None or outer is None else self._path(outer, inner))

    def _path(self, root: nn.Module, module: nn.Module) -> str:
        known = self._paths.get(root, {})
        if id(module) not in known:
            known = self._paths[root] = {id(part): path for path, part in modules(root)}
        return known.get(id(module)) or type(module).__name__


def _code_of(name: str) -> CodeType | None:
    """The code behind a function's dotted name, or "Tensor.normal_"; None for a built-in one."""
    home, _, leaf = name.rpartition(".")
    code = getattr(getattr(torch.Tensor if home == "Tensor" else sys.modules.get(home), leaf, None), "__code__", None)
    return code if isinstance(code, CodeType) else None


def _short(path: str) -> str:
    full = os.path.abspath(path)
    inside = os.path.relpath(full, os.getcwd())
    return inside if not inside.startswith("..") else os.path.join(*full.split(os.sep)[-2:])
