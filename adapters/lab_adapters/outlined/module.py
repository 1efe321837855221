"""The LightningModule of an outlined loop, and what its checkpoints hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import lightning.pytorch as pl
from torch import Tensor

from lab_adapters.generators import generator_states, set_generator_states
from lab_adapters.outlined.flow import answer_of
from lab_adapters.outlined.resume import OUTLINED_KEY, Resume
from lab_adapters.outlined.state import models_of, put_models, put_state
from lab_adapters.outlined.told import put_untold, say_untold
from lab_adapters.outlined.unreadable import say_unreadable
from lab_adapters.progress import count_step, resume_at

if TYPE_CHECKING:
    from lab_adapters.outlined.driver import Driver


class Keys(NamedTuple):
    """What `load_state_dict` returns in torch: nothing missing, nothing unexpected; else it raises."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class OutlinedModule(pl.LightningModule):
    """A LightningModule whose training step is one iteration of a legacy loop.

    The models, optimizers and schedules that the loop uses are not submodules: Lightning would move them and switch
    their modes. They are found in the loop's own scope, and saved and loaded with the checkpoint, and with them what
    the loop carries from one iteration to the next, gradients, generators, and the place in every loop of the nest.
    """

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        self.automatic_optimization = False
        object.__setattr__(self, "driver_", driver)

    @property
    def driver(self) -> Driver:
        """Who runs the legacy code."""
        found: Driver = self.__dict__["driver_"]
        return found

    def training_step(self, token: int, batch_idx: int) -> None:
        """Run the iteration that the token loader has just taken."""
        for _ in range(self.driver.run()):
            count_step(self.trainer)

    def configure_optimizers(self) -> list[Any]:
        """None for Lightning to step: the legacy loop steps its own."""
        return []

    # ---- checkpoints

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The models of the loop, each under the path by which the loop knows it."""
        return models_of(self.driver.found_now())

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the models. Raises `KeyError` for a model that the file lacks.

        One that has had other layers by then gets them, and is loaded, where the training goes on.
        """
        put_models(self.driver.found_now(), state_dict, as_they_are=True)
        return Keys([], [])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add all that is not a model; say what no run can resume from."""
        state = self.driver.state()
        extra = {key: one for key, one in checkpoint["state_dict"].items() if not isinstance(one, Tensor)}
        say_unreadable({**extra, **state["optimizers"], **state["others"]})
        checkpoint[OUTLINED_KEY] = {
            **state,
            "rng": generator_states(),
            "fit": self.driver.ordinal,
            "batches": self.trainer.fit_loop.epoch_loop.batch_progress.state_dict()["current"]["processed"],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make ready to go on where the checkpoint stopped.

        Raises `KeyError` for a file of something else, `ValueError` for one from where no run can go on.
        """
        if OUTLINED_KEY not in checkpoint:
            raise KeyError(
                f"checkpoint: expected the key {OUTLINED_KEY!r}, found {', '.join(checkpoint)}; "
                "resume from a checkpoint that this program wrote under Lightning"
            )
        state = checkpoint[OUTLINED_KEY]
        if state.get("between") or not state["places"]:
            raise ValueError(
                "resume: expected a checkpoint that was written in a loop, found one from after a function's loops had "
                "ended, or from where the program had just handled an error; resume from an earlier one"
            )
        models = dict(checkpoint["state_dict"])
        self.driver.places.resume = Resume(
            state["places"],
            lambda: self._restore(state, models),
            lambda held: self._make(state, models, held),
            lambda owner: self.driver.carried.restore_below(self.driver.places.bodies, state["carried"], owner),
            state["carried"],
            answer_of(state.get("ended")),
            self.driver.changed_tensors,
        )
        resume_at(checkpoint, self.trainer, checkpoint["global_step"], state["batches"])

    def _make(self, state: dict[str, Any], models: dict[str, Any], held: Mapping[str, Any]) -> None:
        """What the training had made of what was held earlier, with the models as the checkpoint has them."""
        if made := self.driver.make_late(state, held):
            found = self.driver.found_now()
            late = {path for path in found.modules if any(name.startswith(f"{path}.") for name in made)}
            modules = {path: model for path, model in found.modules.items() if path in late}
            put_models(attrs.evolve(found, modules=modules), models)

    def _restore(self, state: dict[str, Any], models: dict[str, Any]) -> list[str]:
        """Everything, at the place where the checkpoint was written; the generators last. Returns what has no place."""
        self.driver.make_late(state)
        found = self.driver.found_now()
        put_models(found, models)
        nowhere = put_state(found, self.driver.carried, self.driver.places.bodies, state)
        set_generator_states(state["rng"])
        if told := state.get("told"):
            owners = self.driver.carried.places_of(self.driver.places.bodies, {})[1].owners
            if untold := put_untold(owners, told):
                # The program's code may have changed them, and drawn.
                put_models(found, models)
                set_generator_states(state["rng"])
                say_untold(owners, told, untold)
        return nowhere
