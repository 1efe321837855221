"""A strategy that leaves the devices to the legacy code."""

from __future__ import annotations

import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

__all__ = ["FaithfulStrategy"]


class FaithfulStrategy(SingleDeviceStrategy):
    """A single device, which Lightning neither makes the current one nor leaves when a fit ends.

    Its own strategy calls `torch.cuda.set_device`, after which a plain "cuda" means another GPU; and it moves the model
    and the optimizer's state to the CPU at the end, where a legacy program goes on with both.
    """

    def setup_environment(self) -> None:
        """Set the device up; torch's current one stays."""
        current = torch.cuda.current_device() if self.root_device.type == "cuda" else None
        super().setup_environment()
        if current is not None:
            torch.cuda.set_device(current)

    def teardown(self) -> None:
        """End, without the moves."""
        assert self.accelerator is not None
        self.precision_plugin.teardown()
        self.accelerator.teardown()
        self.checkpoint_io.teardown()
