"""An optimizer with all that belongs to it, as the files of a native training have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from lab_bridge.config.schema import Schema
from lab_migrate.native.clipping import Clipping, clipping_of
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.schedules import Scheduled, schedules_of
from lab_migrate.native.update_code import StepCode, step_code

__all__ = ["Tuned", "kept_fields", "tuned"]

TORCH = "legacy_lab.optim.torch_optimizer.Torch"
#: Settings that say how gradients come to the update, not what it does with them.
STRUCTURAL = {"accumulate", "clip_norm", "multipliers", "decay_multipliers", "schedule", "gradients", "model"}


@attrs.frozen
class Tuned:
    """`role` is empty for the only optimizer, else the submodule that it trains; `code` None for torch's own; `radius`
    None where it is no SAM's. `masters` is whether it updates copies in fp32, `accumulates` whether an update
    takes several losses.

    `fields` are its hyperparameters (name, type, value); the multipliers are spelled, None where there are none.
    """

    role: str
    kind: str
    fields: Sequence[dict[str, str]]
    code: StepCode | None
    multipliers: str | None
    decay_multipliers: str | None
    schedules: Sequence[Scheduled]
    clipping: Clipping | None
    zeros: bool
    radius: float | None = None
    masters: bool = False
    accumulates: bool = False

    @property
    def field(self) -> str:
        """Its name in the config and in code."""
        return self.role or "optimizer"

    @property
    def class_name(self) -> str:
        """The config class of its hyperparameters."""
        return f"{self.role.capitalize()}Optimizer" if self.role else "Optimizer"

    @property
    def prefix(self) -> str:
        """Before the names of what belongs to it in the config."""
        return f"{self.role}_" if self.role else ""

    @property
    def around(self) -> str:
        """The subclass that is built in its place, if any."""
        return "SAM" if self.radius is not None else "MasterWeights" if self.masters else ""

    @property
    def origin(self) -> str:
        """The class that updates."""
        return self.kind if self.code is not None else f"torch.optim.{self.kind}"

    @property
    def grouped(self) -> bool:
        """Whether its parameters have factors."""
        return self.multipliers is not None or self.decay_multipliers is not None

    def built(self, module: str) -> list[str]:
        """Statements that build it and its schedule over the parameters of `module`."""
        config = f"self.config.{self.field}"
        arguments = ", ".join(f"{one['name']}={config}.{one['name']}" for one in self.fields)
        name = self.around or self.origin
        if self.radius is not None:
            arguments = f"radius=self.config.radius, {arguments}"
        if not self.grouped:
            trained = f"{self.prefix}parameters"
            return [
                f"{trained} = [parameter for parameter in {module}.parameters() if parameter.requires_grad]",
                f"{self.field} = {name}({trained}, {arguments})",
            ]
        factors = [f"multipliers={self.multipliers}"] if self.multipliers is not None else []
        if self.decay_multipliers is not None:
            factors += [f"decay={config}.decay", f"decay_multipliers={self.decay_multipliers}"]
        groups = f"{self.prefix}groups"
        return [
            f"{groups} = parameter_groups({module}, lr={config}.lr, {', '.join(factors)})",
            f"{self.field} = {name}({groups}, {arguments})",
        ]

    def scheduled(self) -> str | None:
        """The expression of its schedule; None where it has none."""
        if not self.schedules:
            return None
        accumulate = "self.config.accumulate" if self.accumulates else "1"
        return f"Schedule({', '.join([self.field, *(one.asked(accumulate) for one in self.schedules)])})"


def tuned(optimizer: Any, schema: Schema, role: str = "", radius: float | None = None) -> Tuned:
    """Read an optimizer's config. Raises `NotNativeError` for what has no native form."""
    builder = schema.builder_of(optimizer)
    assert builder is not None
    kind = builder.target.rpartition(".")[2]
    gradients = getattr(optimizer, "gradients", None)
    is_torchs = builder.target == TORCH
    code = None if is_torchs else step_code(builder)
    fields = kept_fields(optimizer, schema)
    if is_torchs:
        kind = optimizer.name
    factors = [getattr(optimizer, name, None) for name in ("multipliers", "decay_multipliers")]
    if factors[1] and not any(field["name"] == "decay" for field in fields):
        raise NotNativeError("LM405", f"{kind} has decay_multipliers and no decay", "remove them from the config")
    spelled = [Expressions(schema).of(one) if one else None for one in factors]
    prefix, accumulate = f"{role}_" if role else "", getattr(optimizer, "accumulate", 1)
    return Tuned(
        role,
        kind,
        fields,
        code,
        spelled[0],
        spelled[1],
        schedules_of(getattr(optimizer, "schedule", None), schema, f"{prefix}schedule"),
        clipping_of(optimizer, schema),
        getattr(gradients, "left_as", "zeros") == "zeros",
        radius,
        bool(getattr(gradients, "masters", False)),
        int(getattr(accumulate, "every", accumulate)) > 1,
    )


def kept_fields(optimizer: Any, schema: Schema) -> list[dict[str, str]]:
    """The optimizer's plain hyperparameters, with their types and values."""
    builder = schema.builder_of(optimizer)
    assert builder is not None
    if builder.target == TORCH:
        fields = [{"name": "lr", "type": "float", "value": repr(optimizer.lr)}]
        for name, value in (optimizer.settings or {}).items():
            spelled = repr(tuple(value) if isinstance(value, list) else value)
            fields.append({"name": name, "type": _kind_of(value), "value": spelled})
        return fields
    fields = []
    for one in builder.parameters:
        if one.name in STRUCTURAL:
            continue
        value = getattr(optimizer, one.name)
        if schema.builder_of(value) is not None:
            raise NotNativeError(
                "LM405", f"the optimizer {builder.name} is given an object as {one.name}, not a number",
                "have it made in the optimizer's update, or stay at level L2", builder.place,
            )  # fmt: skip
        kind = _kind_of(value) if one.type == "Any" and value is not None else one.type
        fields.append({"name": one.name, "type": kind, "value": repr(value)})
    return fields


def _kind_of(value: Any) -> str:
    """The annotation of a hyperparameter that has none."""
    return "tuple[float, ...]" if isinstance(value, list | tuple) else type(value).__name__
