"""Copies of the parameters in one vector, as `torch.nn.utils.parameters_to_vector` makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor, nn

from lab_parity.record.copies import Copy, same_memory
from lab_parity.record.live import Live
from lab_parity.record.naming import Alike, Whole, are_copies

__all__ = ["Flat", "flats"]


@attrs.frozen(slots=True, eq=False)
class Flat(Copy):
    """A `Copy` whose container is a vector, and whose places are a slice of it and the parameter's shape."""

    def _now(self, places: Mapping[str, tuple[int, Any]]) -> Iterator[tuple[str, Tensor]]:
        for path, (which, (part, shape)) in places.items():
            vector = self.containers[which]
            if isinstance(vector, Tensor) and vector.ndim == 1 and len(vector) >= part.stop:
                yield path, vector.detach()[part].view(shape)


def flats(trained: Sequence[Whole], live: Live, alike: Alike | None = None) -> list[Copy]:
    """Vectors that hold a bitwise copy of each parameter, all of `trained`'s or all that are trained, in their order.

    `alike` asks for something else than copies.
    """
    wanted: dict[int, list[dict[str, Tensor]]] = {}
    for whole in trained:
        once: dict[int, tuple[str, Tensor]] = {}  # as `parameters()` gives tied ones
        for path, tensor in whole.parameters.items():
            once.setdefault(id(tensor), (whole.prefix + path, tensor))
        named = dict(once.values())
        some = {path: tensor for path, tensor in named.items() if tensor.requires_grad}
        for parameters in (named, some):
            if len(parameters) > 1 and all(map(_is_plain, parameters.values())):
                length = sum(tensor.numel() for tensor in parameters.values())
                wanted.setdefault(length, []).append(parameters)
    found: dict[int, Copy] = {}
    for vector in live.vectors_of(wanted) if wanted else ():
        for parameters in wanted[len(vector)]:
            flat = _flat(vector, parameters)
            held = [tensor for _, tensor in flat.tensors()]
            if not any(map(same_memory, held, parameters.values())) and (alike or are_copies)(held, parameters):
                found.setdefault(id(vector), flat)
    return list(found.values())


def _is_plain(parameter: Tensor) -> bool:
    """Whether it has a size: one that is still to be made has none."""
    return type(parameter) is nn.Parameter and parameter.is_floating_point()


def _flat(vector: Tensor, parameters: Mapping[str, Tensor]) -> Flat:
    places: dict[str, tuple[int, Any]] = {}
    start = 0
    for path, parameter in parameters.items():
        end = start + parameter.numel()
        places[path] = 0, (slice(start, end), parameter.shape)
        start = end
    return Flat((vector,), places)
