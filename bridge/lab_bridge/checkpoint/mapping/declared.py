"""A mapping as a person declares it: a TOML file with a table for each operation.

    [[rename]]
    from = "encoder.**"
    to = "body.**"

    [[split]]
    from = "attn.*.qkv.weight"
    to = ["attn.*.q.weight", "attn.*.k.weight", "attn.*.v.weight"]

Every name that no operation takes keeps its name. `confirmed = false` marks a draft that nobody has read yet.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override
from cattrs.v import format_exception

from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.mapping.names import NamePattern
from lab_bridge.checkpoint.mapping.operation import Operation
from lab_bridge.checkpoint.mapping.operations import all_operations

__all__ = ["Mapping", "read_mapping"]

#: In a file, the words a person would write.
_KEYS = {"source": "from", "target": "to"}


@attrs.frozen
class Mapping:
    """Operations that work side by side, each on the names of the source; their order says nothing."""

    operations: tuple[Operation, ...]

    def reverse(self) -> Mapping:
        """The mapping that goes back; what was left out is gone."""
        return Mapping(tuple(operation.reverse() for operation in self.operations if operation.targets))

    def drops(self) -> Mapping:
        """Only what is left out: what a way back can never give."""
        return Mapping(tuple(operation for operation in self.operations if not operation.targets))


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file. Raises `CheckpointError` that names every wrong field at once."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such mapping") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: expected TOML: {error}") from error
    problems: list[str] = []
    if tables.pop("confirmed", True) is not True:
        problems.append("a draft: read it, then set confirmed = true or take the line out")
    known = all_operations()
    converter = _converter(known)
    operations: list[Operation] = []
    for word, entries in tables.items():
        if word not in known:
            problems.append(f"{word}: expected one of {', '.join(sorted(known))}{_meant(word, list(known))}")
            continue
        for number, entry in enumerate(entries if isinstance(entries, list) else [entries]):
            try:
                made: Operation = converter.structure(entry, known[word])
            except ClassValidationError as error:
                problems += _lines(error, f"{word}[{number}]")
                continue
            problems += [f"{word}[{number}]: {problem}" for problem in made.problems()]
            operations.append(made)
    if not operations and not problems:
        problems.append(f"expected at least one [[{']], [['.join(sorted(known))}]], found none")
    if problems:
        raise CheckpointError("\n".join(f"{path}: {problem}" for problem in problems))
    return Mapping(tuple(operations))


def _converter(known: dict[str, type[Operation]]) -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)

    def text(value: Any, _: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"expected text, found {value!r}")
        return value

    def whole(value: Any, _: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"expected a whole number, found {value!r}")
        return value

    def several(value: Any, type_: Any) -> tuple[Any, ...]:
        inner: Any = get_args(type_)[0]
        # A single name may stand where a list of names may.
        listed = [value] if inner is NamePattern and isinstance(value, str) else value
        if not isinstance(listed, list):
            raise TypeError(f"expected a list, found {value!r}")
        return tuple(converter.structure(item, inner) for item in listed)

    converter.register_structure_hook(str, text)
    converter.register_structure_hook(int, whole)
    converter.register_structure_hook(NamePattern, lambda value, _: NamePattern(text(value, str)))
    converter.register_structure_hook_func(_is_tuple, several)
    for made in known.values():
        renamed = {
            field.name: override(rename=_KEYS[field.name])
            for field in attrs.fields(cast(Any, made))
            if field.name in _KEYS
        }
        structure: Any = make_dict_structure_fn(made, converter, _cattrs_forbid_extra_keys=True, **renamed)  # type: ignore[arg-type]
        converter.register_structure_hook(made, structure)
    return converter


def _is_tuple(type_: Any) -> bool:
    origin: Any = get_origin(type_)
    return origin is tuple


def _lines(error: ClassValidationError, where: str) -> list[str]:
    def say(inner: BaseException, type_: Any) -> str:
        if isinstance(inner, ForbiddenExtraKeysError):
            allowed = [_KEYS.get(field.name, field.name) for field in attrs.fields(inner.cl)]
            return "; ".join(f"no such key: {name}{_meant(name, allowed)}" for name in sorted(inner.extra_fields))
        if isinstance(inner, KeyError):
            return f"expected the key {_KEYS.get(inner.args[0], inner.args[0])}, found none"
        return str(inner) if isinstance(inner, TypeError | ValueError) else format_exception(inner, type_)

    return cattrs.transform_error(error, path=where, format_exception=say)


def _meant(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
