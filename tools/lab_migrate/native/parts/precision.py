"""Mixed precision."""

from __future__ import annotations

from typing import Any

from lab_migrate.native.refused import NotNativeError

__all__ = ["autocast_of", "scaler_of"]


#: Scalers of Lab's that are written into the project.
LABS = ("StaticScaler", "DynamicScaler")


def autocast_of(trainer: Any) -> dict[str, Any] | None:
    """What the module casts itself: Lightning's own autocast casts a weight anew each time that it is used."""
    precision = trainer.precision
    if precision is None:
        return None
    if scaler_of(trainer) is not None and not precision.cache:
        return None  # the plugin's is the same
    return {"dtype": precision.dtype, "loss_inside": precision.loss_inside, "cache": precision.cache}


def scaler_of(trainer: Any) -> dict[str, Any] | None:
    """torch's scaler, or one of Lab's, for Lightning's precision plugin.

    Raises `NotNativeError` where the plugin would do other.
    """
    scaler = getattr(getattr(trainer.optimizer, "gradients", None), "scaler", None)
    if scaler is None:
        return None
    precision = trainer.precision
    if precision is None or precision.dtype != "float16" or not precision.loss_inside:
        raise NotNativeError(
            "LM405", "losses are scaled without float16 autocast around them, which Lightning's plugin never does",
            "drop the scaler from the config, or stay at level L2",
        )  # fmt: skip
    if type(scaler).__name__ in LABS:
        dynamic = type(scaler).__name__ == "DynamicScaler"
        names = ("scale_by", "factor", "interval", "least") if dynamic else ("scale_by",)
        settings = {name: getattr(scaler, name) for name in names}
        return {"labs": True, "dynamic": dynamic, "settings": settings, "device": precision.device}
    return {
        "labs": False,
        "init_scale": scaler.scale_by,
        "growth_factor": scaler.growth,
        "backoff_factor": scaler.backoff,
        "growth_interval": scaler.interval,
        "device": precision.device,
    }
