"""The LightningModule of an outlined loop, and what its checkpoints hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import lightning.pytorch as pl
import torch

from lab_adapters.generators import generator_states, set_generator_states
from lab_adapters.outlined.found import Found, find, scope_of
from lab_adapters.outlined.places import Resume
from lab_adapters.outlined.state_dicts import storable, stored
from lab_adapters.progress import count_step, resume_at

if TYPE_CHECKING:
    from lab_adapters.outlined.driver import Driver

#: The key of a Lightning checkpoint under which everything but the models lies.
OUTLINED_KEY = "outlined"


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
        return {
            f"{path}.{key}": value
            for path, model in self._found().modules.items()
            for key, value in model.state_dict().items()
        }

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the models. Raises `KeyError` for a model that the loop no longer has, or that the file lacks."""
        _load_models(self._found(), state_dict)
        return Keys([], [])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add all that is not a model."""
        found = self._found()
        names = {id(tensor): name for name, tensor in _tensors(found).items()}
        loaders = {id(loader): path for path, loader in found.loaders.items()}
        checkpoint[OUTLINED_KEY] = {
            "optimizers": {path: storable(optimizer.state_dict()) for path, optimizer in found.optimizers.items()},
            # Schedules warn where they step before their optimizer ever did.
            "stepped": [path for path, one in found.optimizers.items() if getattr(one, "_opt_called", False)],
            "others": {path: storable(other.state_dict()) for path, other in found.others.items()},
            "kinds": {path: type(one).__name__ for path, one in {**found.optimizers, **found.others}.items()},
            "grads": {
                f"{path}.{name}": parameter.grad.detach().clone()
                for path, model in found.modules.items()
                for name, parameter in model.named_parameters()
                if parameter.grad is not None
            },
            "requires_grad": {
                f"{path}.{name}": parameter.requires_grad
                for path, model in found.modules.items()
                for name, parameter in model.named_parameters()
            },
            "carried": self.driver.carried.state(self._bodies(), names, loaders),
            "places": self.driver.places.state(),
            "rng": generator_states(),
            "fit": self.driver.ordinal,
            "batches": self.trainer.fit_loop.epoch_loop.batch_progress.state_dict()["current"]["processed"],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make ready to go on where the checkpoint stopped. Raises `KeyError` for a file of something else."""
        if OUTLINED_KEY not in checkpoint:
            raise KeyError(
                f"checkpoint: expected the key {OUTLINED_KEY!r}, found {', '.join(checkpoint)}; "
                "resume from a checkpoint that this program wrote under Lightning"
            )
        state = checkpoint[OUTLINED_KEY]
        models = dict(checkpoint["state_dict"])
        self.driver.places.resume = Resume(
            state["places"],
            lambda: self._restore(state, models),
            lambda owner: self.driver.carried.restore_below(self._bodies(), state["carried"], owner),
        )
        resume_at(checkpoint, self.trainer, checkpoint["global_step"], state["batches"])

    def _restore(self, state: dict[str, Any], models: dict[str, Any]) -> None:
        """Everything, at the place where the checkpoint was written; the generators last."""
        found = self._found()
        _load_models(found, models)
        for kind, objects in (("optimizers", found.optimizers), ("others", found.others)):
            for path, saved in state[kind].items():
                _known(objects, path, kind, state.get("kinds", {})).load_state_dict(stored(saved))
        for path in state["stepped"]:
            found.optimizers[path]._opt_called = True
        for path, model in found.modules.items():
            for name, parameter in model.named_parameters():
                grad = state["grads"].get(f"{path}.{name}")
                parameter.grad = grad.to(parameter.device) if grad is not None else None
        tensors = _tensors(found)
        for name, trains in state.get("requires_grad", {}).items():
            if name in tensors and tensors[name].is_leaf:
                tensors[name].requires_grad_(trains)
        self.driver.carried.restore(self._bodies(), state["carried"], tensors, found.loaders)
        set_generator_states(state["rng"])

    def _bodies(self) -> list[Any]:
        return self.driver.places.bodies

    def _found(self) -> Found:
        """Looked for anew, since optimizers may come late; the scope of the whole loop first, so that paths stay."""
        return find(self.driver.scope(), *map(scope_of, self._bodies()))


def _tensors(found: Found) -> dict[str, torch.Tensor]:
    """The models' parameters and buffers, by the models' paths and their own names in them."""
    return {
        f"{path}.{name}": tensor
        for path, model in found.modules.items()
        for name, tensor in (*model.named_parameters(), *model.named_buffers())
    }


def _load_models(found: Found, state: Mapping[str, torch.Tensor]) -> None:
    for path, model in found.modules.items():
        own = {key.removeprefix(f"{path}."): value for key, value in state.items() if key.startswith(f"{path}.")}
        if not own and model.state_dict():
            raise KeyError(f"checkpoint: expected the model {path}, found {', '.join(sorted(state))[:200]}")
        model.load_state_dict(own)


def _known(objects: Mapping[str, Any], path: str, kind: str, kinds: Mapping[str, str]) -> Any:
    if path not in objects:
        raise KeyError(f"checkpoint: {kind} {path}: expected it in the loop's scope, found {', '.join(objects)}")
    name = type(objects[path]).__name__
    if kinds.get(path, name) != name:
        raise KeyError(
            f"checkpoint: {kind} {path}: expected {kinds[path]}, as it was saved, found {name}; where the training "
            "goes over from one to the other on its way, resume from a checkpoint before that"
        )
    return objects[path]
