"""What a model's layers hold, as torch saves it, whatever the program's own `state_dict` and `load_state_dict` do.

A program's own may take another form (a whole checkpoint file's), leave out what it can build again, or load only what
fits: made for its own files, not for going on where a training stood.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

__all__ = ["fits", "layers_of", "put_apart", "put_layers", "say_tied"]


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
    """Load what `layers_of` gave. Raises `RuntimeError` where the model has other layers.

    A buffer that was made in `torch.inference_mode()`, as a running mean of observations is, is filled in that mode.
    """
    tensors = (*model.parameters(), *model.buffers())
    with torch.inference_mode(any(tensor.is_inference() for tensor in tensors)):
        Module.load_state_dict(model, state)


def fits(model: Module, state: Mapping[str, Any]) -> bool:
    """Whether the model has just the layers, in their shapes, that `layers_of` gave."""
    shapes = ({key: getattr(one, "shape", None) for key, one in each.items()} for each in (layers_of(model), state))
    return next(shapes) == next(shapes)


def put_apart(loaded: Iterable[tuple[Module, Mapping[str, Any]]]) -> None:
    """Give memory of its own to what shares it when the program begins, and had other values by the checkpoint.

    As spectral normalization's `register_buffer("weight", weight_orig.data)` does, or a teacher's `p.data = q.data`,
    before either is bound to its own result: what was loaded last is in both.
    """
    sharing: dict[int, list[tuple[Tensor, Tensor]]] = {}
    for pair in (pair for model, state in loaded for pair in _pairs(model, state)):
        sharing.setdefault(pair[0].untyped_storage().data_ptr(), []).append(pair)
    for pairs in sharing.values():
        if len(pairs) > 1 and not all(_same(*pair) for pair in pairs):
            # A parameter may lie in a flat tensor of the program's: it moves where nothing else helps.
            for tensor, value in pairs:
                if not isinstance(tensor, Parameter):
                    tensor.data = value.to(tensor, copy=True)
            kept = [pair for pair in pairs if isinstance(pair[0], Parameter)]
            for tensor, value in kept:
                tensor.data.copy_(value)
            for tensor, value in kept:
                if not _same(tensor, value):
                    tensor.data = value.to(tensor, copy=True)


def say_tied(loaded: Iterable[tuple[Module, Mapping[str, Any]]]) -> None:
    """Warn of parameters that were one when they were saved, and are several where the program begins.

    As `model.inner = model.outer` in the training leaves them. torch saves and loads what shares memory as such.
    """
    for model, state in loaded:
        own = dict(model.named_parameters())
        tied: dict[tuple[Any, ...], list[str]] = {}
        for name in own:
            value = state.get(name)
            if isinstance(value, Tensor) and value.layout == torch.strided and value.numel():
                place = (value.untyped_storage().data_ptr(), value.storage_offset(), value.shape, value.stride())
                tied.setdefault(place, []).append(name)
        for names in tied.values():
            memory = {own[name].untyped_storage().data_ptr() for name in names}
            if len(memory) > 1:
                warnings.warn(
                    f"resume: {' and '.join(names)} were one parameter when the checkpoint was written, and are "
                    f"{len(memory)} where the program begins: the training changed which layers the model has; resume "
                    "from a checkpoint before that",
                    stacklevel=2,
                )


def _pairs(model: Module, state: Mapping[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """What lies in memory, and the value that was loaded."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        value = state.get(name)
        plain = type(tensor) in (Tensor, Parameter) and tensor.layout == torch.strided and tensor.device.type != "meta"
        if isinstance(value, Tensor) and plain and tensor.numel():
            yield tensor, value


def _same(tensor: Tensor, value: Tensor) -> bool:
    """Bit by bit: nothing equals NaN."""
    one, other = (part.detach().contiguous().reshape(-1).view(torch.uint8) for part in (tensor, value.to(tensor)))
    return torch.equal(one, other)
