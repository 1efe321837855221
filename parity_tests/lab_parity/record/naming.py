"""Names of parameters and buffers as module paths, found without the program's help.

Modules are found among Python's live objects (only when a parameter turns up that has no name yet, so it costs
nothing per step). The name is the path from the outermost module that holds the tensor.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

import attrs
import torch
from torch import Tensor, nn

from lab_parity.digest import digest_tensor
from lab_parity.record.live import Live
from lab_parity.record.walk import buffers, modules, parameters

__all__ = [
    "UNNAMED",
    "Alike",
    "Names",
    "Twin",
    "Whole",
    "are_copies",
    "is_copy",
    "is_drawn",
    "twins",
    "wholes",
]

UNNAMED = "unnamed."
"""Before the number of a tensor that no module holds."""

_ROUNDED = 8
"""Units in the last place by which an average of two equal numbers may be off."""


class Names:
    """Tensor -> name. A tensor that no module holds gets `unnamed.<n>`, n counted in order of appearance.

    Tied weights carry all their names, joined by `|`. Where one set of parameters lies in several outermost
    modules whose paths collide, the class name of the module and its number come first: `Encoder#0.weight`.
    """

    def __init__(self) -> None:
        self._names: dict[int, tuple[weakref.ref[Tensor], str]] = {}
        self._unnamed = 0
        self._prefixes: weakref.WeakKeyDictionary[nn.Module, str] = weakref.WeakKeyDictionary()

    def prefix(self, root: nn.Module) -> str:
        """What stands before the paths in an outermost module: nothing, or its class and number with a dot."""
        return self._prefixes.get(root, "")

    def of(self, tensor: Tensor) -> str | None:
        """The tensor's name, or None if it was never resolved."""
        known = self._names.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def tensors(self) -> list[Tensor]:
        """All that have a name and are still there."""
        return [tensor for tensor in (known() for known, _ in self._names.values()) if tensor is not None]

    def resolve(self, tensors: Sequence[Tensor], live: Live, fallback: Sequence[str | None] = ()) -> list[str]:
        """Names of the tensors, in their order; `fallback` names those that no module holds, None where it cannot."""
        names = [self.of(tensor) for tensor in tensors]
        if None in names:
            self._learn(tensors, live, fallback)
            names = [self.of(tensor) for tensor in tensors]
        return [name for name in names if name is not None]

    def _learn(self, tensors: Sequence[Tensor], live: Live, fallback: Sequence[str | None]) -> None:
        wanted = {id(tensor) for tensor in tensors}
        found: dict[int, list[str]] = {}
        owners = [
            (root, [(path, tensor) for path, tensor in parameters(root) if id(tensor) in wanted])
            for root in live.holding(tensors)
        ]
        # Two holders of one model call the same things the same.
        named = {(path, id(tensor)) for _, inside in owners for path, tensor in inside}
        collide = len(named) != len({path for path, _ in named})
        for number, (root, inside) in enumerate(owners):
            prefix = f"{type(root).__name__}#{number}." if collide else ""
            self._prefixes.setdefault(root, prefix)
            for path, tensor in inside:
                found.setdefault(id(tensor), []).append(prefix + path)
        for position, tensor in enumerate(tensors):
            if self.of(tensor) is not None:
                continue
            name = "|".join(dict.fromkeys(found.get(id(tensor), ())))
            if not name:
                given = fallback[position] if position < len(fallback) else None
                name = given or f"{UNNAMED}{self._unnamed}"
                self._unnamed += given is None
            self._names[id(tensor)] = (weakref.ref(tensor), name)


@attrs.frozen(slots=True, eq=False)
class Whole:
    """A module that holds all that is trained of an outermost one, and what stands before its parameters' paths."""

    prefix: str
    module: nn.Module

    @property
    def parameters(self) -> dict[str, Tensor]:
        """By their paths inside it."""
        return dict(parameters(self.module))


def wholes(roots: Sequence[nn.Module], tensors: Iterable[Tensor], prefixes: Sequence[str] = ()) -> list[Whole]:
    """Each of `roots`, the modules in it that hold all it has of `tensors`, and their parts: what a program may copy.

    A framework's shell holds a backbone and a predictor, of which the backbone alone has a copy. `prefixes` stand
    before the paths in the roots.
    """
    wanted = {id(tensor) for tensor in tensors}
    found = []
    for number, root in enumerate(roots):
        before = prefixes[number] if prefixes else ""
        paths = [path.split(".")[:-1] for path, parameter in parameters(root) if id(parameter) in wanted]
        shared = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))]
        inner = dict(modules(root))  # of a wrapper and the module in it, the latter
        for end in range(len(shared) + 1):
            prefix = "".join(f"{part}." for part in shared[:end])
            found.append(Whole(before + prefix, inner.get(prefix.removesuffix("."), root)))
        for part in dict.fromkeys(names[len(shared)] for names in paths if len(names) > len(shared)):
            module = inner.get(f"{prefix}{part}")
            if module is not None and any(map(is_drawn, module.parameters())):
                found.append(Whole(f"{before}{prefix}{part}.", module))
    return found


def is_drawn(parameter: Tensor) -> bool:
    """Whether it tells a module from others: norms and biases begin alike."""
    try:
        return parameter.ndim > 1 and bool((parameter != parameter.reshape(-1)[0]).any())
    except (RuntimeError, IndexError, NotImplementedError):
        return False


@attrs.frozen(slots=True, eq=False)
class Twin:
    """A module that was a copy of a trained one; `prefix` stands before its parameters' paths."""

    _module: weakref.ref[nn.Module]
    prefix: str

    @property
    def module(self) -> nn.Module | None:
        """The module, as long as somebody holds it."""
        return self._module()

    @property
    def alive(self) -> bool:
        """Whether anybody still holds the module."""
        return self._module() is not None

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """(path of the parameter, its copy), as they are now."""
        module = self.module
        if module is not None:
            yield from ((self.prefix + path, parameter) for path, parameter in parameters(module))

    def buffers(self) -> Iterator[tuple[str, Tensor]]:
        """The same of its buffers."""
        module = self.module
        if module is not None:
            yield from ((self.prefix + path, buffer) for path, buffer in buffers(module))


Alike = Callable[[Sequence[Tensor], Mapping[str, Tensor]], bool]
"""Whether tensors, in the order of parameters, are a copy of these, or what else is looked for."""


def twins(trained: Sequence[Whole], live: Live, alike: Alike | None = None) -> list[Twin]:
    """Live modules that are copies of one of `trained`, by their parameters: averages, targets.

    Bitwise, or but for rounding: a momentum encoder that a forward call updates has been averaged once with what it is
    a copy of. Inside another module (a framework's shell holds model and average), too, where they are of one class.
    `alike` asks for something else than copies.
    """
    wanted = [(whole, found) for whole in trained if (found := whole.parameters)]
    kinds = {id(type(whole.module)) for whole, _ in wanted}
    copied: list[Twin] = []
    for outer in live.outermost if wanted else ():
        inside: list[str] = []
        for path, module in modules(outer):
            if path and (id(type(module)) not in kinds or any(f"{path}.".startswith(f"{above}.") for above in inside)):
                continue
            mine = dict(parameters(module))
            whole = next((whole for whole, other in wanted if _copies(mine, other, alike)), None)
            if whole is not None:
                copied.append(Twin(weakref.ref(module), whole.prefix))
                if not path:
                    break
                inside.append(path)
    return copied


def _copies(a: dict[str, Tensor], b: dict[str, Tensor], alike: Alike | None) -> bool:
    if alike is not None:
        return a.keys() == b.keys() and alike([a[path] for path in b], b)
    return a.keys() == b.keys() and all(is_copy(a[path], b[path]) or _is_rounded(a[path], b[path]) for path in a)


def _is_rounded(a: Tensor, b: Tensor) -> bool:
    """Whether they are two tensors that differ by rounding alone."""
    try:
        if a is b or a.dtype != b.dtype or a.shape != b.shape or a.device != b.device or not a.is_floating_point():
            return False
        return torch.allclose(a.detach(), b.detach(), rtol=_ROUNDED * torch.finfo(a.dtype).eps, atol=0.0)
    except (TypeError, RuntimeError, NotImplementedError):
        return False


def is_copy(a: Tensor, b: Tensor) -> bool:
    """Whether they are two tensors of the same bits."""
    try:
        if a is b or a.dtype != b.dtype or a.shape != b.shape or a.device != b.device or a.layout != b.layout:
            return False
        return digest_tensor(a) == digest_tensor(b)
    except (TypeError, RuntimeError):
        return False  # a compiler keeps stand-ins of parameters, which have no bits


def are_copies(tensors: Sequence[Tensor], wanted: Mapping[str, Tensor]) -> bool:
    """Whether each is a copy of the parameter in its place."""
    return all(map(is_copy, tensors, wanted.values()))
