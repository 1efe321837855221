"""Mixed precision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["autocast_of", "half_weights_of", "kinds_of", "scaler_of", "scalers_of", "scaling"]

#: Scalers of Lab's that are written into the project.
LABS = ("StaticScaler", "DynamicScaler")


def autocast_of(trainer: Any, by_hand: bool = False) -> dict[str, Any] | None:
    """What the module casts itself: Lightning's own autocast casts a weight anew each time that it is used.

    Steps by hand have no plugin that casts.
    """
    precision = trainer.precision
    plugin = not by_hand and (scaler_of(trainer) or {}).get("casts")
    if type(precision).__name__ != "Autocast" or (plugin and not precision.cache):
        return None
    return {
        "dtype": precision.dtype, "loss_inside": precision.loss_inside, "cache": precision.cache,
        "device": precision.device,
    }  # fmt: skip


def scaler_of(trainer: Any) -> dict[str, Any] | None:
    """torch's scaler, or one of Lab's, for Lightning's precision plugin.

    `casts` is whether that may cast: only by float16 autocast around the loss.
    """
    scaler = getattr(getattr(trainer.optimizer, "gradients", None), "scaler", None)
    if scaler is None:
        return None
    precision = trainer.precision
    autocast = precision if type(precision).__name__ == "Autocast" else None
    casts = autocast is not None and autocast.dtype == "float16" and autocast.loss_inside
    return {**scaling(scaler), "casts": casts, "device": autocast.device if autocast is not None else trainer.device}


def half_weights_of(trainer: Any) -> str | None:
    """The dtype of weights that are of a lower precision themselves."""
    precision = trainer.precision
    return str(precision.dtype) if type(precision).__name__ == "HalfWeights" else None


def scaling(scaler: Any) -> dict[str, Any]:
    """The class of a scaler in a native training, how it is made, and whether it is one that was Lab's own."""
    if type(scaler).__name__ in LABS:
        dynamic = type(scaler).__name__ == "DynamicScaler"
        names = ("scale_by", "factor", "interval", "least") if dynamic else ("scale_by",)
        settings = ", ".join(f"{name}={getattr(scaler, name)!r}" for name in names)
        kind = "MovingLossScale" if dynamic else "LossScale"
        return {"labs": True, "class": kind, "made": f"{kind}({settings})"}
    settings = (
        f"init_scale={scaler.scale_by}, growth_factor={scaler.growth}, backoff_factor={scaler.backoff}, "
        f"growth_interval={scaler.interval}"
    )
    made = f'torch.amp.GradScaler("{scaler.device}", {settings})'
    return {"labs": False, "class": "torch.amp.GradScaler", "made": made}


def kinds_of(scalers: Iterable[dict[str, Any]]) -> list[str]:
    """The classes that are written into the project for these, each once."""
    return sorted({one["class"] for one in scalers if one["labs"]})


def scalers_of(trainer: Any) -> dict[str, dict[str, Any]]:
    """Those of a generator and its critic, by role; there is no autocast around them."""
    configs = {role: getattr(one, "config", one) for role, one in trainer.optimizer.optimizers.items()}
    found = {role: getattr(getattr(config, "gradients", None), "scaler", None) for role, config in configs.items()}
    return {role: scaling(one) for role, one in found.items() if one is not None}
