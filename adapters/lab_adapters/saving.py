"""Checkpoints between two steps, in the legacy format, under the names that legacy tools and hooks look for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lab_adapters.protocols import Metrics

if TYPE_CHECKING:
    from lab_adapters.block_module import BlockModule


@attrs.frozen
class Saving:
    """Every `every` steps `module.save(<run_dir>/<name>)`; hooks that have `after_save` are told."""

    every: int = attrs.field(validator=attrs.validators.gt(0))
    name: str = "step_{step:08d}.lab"

    def __call__(self, module: BlockModule, metrics: Metrics) -> None:
        """Save if it is time."""
        if module.step % self.every:
            return
        path = module.run_dir / self.name.format(step=module.step)
        module.save(path)
        for hook in module.hooks:
            if hasattr(hook, "after_save"):
                hook.after_save(module, path)
