"""What a model's layers hold, as torch saves it, whatever the program's own `state_dict` and `load_state_dict` do.

A program's own may take another form (a whole checkpoint file's), leave out what it can build again, or load only what
fits: made for its own files, not for going on where a training stood.
"""

from __future__ import annotations

from typing import Any

from torch.nn import Module

__all__ = ["layers_of", "put_layers"]


def layers_of(model: Module) -> dict[str, Any]:
    """The state of all layers, by torch's `state_dict`; that of a part with one of its own as well."""
    state: dict[str, Any] = Module.state_dict(model)
    for path, part in model.named_modules(remove_duplicate=False):
        if path and type(part).state_dict is not Module.state_dict:
            for key in [key for key in state if key.startswith(f"{path}.")]:
                del state[key]
            state.update(Module.state_dict(part, prefix=f"{path}."))
    return state


def put_layers(model: Module, state: dict[str, Any]) -> None:
    """Load what `layers_of` gave. Raises `RuntimeError` where the model has other layers."""
    Module.load_state_dict(model, state)
