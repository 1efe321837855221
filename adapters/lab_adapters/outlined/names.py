"""Which names a program's functions use, and what of all that can be reached is the program's own.

A library's state is its own business: nothing of it is walked, saved or put back.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import sys
import sysconfig
import types
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = [
    "Name",
    "holds_what_is_given",
    "is_foreign",
    "is_own_class",
    "is_own_function",
    "is_own_module",
    "names_of",
    "used_by",
]

#: Whose objects are passed by; of torch's those that hold what a program puts into them are not.
LIBRARIES = frozenset(
    ["torch", "numpy", "lightning", "pytorch_lightning", "tensorboard", "tensorboardX", "wandb", "tqdm", "matplotlib",
     "mlflow", "PIL", "pandas", "lab_adapters", "lab_bridge", "lab_migrate", "lab_parity", "lab_pytest"]
)  # fmt: skip
_HOLDS_WHAT_IS_GIVEN = ("torch.utils.data.", "torch.distributions.", "torch.quasirandom.")
#: Modules of Python's own whose objects hold what a program puts into them.
_HOLDS_SETTINGS = frozenset(["types", "argparse", "collections", "weakref"])


class Name(NamedTuple):
    """A global name that a function uses: of its own module, or of one of the program's that it names."""

    space: dict[str, Any]
    name: str

    @property
    def module(self) -> str:
        """The module that the name is of."""
        return str(self.space.get("__name__", "__main__"))


@functools.lru_cache(maxsize=4096)
def names_of(code: types.CodeType) -> tuple[str, ...]:
    """Global names and names of attributes, of the functions inside too."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found.update(names_of(constant))
    return tuple(sorted(found))


def used_by(function: types.FunctionType) -> Iterator[Name]:
    """Its global names, and through the program's own modules (`state.step`) those of these modules."""
    names = names_of(function.__code__)
    spaces = [function.__globals__]
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # not assigned yet
            if isinstance(cell.cell_contents, types.ModuleType) and is_own_module(cell.cell_contents):
                spaces.append(vars(cell.cell_contents))
    for space in spaces:
        for name in names:
            # A module may also be imported within the function.
            value = space[name] if name in space else sys.modules.get(name)
            if isinstance(value, types.ModuleType):
                if is_own_module(value) and not any(vars(value) is one for one in spaces):
                    spaces.append(vars(value))
            elif name in space:
                yield Name(space, name)


def is_own_function(function: types.FunctionType) -> bool:
    """Not a library's."""
    top = str(function.__module__).split(".")[0]
    return top not in LIBRARIES and not _is_installed(function.__code__.co_filename)


def is_own_module(module: types.ModuleType) -> bool:
    """Not a library's, and none of Python's own."""
    # Without asking it: a lazy one would be imported.
    file = object.__getattribute__(module, "__dict__").get("__file__")
    if type(module) is not types.ModuleType or not isinstance(file, str):
        return False
    return module.__name__.split(".")[0] not in LIBRARIES and not _is_installed(file)


def is_own_class(cls: type) -> bool:
    """Whether the program defines it: not a library, and not as a list of constants."""
    top = cls.__module__.split(".")[0]
    if cls in (Counter, OrderedDict, defaultdict):
        return True  # no more than dictionaries
    if isinstance(cls, enum.EnumMeta) or top in LIBRARIES or (top in sys.stdlib_module_names and top != "__main__"):
        return False
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return cls.__module__ == "__main__" or file is None or "site-packages" not in file


def holds_what_is_given(named: Any) -> bool:
    """Whether a class or function is of a part of torch whose objects are what a program has put into them: a loader,
    a sampler, a distribution."""
    return f"{named.__module__}.".startswith(_HOLDS_WHAT_IS_GIVEN)


def is_foreign(value: Any) -> bool:
    """Whether an object's attributes are a library's business: files, threads, queues, writers, bars."""
    module = type(value).__module__
    top = module.split(".")[0]
    if holds_what_is_given(type(value)):
        return False
    return top in LIBRARIES or (top in sys.stdlib_module_names and top not in _HOLDS_SETTINGS)


@functools.cache
def _is_installed(file: str) -> bool:
    return "site-packages" in file or file.startswith(sysconfig.get_paths()["stdlib"])
