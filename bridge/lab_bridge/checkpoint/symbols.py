"""What a pickle would import, found by reading its opcodes: nothing is imported, called or built."""

from __future__ import annotations

import pickletools
from typing import IO, Any

import torch

__all__ = ["plain_symbols", "symbols_in_pickle"]

#: Plain values that torch's own list lacks; the reader rebuilds them itself.
_NUMPY = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    "numpy.ndarray",
    "numpy.dtype",
)
_BUILTIN = tuple(
    f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "frozenset", "complex")
)

_STRINGS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}
_GET = {"BINGET", "LONG_BINGET", "GET"}
_PUT = {"BINPUT", "LONG_BINPUT", "PUT"}


def plain_symbols() -> frozenset[str]:
    """The names that stand for tensors and plain values: what `weights_only=True` allows, and numpy's arrays."""
    from torch._weights_only_unpickler import _get_allowed_globals

    return frozenset(_get_allowed_globals()) | set(_NUMPY) | set(_BUILTIN)


def symbols_in_pickle(file: IO[bytes]) -> list[str]:
    """`module.name` of everything that one pickle imports, in order of appearance, `file` being left behind its end.

    Names that are put together while loading cannot be read off; they are listed as `(made up while loading)`.
    """
    found: dict[str, None] = {}
    strings: list[object] = []  # what the last opcodes pushed, None where it is no string
    memo: dict[int, object] = {}
    argument: Any
    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            found[str(argument).replace(" ", ".", 1)] = None
            strings.append(None)
        elif name == "STACK_GLOBAL":
            pair = strings[-2:]
            known = len(pair) == 2 and all(isinstance(part, str) for part in pair)
            found[f"{pair[0]}.{pair[1]}" if known else "(made up while loading)"] = None
            strings.append(None)
        elif name.startswith("EXT"):
            found[f"copyreg extension {argument}"] = None
        elif name in _STRINGS:
            strings.append(argument)
        elif name == "MEMOIZE":
            memo[len(memo)] = strings[-1] if strings else None
        elif name in _PUT:
            memo[int(argument)] = strings[-1] if strings else None
        elif name in _GET:
            strings.append(memo.get(int(argument)))
        elif name not in ("PROTO", "FRAME"):
            strings.append(None)
    return list(found)


def unknown_symbols(found: list[str]) -> list[str]:
    """Those that are more than tensors and plain values."""
    plain = plain_symbols()
    return [name for name in found if name not in plain and not _numpy_dtype(name)]


def _numpy_dtype(name: str) -> bool:
    return name.startswith("numpy.dtypes.") and name.endswith("DType")


def storage_dtypes() -> dict[str, torch.dtype]:
    """From `torch.FloatStorage` and its sisters to the dtype of their elements."""
    return {f"torch.{name}": dtype for dtype, name in torch.storage._dtype_to_storage_type_map().items()}
