"""A project's own loss scaler, built on one of Lab's or on nothing: its class, as plain code in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from lab_bridge.config.places import Place
from lab_bridge.config.schema import Builder, Schema
from lab_migrate.native.labs import is_labs
from lab_migrate.native.lift import Lifted, lift
from lab_migrate.native.own_classes import made_of, own_classes, own_code
from lab_migrate.native.refused import NotNativeError

__all__ = ["OwnScaler", "own_scaler", "scaler_classes"]

HOME = "legacy_lab.optim.scaling"
BASES = tuple(
    f"{home}.{name}"
    for name, module in {
        "Scaler": "scaler", "StaticScaler": "static", "DynamicScaler": "dynamic", "TorchScaler": "torch_scaler",
    }.items()
    for home in (HOME, f"{HOME}.{module}")
)  # fmt: skip


@attrs.frozen
class OwnScaler:
    """The class's name, the code of all that it is built of, the expression that makes it, and imports."""

    name: str
    code: Sequence[str]
    made: str
    imports: Sequence[str]


def scaler_classes(builder: Builder) -> list[str] | None:
    """Its classes, the first of which is built on one of Lab's or on nothing; None where it is no such line."""
    return own_classes(builder, *BASES, alone=True)


def own_scaler(scaler: Any, schema: Schema) -> OwnScaler | None:
    """Take it out of its file; None for Lab's own. Raises `NotNativeError` for one that needs more of Lab."""
    builder = schema.builder_of(scaler)
    assert builder is not None
    if is_labs(builder):
        return None
    names = scaler_classes(builder)
    if names is None:
        raise _refused(builder, f"is no class, or not built on one of {HOME} or on nothing, in one file")
    own = own_code(builder, names, _refused)
    lifted = _lifted(builder, own.labs)
    made = made_of(scaler, builder, schema, _refused)
    return OwnScaler(names[-1], [*lifted.code, *own.code], made, [*lifted.imports, *own.imports])


def _lifted(builder: Builder, labs: Sequence[str]) -> Lifted:
    """What a scaler uses of Lab's scalers."""
    found = Lifted()
    for said in labs:
        name, _, home = said.partition(" of ")
        if home != HOME and not home.startswith(f"{HOME}."):
            raise _refused(builder, f"uses {said}")
        try:
            found += lift(f"{home}.{name}")
        except KeyError as error:
            raise _refused(builder, f"uses {said} under a name of its own") from error
    return found


def _refused(builder: Builder, what: str, line: int | None = None) -> NotNativeError:
    return NotNativeError(
        "LM405", f"the loss scaler {builder.name} {what}, which has no native form",
        "write it for a precision plugin of Lightning's after the conversion, and drop it before, or stay at level L2",
        Place(builder.place.file, builder.place.line if line is None else line),
    )  # fmt: skip
