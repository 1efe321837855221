"""Objects of a program's own plain classes, as their attributes, and made of them again without running its code.

As Python's `copy` and `pickle` make them by default: a new object of the class, and its attributes. So are loaders and
samplers of torch's made; of a class that has an own way to be copied, or that is another library's, nothing is.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from lab_adapters.outlined.kinds import container_kind, name_of
from lab_adapters.outlined.names import holds_what_is_given, is_own_class, is_own_function

__all__ = ["attributes_of", "is_plain", "named", "put_attributes", "simply_made", "slots_of"]

_NAMED = (type, types.FunctionType, types.BuiltinFunctionType)
_OWN_WAY = ("__reduce__", "__reduce_ex__", "__copy__", "__deepcopy__", "__getnewargs__", "__getnewargs_ex__")
_NOT_PLAIN = (torch.nn.Module, torch.optim.Optimizer, torch.Tensor, BaseException, type)


def is_plain(value: Any) -> bool:
    """Whether it is nothing but its attributes, or its entries and attributes."""
    cls: Any = type(value)
    known = is_own_class(cls) or holds_what_is_given(cls)
    return known and not isinstance(value, _NOT_PLAIN) and (simply_made(cls) or container_kind(value) is not None)


def simply_made(cls: Any) -> bool:
    """Whether Python would copy its objects as what they hold."""
    own_way = any(getattr(cls, name, None) is not getattr(object, name, None) for name in _OWN_WAY)
    return cls.__new__ is object.__new__ and not own_way


def attributes_of(value: Any) -> dict[str, Any]:
    """Of its own dictionary and its slots."""
    return {**getattr(value, "__dict__", {}), **slots_of(value)}


def slots_of(value: Any) -> dict[str, Any]:
    """The slots that are set, by the names under which their classes know them, without asking the object."""
    found = {}
    for cls in type(value).__mro__:
        for name, member in vars(cls).items():
            if isinstance(member, types.MemberDescriptorType) and not name.startswith("__"):
                with contextlib.suppress(AttributeError):
                    found[name] = member.__get__(value)
    return found


def put_attributes(made: Any, attributes: Mapping[str, Any]) -> None:
    """Assign them, also where the class forbids it."""
    for name, value in attributes.items():
        object.__setattr__(made, name, value)


def named(name: str, known: Iterable[Any] = (), libraries: bool = False) -> Any:
    """The program's class or function of this name: one of the known classes, or of a module that is imported.

    Those of `libraries`, too, where they are asked for.
    """
    for one in known:
        if isinstance(one, type) and name_of(one) == name:
            return one
    # A function of torch's C++ is there by its own name only.
    module, _, rest = name.replace("._VariableFunctionsClass.", ".").partition(":")[0].rpartition(".")
    while module:
        found: Any = sys.modules.get(module)
        for part in rest.split(".") if found is not None else ():
            found = vars(found).get(part) if hasattr(found, "__dict__") else None
            found = found.__func__ if isinstance(found, staticmethod) else found
        found = found if isinstance(found, _NAMED) and name_of(found) == name else None
        if found is not None and (libraries or _is_programs(found)):
            return found
        module, _, head = module.rpartition(".")
        rest = f"{head}.{rest}"
    return None


def _is_programs(found: Any) -> bool:
    """Whether it is one of the program's, or what such an object is made of."""
    if isinstance(found, types.BuiltinFunctionType):
        return False
    own = is_own_class(found) if isinstance(found, type) else is_own_function(found)
    return own or holds_what_is_given(found)
