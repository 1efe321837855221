"""A project's own average, built on Lab's: its class, and Lab's that it builds on, as plain code in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from lab_bridge.config.places import Place
from lab_bridge.config.schema import Builder, Schema
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.lift import lift
from lab_migrate.native.own_classes import made_of, own_classes, own_code
from lab_migrate.native.refused import NotNativeError

__all__ = ["BASE", "OwnAverage", "own_average"]

BASE = "legacy_lab.train.ema.EMA"


@attrs.frozen
class OwnAverage:
    """The class's name, the code of all that it is built of, the expression that makes it, and imports.

    `swaps_itself` is whether it comes into the model's place by a way of the project's own.
    """

    name: str
    code: Sequence[str]
    made: str
    imports: Sequence[str]
    swaps_itself: bool = False


def own_average(average: Any, schema: Schema, asked: bool = False) -> OwnAverage | None:
    """Take it out of its file; None for Lab's own that no hook has `asked` for.

    Raises `NotNativeError` for one that needs more of Lab.
    """
    builder = schema.builder_of(average)
    assert builder is not None
    if builder.target == BASE:
        lifted = lift(BASE)
        return OwnAverage("EMA", lifted.code, Expressions(schema).of(average), lifted.imports) if asked else None
    names = own_classes(builder, BASE)
    if names is None:
        raise _refused(builder, f"is not built on {BASE} in one file")
    own = own_code(builder, names, _refused)
    others = [one for one in own.labs if one != "EMA of legacy_lab.train.ema"]
    if others:
        raise _refused(builder, f"uses {others[0]}")
    made, lifted = made_of(average, builder, schema, _refused), lift(BASE)
    imports = [*lifted.imports, *own.imports]
    return OwnAverage(names[-1], [*lifted.code, *own.code], made, imports, "swapped" in own.methods)


def _refused(builder: Builder, what: str, line: int | None = None) -> NotNativeError:
    return NotNativeError(
        "LM405", f"the average {builder.name} {what}, which has no native form",
        "write it as a lightning.Callback after the conversion, and drop it before, or stay at level L2",
        Place(builder.place.file, builder.place.line if line is None else line),
    )  # fmt: skip
