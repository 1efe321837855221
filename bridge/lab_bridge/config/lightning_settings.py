"""LightningCLI's own keys for a Lab training, written out where a default of Lightning's would change something."""

from __future__ import annotations

from collections.abc import Mapping

from lab_bridge.config.nodes import Call, Entries, Leaf, Node, literal

__all__ = ["lightning_settings"]


def lightning_settings(trainer: Call) -> Mapping[str, Node]:
    """`seed_everything` and `trainer` for LightningCLI, so that Lightning draws, logs and checks nothing of its own."""
    device = trainer.arguments.get("device")
    name = str(device.value) if isinstance(device, Leaf) else "cpu"
    kind, _, index = name.partition(":")
    settings: dict[str, object] = {
        "accelerator": "gpu" if kind == "cuda" else kind,
        "devices": [int(index)] if index else 1,
        "max_epochs": 1,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
    }
    made = {key: literal(value) for key, value in settings.items()}
    if "steps" in trainer.arguments:
        made["max_steps"] = trainer.arguments["steps"]
    return {"seed_everything": Leaf(False), "trainer": Entries(made)}
