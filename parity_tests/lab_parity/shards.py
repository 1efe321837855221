"""Sharded parameters: a rank's fingerprints are of its shards, and say nothing about a side that holds them whole."""

from __future__ import annotations

import json
from collections.abc import Iterable

from torch import Tensor

from lab_parity.digest import digest_bytes
from lab_parity.listing import some_of
from lab_parity.trace import Step, Trace

__all__ = ["shard_texts", "sharded_alone"]

_NAME = digest_bytes(b"parameters that are sharded")
"""Under it the texts of a step that begins an optimizer tell which of its parameters are."""


def shard_texts(parameters: Iterable[tuple[str, Tensor]]) -> dict[bytes, str]:
    """What the first step of an optimizer says of its parameters; nothing where all are whole."""
    names = [name for name, parameter in parameters if _is_sharded(parameter)]
    return {_NAME: json.dumps(names)} if names else {}


def sharded_alone(a: Trace, b: Trace) -> str:
    """Why two runs cannot be compared, where one alone has sharded parameters from its first step on; or nothing."""
    names = [_sharded(trace) for trace in (a, b)]
    if bool(names[0]) == bool(names[1]):
        return ""
    which, other = ("first", "second") if names[0] else ("second", "first")
    return (
        f"parameters of the {which} run are sharded ({some_of(names[0] or names[1])}), those of the {other} run are "
        "not: a fingerprint of a shard has no partner; compare runs that hold them alike, or over seeds"
    )


def _sharded(trace: Trace) -> list[str]:
    first = next(iter(trace.steps()), None)
    found = json.loads(first.texts.get(_NAME.hex(), "[]")) if isinstance(first, Step) else []
    return [str(name) for name in found] if isinstance(found, list) else []


def _is_sharded(parameter: Tensor) -> bool:
    return any(not placement.is_replicate() for placement in getattr(parameter, "placements", ()))
