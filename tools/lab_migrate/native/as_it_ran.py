"""The order of mappings in a config that gin wrote of a run: gin sorts them, and the training went by their order.

The order of blocks, of optimizers, and of patterns of which the last that matches counts. The project's own configs
have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lab_bridge.config.reading.gin_statements import Binding, MacroUse, Reference, read_gin
from lab_migrate.native.refused import NotNativeError

__all__ = ["in_own_order"]

#: What `gin.config_str()` puts above the settings of each builder.
HEAD = re.compile(r"^# Parameters for \S+:\n# =+$", re.MULTILINE)
#: Keyword arguments of torch's optimizers, whose order means nothing.
ORDERLESS = ("Torch.settings",)


def in_own_order(
    config: Path, own: Path | None, root: Path, search: Sequence[Path] = ()
) -> tuple[Sequence[str], Sequence[NotNativeError]]:
    """Bindings that give the mappings of `config` the order in which the project's gin files have them.

    None for a config that a person wrote. `own` is the file that counts where several have the same mapping. What none
    has, or two in different orders, is an error.
    """
    if own == config or not HEAD.search(config.read_text(encoding="utf-8")):
        return (), ()
    others = (path for path in sorted(root.rglob("*.gin")) if not HEAD.search(path.read_text(encoding="utf-8")))
    read = [
        _lasting(read_gin(path, tuple(search)).bindings) for path in dict.fromkeys([*([own] if own else []), *others])
    ]
    found: list[str] = []
    lost: list[NotNativeError] = []
    for name, binding in _lasting(read_gin(config).bindings).items():
        if name.endswith(ORDERLESS) or not _is_ordered(binding.value):
            continue
        known = [one[name].value for one in read if name in one and _bare(one[name].value) == _bare(binding.value)]
        texts = list(dict.fromkeys(_text(value) for value in known))
        if len(texts) == 1 or (texts and own and name in read[0] and read[0][name].value is known[0]):
            found.append(f"{binding.key} = {texts[0]}")
        else:
            lost.append(_lost(binding, several=len(texts) > 1))
    return found, lost


def _lost(binding: Binding, several: bool) -> NotNativeError:
    has = "the project's gin files have it in several" if several else "no gin file of the project has the same"
    return NotNativeError(
        "LM405", f"the config of the run lost the order of {binding.key}, since gin sorts it, and {has}",
        "name the gin file that was trained with --config; what was bound by arguments, write into one",
        binding.place,
    )  # fmt: skip


def _lasting(bindings: Iterable[Binding]) -> dict[str, Binding]:
    """The last of each name; a name is a scope, and a builder without its module."""
    return {_name(one): one for one in bindings}


def _name(binding: Binding) -> str:
    selector = binding.selector.rpartition(".")[2] if binding.parameter else binding.selector
    return "/".join([*binding.scope, f"{selector}.{binding.parameter}" if binding.parameter else selector])


def _is_ordered(value: Any) -> bool:
    return any(isinstance(one, dict) and len(one) > 1 for one in _parts(value))


def _parts(value: Any) -> Iterator[Any]:
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for one in inner:
        yield from _parts(one)


def _bare(value: Any) -> Any:
    """What two spellings have in common: equal mappings are equal in any order."""
    match value:
        case dict():
            return {key: _bare(one) for key, one in value.items()}
        case list() | tuple():
            return type(value)(_bare(one) for one in value)
        case Reference(scope, selector, called):
            return (Reference, scope, selector.rpartition(".")[2], called)
        case MacroUse(name):
            return (MacroUse, name)
    return value


def _text(value: Any) -> str:
    """A value as gin reads it."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key!r}: {_text(one)}" for key, one in value.items()) + "}"
        case tuple():
            return "(" + ", ".join(_text(one) for one in value) + ("," if len(value) == 1 else "") + ")"
        case list():
            return "[" + ", ".join(_text(one) for one in value) + "]"
        case MacroUse(name):
            return f"%{name}"
        case Reference():
            return str(value)
    return repr(value)
