"""The state of a training, taken and put back: what models, optimizers and schedules hold, and what its loops carry."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import keystr, tree_leaves_with_path

from lab_adapters.outlined.carried import Carried
from lab_adapters.outlined.forms import PLAIN
from lab_adapters.outlined.found import Found
from lab_adapters.outlined.groups import grouped, put_groups
from lab_adapters.outlined.held import say_not_seen
from lab_adapters.outlined.hooks import hooks_of, put_hooks
from lab_adapters.outlined.in_place import in_place
from lab_adapters.outlined.layers import fits, layers_of, put_apart, put_layers, say_tied
from lab_adapters.outlined.names import is_foreign
from lab_adapters.outlined.packing import every
from lab_adapters.outlined.scripted import say_compiled_anew
from lab_adapters.outlined.slot import Slot
from lab_adapters.outlined.standing import tensor_at
from lab_adapters.outlined.state_dicts import storable, stored
from lab_adapters.outlined.tensors import tensor_of
from lab_adapters.outlined.told import told_by

__all__ = ["models_of", "put_models", "put_state", "state_of", "stepped_of", "tensors_of"]


def models_of(found: Found) -> dict[str, Any]:
    """The models' own states, each key below the path by which the loop knows the model."""
    return {f"{path}.{key}": value for path, model in found.modules.items() for key, value in layers_of(model).items()}


def put_models(found: Found, state: Mapping[str, Any], as_they_are: bool = False) -> None:
    """Load them; `as_they_are` those whose layers are the state's. Raises `KeyError` for a model that the state lacks.

    And for one that it has with other layers.
    """
    own: dict[str, dict[str, Any]] = {path: {} for path in found.modules}
    for key, value in state.items():
        # A model that another one holds beside its parts (`self.others = [net]`) has a longer path.
        paths = [path for path in own if key.startswith(f"{path}.")]
        if paths:
            path = max(paths, key=len)
            own[path][key.removeprefix(f"{path}.")] = value
    for path, model in found.modules.items():
        if not own[path] and layers_of(model):
            raise KeyError(f"checkpoint: expected the model {path}, found {', '.join(sorted(state))[:200]}")
        if as_they_are and not fits(model, own[path]):
            continue
        try:
            put_layers(model, own[path])
        except RuntimeError as error:
            raise KeyError(
                f"checkpoint: the model {path}: expected the layers that it was saved with, found others: {error}; "
                "where the training itself changes its layers, resume from a checkpoint before that"
            ) from None
    loaded = [(model, own[path]) for path, model in found.modules.items()]
    put_apart(loaded)
    say_tied(loaded)


def state_of(found: Found, carried: Carried, bodies: list[Any], also: Collection[str] = ()) -> dict[str, Any]:
    """All but the models' own states and the generators. `also` are paths of what is carried in any case."""
    tensors = {**_saved_by(_states(found)), **tensors_of(found)}
    taken = carried.state(bodies, tensors, found.loaders, also)
    return {
        "optimizers": {path: storable(optimizer.state_dict()) for path, optimizer in found.optimizers.items()},
        "stepped": stepped_of(found),
        "groups": grouped(
            found.optimizers, {id(tensor): name for name, tensor in tensors_of(found).items()}, taken.told
        ),
        "others": {path: _stored_by(other) for path, other in found.others.items()},
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
        "hooks": hooks_of(found),
        "carried": taken.values,
        "structures": taken.structures,
        "functions": sorted(taken.walk.through),
        "not seen": taken.walk.ended_at,
        "told": told_by({path: one for path, one in taken.walk.owners.items() if carried.was_there(one)}),
    }


def put_state(found: Found, carried: Carried, bodies: list[Any], state: dict[str, Any]) -> list[str]:
    """Put it back; the paths of carried values that have no place. Raises `KeyError` where something else has none."""
    made: dict[int, Tensor] = {}
    lookup = _tensors_told(carried, bodies, state["carried"], made)
    put_groups(found.optimizers, state.get("groups", {}), tensors_of(found), lookup)
    saved = {}
    with in_place(found.optimizers.values()):
        for kind, objects in (("optimizers", found.optimizers), ("others", found.others)):
            for path, one in state[kind].items():
                if one is None:
                    continue
                saved[path] = stored(one)
                known = _known(objects, path, kind, state.get("kinds", {}))
                try:
                    _load(known, saved[path])
                except KeyError as error:
                    raise ValueError(
                        f"resume: {path}: expected a state that {type(known).__name__} can load, found one without "
                        f"{error}, which it asks for; where the training itself makes it another, "
                        "make it so before the loop, or resume from a checkpoint before that"
                    ) from error
    for path in state["stepped"]:
        found.optimizers[path]._opt_called = True
    for path, model in found.modules.items():
        for name, parameter in model.named_parameters():
            _put_grad(parameter, state["grads"].get(f"{path}.{name}"))
    tensors = tensors_of(found)
    for name, trains in state.get("requires_grad", {}).items():
        if name in tensors and tensors[name].is_leaf:
            tensors[name].requires_grad_(trains)
    put_hooks(found, state.get("hooks", {}))
    say_not_seen(state.get("not seen", ""))
    say_compiled_anew(found.modules)
    carried.made_late.clear()
    return carried.restore(
        bodies,
        state["carried"],
        {**_saved_by(saved), **_saved_by(_states(found)), **tensors},
        found.loaders,
        state.get("functions", ()),
        made,
    )


def _tensors_told(
    carried: Carried, bodies: list[Any], state: Mapping[str, Any], made: dict[int, Tensor]
) -> Callable[[dict[str, Any]], Tensor | None]:
    """Finds the tensor that stands in a slot, or makes, in `made`, the one of a number."""

    @functools.cache
    def there() -> dict[str, Slot]:
        return carried.places_of(bodies, state)[0]

    @functools.cache
    def numbered() -> dict[int, dict[str, Any]]:
        return {one["number"]: one for one in every(list(state.values())) if one["kind"] == "tensor"}

    def find(told: dict[str, Any]) -> Tensor | None:
        if "slot" in told:
            return tensor_at(there(), told)
        number = told.get("number")
        if number is None:
            return None
        if number in numbered() and number not in made:
            # What was made with it stays what it is known by: the key of a weak dictionary, say.
            late = carried.made_late.get(number)
            packed = numbered()[number]
            made[number] = tensor_of({**packed, "stays": packed["stays"] or late is not None}, late, "")
        return made.get(number)

    return find


def tensors_of(found: Found) -> dict[str, Tensor]:
    """The models' parameters and buffers, by the models' paths and their own names in them; all that they save."""
    return {
        f"{path}.{name}": tensor
        for path, model in found.modules.items()
        for name, tensor in (*model.named_parameters(), *model.named_buffers())
        if not _is_left_out(model, name)
    }


def _is_left_out(model: torch.nn.Module, name: str) -> bool:
    """Whether it is a buffer that is not persistent."""
    above, _, own = name.rpartition(".")
    part: torch.nn.Module = model
    for child in above.split(".") if above else ():
        part = getattr(part, child)  # a scripted module has no get_submodule
    return own in part._non_persistent_buffers_set


def _stored_by(other: Any) -> Any:
    """Its state; None where that holds objects which no checkpoint does: then its attributes are all that is kept."""
    state = storable(other.state_dict())
    plain = all(isinstance(leaf, (*PLAIN, Tensor)) for _, leaf in tree_leaves_with_path(state))
    return state if plain or is_foreign(other) else None


def _load(one: Any, saved: Any) -> None:
    """Some refuse a state that they have not grown to yet (ignite's metrics); their attributes are carried anyway."""
    try:
        one.load_state_dict(saved)
    except Exception:
        if is_foreign(one) or isinstance(one, torch.optim.Optimizer):
            raise


def _put_grad(parameter: Tensor, grad: Tensor | None) -> None:
    """In the gradient that the program has made, if it is there: it may lie in one buffer with all others."""
    if grad is None or parameter.grad is None or parameter.grad.shape != grad.shape:
        parameter.grad = grad.to(parameter.device) if grad is not None else None
    else:
        parameter.grad.copy_(grad)


def _saved_by(states: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of optimizers and of what else saves itself: where the program holds them, too, they are those."""
    return {
        f"{path}{keystr(keys)}": leaf
        for path, state in states.items()
        for keys, leaf in tree_leaves_with_path(state)
        if isinstance(leaf, Tensor)
    }


def _states(found: Found) -> dict[str, Any]:
    return {path: one.state_dict() for path, one in {**found.others, **found.optimizers}.items()}


def stepped_of(found: Found) -> list[str]:
    """Optimizers that have stepped: schedules warn where they step before their optimizer ever did."""
    return [path for path, one in found.optimizers.items() if getattr(one, "_opt_called", False)]


def _known(objects: Mapping[str, Any], path: str, kind: str, kinds: Mapping[str, str]) -> Any:
    if path not in objects:
        raise KeyError(
            f"checkpoint: {kind} {path}: expected it in the loop's scope, found {', '.join(objects) or 'none'}; where "
            "the training itself makes it on its way, make it before the loop, or resume from a checkpoint before that"
        )
    name = type(objects[path]).__name__
    if kinds.get(path, name) != name:
        raise KeyError(
            f"checkpoint: {kind} {path}: expected {kinds[path]}, as it was saved, found {name}; where the training "
            "goes over from one to the other on its way, resume from a checkpoint before that"
        )
    return objects[path]
