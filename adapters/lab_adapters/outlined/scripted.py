"""Modules of TorchScript: what they have beside tensors is C++'s, is asked for by its name, and is in no dictionary.

Its functions, as its modules, run their first calls otherwise than later ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from torch import ScriptMethod
from torch.jit import ScriptFunction, ScriptModule
from torch.nn import Module

__all__ = ["attributes_in_cpp", "attributes_in_python", "is_scripted", "say_compiled_anew"]

_OF_SCRIPTED = frozenset({"_actual_script_module", "_c", "_concrete_type", "_initializing"})


def is_scripted(part: Module) -> bool:
    """Whether it is `torch.jit.script(module)`, or of a class that derives from `ScriptModule`."""
    return isinstance(part, ScriptModule)


def attributes_in_cpp(part: Module) -> list[str]:
    """Names of numbers, strings and lists that its compiled code reads, and may change; `training` among them."""
    inner: Any = getattr(part, "_actual_script_module", part)
    known = getattr(inner, "_concrete_type", None)
    tensors = {name for kind in (part._parameters, part._buffers, part._modules) for name, _ in kind.items()}
    # One that was read from a file has no such type, and keeps its mode.
    names = known.get_attributes() if known is not None else {"training"}
    return sorted({*names, "training"} - tensors)


def attributes_in_python(part: Module) -> list[str]:
    """Names of what stands in its dictionary and is the program's: neither torch's own nor compiled methods."""
    return [
        name
        for name, value in vars(part).items()
        if name not in _OF_SCRIPTED and not name.startswith("__") and not isinstance(value, ScriptMethod)
    ]


def say_compiled_anew(models: Mapping[str, Module]) -> None:
    """TorchScript watches the first calls, and runs later ones fused: a resumed run is at its first calls again."""
    for path, model in models.items():
        if any(_is_compiled(part) or _calls_compiled(type(part)) for part in model.modules()):
            warnings.warn(
                f"resume: {path}: TorchScript runs the first calls of what it has compiled otherwise than later ones, "
                "so that the resumed training may differ in its last bits; with PYTORCH_JIT=0 it does not",
                stacklevel=2,
            )
            return


def _is_compiled(part: Module) -> bool:
    """With PYTORCH_JIT=0 such a class is an ordinary one."""
    return "_c" in vars(getattr(part, "_actual_script_module", part))


def _calls_compiled(cls: type) -> bool:
    """Whether a method names a function of its file that `torch.jit.script` has compiled."""
    methods = [inner for inner in vars(cls).values() if isinstance(inner, FunctionType)]
    named = (method.__globals__.get(name) for method in methods for name in method.__code__.co_names)
    return any(isinstance(one, ScriptFunction) for one in named)
