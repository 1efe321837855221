"""Mixed precision."""

from __future__ import annotations

from typing import Any

from lab_migrate.native.refused import NotNativeError

__all__ = ["autocast_of", "scaler_of", "scalers_of", "scaling"]


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
    return scaling(scaler, precision.device)


def scaling(scaler: Any, device: str) -> dict[str, Any]:
    """The class of a scaler in a native training, how it is made, and whether it is one that was Lab's own."""
    if type(scaler).__name__ in LABS:
        dynamic = type(scaler).__name__ == "DynamicScaler"
        names = ("scale_by", "factor", "interval", "least") if dynamic else ("scale_by",)
        settings = ", ".join(f"{name}={getattr(scaler, name)!r}" for name in names)
        kind = "MovingLossScale" if dynamic else "LossScale"
        return {"labs": True, "class": kind, "made": f"{kind}({settings})", "device": device}
    settings = (
        f"init_scale={scaler.scale_by}, growth_factor={scaler.growth}, backoff_factor={scaler.backoff}, "
        f"growth_interval={scaler.interval}"
    )
    made = f'torch.amp.GradScaler("{device}", {settings})'
    return {"labs": False, "class": "torch.amp.GradScaler", "made": made, "device": device}


def scalers_of(trainer: Any) -> dict[str, dict[str, Any]]:
    """Those of a generator and its critic, by role; there is no autocast around them."""
    configs = {role: getattr(one, "config", one) for role, one in trainer.optimizer.optimizers.items()}
    found = {role: getattr(getattr(config, "gradients", None), "scaler", None) for role, config in configs.items()}
    return {role: scaling(one, getattr(one, "device", "cpu")) for role, one in found.items() if one is not None}
