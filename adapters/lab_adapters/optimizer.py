"""A legacy optimizer as Lightning sees it: there, readable, saved and loaded, but never stepped by Lightning."""

from __future__ import annotations

from typing import Any, NoReturn

import torch

from lab_adapters.protocols import LegacyOptimizer, OptimizerAssumptions, require

#: In place of a legacy state: the legacy training has loaded it, and a second time would take the memory twice.
LOADED = "loaded by the legacy training"


class OptimizerAdapter(torch.optim.Optimizer):
    """A `torch.optim.Optimizer` in front of an optimizer that owns backward, accumulation, clipping and update.

    `param_groups` is the legacy optimizer's own list, live, so that learning-rate monitors read the truth;
    `state_dict` is the legacy state. `step` refuses: the legacy `step(loss)` is called by the legacy step, and a
    second update would be a silent difference.
    """

    def __init__(
        self,
        legacy: LegacyOptimizer,
        assumptions: OptimizerAssumptions | None = None,
        path: str = "optimizer",
    ) -> None:
        assumptions = assumptions or OptimizerAssumptions()
        require(LegacyOptimizer, legacy, path)
        if not assumptions.owns_backward:
            raise ValueError(
                f"{path}: expected step(loss) to own backward; hand a torch optimizer to Lightning as it is"
            )
        groups: Any = legacy.groups
        if not (isinstance(groups, list) and all(isinstance(one, dict) and "params" in one for one in groups)):
            raise TypeError(
                f"{path}.groups: expected a list of dicts with params and hyperparameters, found "
                f"{type(groups).__qualname__}; e.g. [{{'params': list(model.parameters()), 'lr': lr}}]"
            )
        self.legacy, self.assumptions = legacy, assumptions
        super().__init__([{"params": list(group["params"])} for group in legacy.groups], {})
        # Optimizer.__init__ copies the groups; Lightning's monitors must read the legacy ones.
        self.param_groups = legacy.groups

    def step(self, closure: Any = None) -> NoReturn:
        """Refuse."""
        raise RuntimeError("the legacy optimizer updates inside the legacy step; call training.train_step() instead")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Nothing: the legacy optimizer zeroes after its own update, in its own way."""

    def state_dict(self) -> dict[str, Any]:
        """The legacy state, under one key."""
        return {"legacy": self.legacy.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` gave. Raises `KeyError` for the state of a torch optimizer."""
        if "legacy" not in state_dict:
            raise KeyError(
                f"optimizer state: expected the key 'legacy', found {', '.join(state_dict)}; "
                "this checkpoint was written without the adapter"
            )
        if state_dict["legacy"] != LOADED:
            self.legacy.load_state(state_dict["legacy"])
