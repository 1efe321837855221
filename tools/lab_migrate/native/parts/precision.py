"""Mixed precision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lab_bridge.config.schema import Schema
from lab_migrate.native.own_scaler import own_scaler

__all__ = [
    "autocast_of",
    "half_weights_of",
    "has_scaler",
    "kinds_of",
    "may_skip",
    "own_imports",
    "scaler_of",
    "scalers_of",
    "scaling",
    "scaling_file",
]

#: Scalers of Lab's that are written into the project.
LABS = ("StaticScaler", "DynamicScaler")


def autocast_of(trainer: Any, schema: Schema, by_hand: bool = False) -> dict[str, Any] | None:
    """What the module casts itself: Lightning's own autocast casts a weight anew each time that it is used.

    Steps by hand have no plugin that casts.
    """
    precision = trainer.precision
    plugin = not by_hand and (scaler_of(trainer, schema) or {}).get("casts")
    if type(precision).__name__ != "Autocast" or (plugin and not precision.cache):
        return None
    return {
        "dtype": precision.dtype, "loss_inside": precision.loss_inside, "cache": precision.cache,
        "device": precision.device,
    }  # fmt: skip


def has_scaler(optimizer: Any) -> bool:
    """Whether losses of an optimizer are scaled."""
    return getattr(getattr(optimizer, "gradients", None), "scaler", None) is not None


def may_skip(trainer: Any) -> bool:
    """Whether a scaler may skip updates of any of a training's optimizers."""
    several = getattr(trainer.optimizer, "optimizers", None)
    return any(has_scaler(getattr(one, "config", one)) for one in (several or {"": trainer.optimizer}).values())


def scaler_of(trainer: Any, schema: Schema) -> dict[str, Any] | None:
    """torch's scaler, one of Lab's or the project's own, for Lightning's precision plugin.

    `casts` is whether that may cast: only by float16 autocast around the loss.
    """
    scaler = getattr(getattr(trainer.optimizer, "gradients", None), "scaler", None)
    if scaler is None:
        return None
    precision = trainer.precision
    autocast = precision if type(precision).__name__ == "Autocast" else None
    casts = autocast is not None and autocast.dtype == "float16" and autocast.loss_inside
    return {
        **scaling(scaler, schema),
        "casts": casts,
        "device": autocast.device if autocast is not None else trainer.device,
    }


def half_weights_of(trainer: Any) -> str | None:
    """The dtype of weights that are of a lower precision themselves."""
    precision = trainer.precision
    return str(precision.dtype) if type(precision).__name__ == "HalfWeights" else None


def scaling(scaler: Any, schema: Schema) -> dict[str, Any]:
    """The class of a scaler in a native training, how it is made, and whether that class is written into the project.

    `own` is what of it is the project's own. Raises `NotNativeError`.
    """
    own = own_scaler(scaler, schema)
    if own is not None:
        return {"written": True, "class": "Scaling", "made": f"Scaling({own.made})", "own": own}
    if type(scaler).__name__ in LABS:
        dynamic = type(scaler).__name__ == "DynamicScaler"
        names = ("scale_by", "factor", "interval", "least") if dynamic else ("scale_by",)
        settings = ", ".join(f"{name}={getattr(scaler, name)!r}" for name in names)
        kind = "MovingLossScale" if dynamic else "LossScale"
        return {"written": True, "class": kind, "made": f"{kind}({settings})", "own": None}
    settings = (
        f"init_scale={scaler.scale_by}, growth_factor={scaler.growth}, backoff_factor={scaler.backoff}, "
        f"growth_interval={scaler.interval}"
    )
    made = f'torch.amp.GradScaler("{scaler.device}", {settings})'
    return {"written": False, "class": "torch.amp.GradScaler", "made": made, "own": None}


def kinds_of(scalers: Iterable[dict[str, Any]]) -> list[str]:
    """The classes that are written into the project for these, each once."""
    return sorted({one["class"] for one in scalers if one["written"]})


def own_imports(package: str, scalers: Iterable[dict[str, Any]]) -> list[str]:
    """Import lines for what of them is the project's own."""
    return sorted({f"from {package}.scaling import {one['own'].name}" for one in scalers if one["own"] is not None})


def scalers_of(trainer: Any, schema: Schema) -> dict[str, dict[str, Any]]:
    """Those of a generator and its critic, by role; there is no autocast around them."""
    configs = {role: getattr(one, "config", one) for role, one in trainer.optimizer.optimizers.items()}
    return {role: scaling(one.gradients.scaler, schema) for role, one in configs.items() if has_scaler(one)}


def scaling_file(scalers: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The classes that are the project's own, and Lab's that they are built on."""
    own = [one["own"] for one in scalers if one["own"] is not None]
    return {
        "imports": list(dict.fromkeys(line for one in own for line in one.imports)),
        "code": list(dict.fromkeys(part for one in own for part in one.code)),
    }
