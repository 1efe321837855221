"""A home-grown optimizer's update through torch's foreach operations, bitwise that of its own per-parameter loop.

`by_foreach(optimizer, rule)` gives the object a class that differs in `update` only. Many small parameters then go
through each operation together, in chunks that stay in the cache; the loop spends most of its time on them between
operations. A parameter that is large, or in any way unusual, goes through the optimizer's own loop, and so do all of
a group whose hyperparameters are not plain numbers.

`fused=True` takes the large ones through a compiled kernel instead, in one pass over the memory. That one rounds
where the compiler likes: it is not bitwise the loop, and a choice of its own.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs
import torch
from torch import Tensor, nn

from lab_adapters.foreach_rules import Chunk, Rule

__all__ = ["LoopedOptimizer", "by_foreach", "is_worth_it"]

#: Bytes that the update of one chunk touches. Measured (docs/benchmarks.md): as fast from 0.5 to 4 MiB; much less
#: pays for more calls, much more leaves the cache.
CHUNK_BYTES = 1 << 20
#: Fewer tensors than this are faster one by one.
FEWEST = 4
#: Fewer small parameters than this gain less than the plan costs. Measured inside a training step, where the caches
#: are not the update's own.
WORTH_IT = 16

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_PLAN = "_foreach_plan"


class LoopedOptimizer(Protocol):
    """An optimizer whose `update` loops over `groups` and skips parameters without gradient.

    `groups` hold "params", their "names" and hyperparameters; `slots` is `{name: {key: state tensor}}`.
    """

    groups: list[dict[str, Any]]
    slots: dict[str, dict[str, Tensor]]
    steps: int

    def update(self) -> None:
        """Change every parameter that has a gradient."""
        ...

    def slot(self, name: str, like: Tensor, *keys: str) -> list[Tensor]:
        """A parameter's state tensors, made where they are missing."""
        ...


def by_foreach(optimizer: Any, rule: Rule, fused: bool = False) -> None:
    """Let `optimizer` (a `LoopedOptimizer`) update by `rule`, which must be the formula of its own `update`.

    Bitwise its loop, unless `fused` (see above; the first update compiles, which needs a C++ compiler).

    The object stays the same; its class becomes a subclass of its class, so whoever watches that class's `update`
    (a recorder) sees this one. Copies and pickles of it are of its own class, with the loop.
    """
    cls = type(optimizer)

    def update(self: Any) -> None:
        plan = vars(self).setdefault(_PLAN, _Plan(rule, fused))
        plan.update(self, super(made, self).update)

    def reduce_ex(self: Any, protocol: Any) -> Any:
        return _restored, (cls, {name: value for name, value in vars(self).items() if name != _PLAN})

    made: Any = type(cls.__name__, (cls,), {"update": update, "__reduce_ex__": reduce_ex, "__doc__": cls.__doc__})
    optimizer.__class__ = made


def is_worth_it(optimizer: LoopedOptimizer, rule: Rule) -> bool:
    """Whether the optimizer has enough parameters of a size that goes faster together."""
    sizes = [
        parameter.numel() * parameter.element_size() * (3 + len(rule.slots))
        for group in optimizer.groups
        for parameter in group["params"]
    ]
    return bool(sum(FEWEST * size <= CHUNK_BYTES for size in sizes) >= WORTH_IT)


def _restored(cls: Any, state: dict[str, Any]) -> Any:
    """What copies and pickles are made by."""
    optimizer: Any = cls.__new__(cls)
    optimizer.__dict__.update(state)
    return optimizer


@attrs.define(slots=True, eq=False)
class _Part:
    """A chunk as it was planned: which parameters of its group, and what does not change from step to step."""

    names: list[str]
    params: list[Tensor]
    slots: list[list[Tensor]]
    matrices: list[Tensor]
    scratch: Tensor
    pieces: list[Tensor]

    def stands(self, slots: Mapping[str, Mapping[str, Tensor]], keys: Sequence[str]) -> bool:
        """Whether the optimizer's state still is the tensors that the chunk was planned with."""
        return all(
            name in slots and slots[name].get(key) is planned
            for key, tensors in zip(keys, self.slots, strict=True)
            for name, planned in zip(self.names, tensors, strict=True)
        )


@attrs.define(slots=True, eq=False)
class _Plan:
    """Which parameters of which group go through the foreach operations together, and which through the loop."""

    rule: Rule
    fused: bool
    seen: list[list[int]] = attrs.field(factory=list)
    parts: list[list[_Part]] = attrs.field(factory=list)  #: by group
    large: list[list[_Member]] = attrs.field(factory=list)  #: by group; those of a fused update
    rest: list[tuple[list[str], list[Tensor]]] = attrs.field(factory=list)  #: by group

    def update(self, optimizer: LoopedOptimizer, loop: Callable[[], None]) -> None:
        """One update of every parameter that has a gradient."""
        keys, slots = self.rule.slots, optimizer.slots
        # A parameter's storage, or that it has no gradient: when these change, so may all that the plan rests on.
        try:
            seen = [[p.data_ptr() if p.grad is not None else -1 for p in group["params"]] for group in optimizer.groups]
        except RuntimeError:  # a tensor without storage of its own
            loop()
            return
        if seen != self.seen or not all(part.stands(slots, keys) for parts in self.parts for part in parts):
            self._make(optimizer)
            self.seen = seen
        looped: list[dict[str, Any]] = []
        for group, parts, large, (names, params) in zip(
            optimizer.groups, self.parts, self.large, self.rest, strict=True
        ):
            if not (parts or large) or not all(_is_plain(group[name]) for name in self.rule.hyper):
                looped.append(group)
                continue
            for part in parts:
                grads: Any = [parameter.grad for parameter in part.params]
                chunk = Chunk(part.params, grads, part.slots, part.matrices, part.scratch, part.pieces)
                self.rule.apply(chunk, group, optimizer.steps)
            for member in large:
                self._in_one_pass(member, group, optimizer.steps)
            if params:
                looped.append({**group, "params": params, "names": names})
        if looped:
            groups = optimizer.groups
            optimizer.groups = looped
            try:
                loop()
            finally:
                optimizer.groups = groups

    def _in_one_pass(self, member: _Member, group: Mapping[str, Any], steps: int) -> None:
        gradient = member.parameter.grad
        assert gradient is not None
        numbers = self.rule.numbers(group, steps, member.parameter.dim() >= 2)
        _compiled(self.rule.one_pass)(
            member.parameter.detach().view(-1),
            gradient.view(-1),
            [slot.view(-1) for slot in member.slots],
            torch.tensor(numbers, dtype=member.parameter.dtype),
        )

    def _make(self, optimizer: LoopedOptimizer) -> None:
        self.parts, self.large, self.rest = [], [], []
        shared = _overlapping([p for group in optimizer.groups for p in group["params"]])
        scratch: dict[torch.dtype, Tensor] = {}
        for group in optimizer.groups:
            together: dict[torch.dtype, list[_Member]] = {}
            large: list[_Member] = []
            rest: list[tuple[str, Tensor]] = []
            for name, parameter in zip(group["names"], group["params"], strict=True):
                if parameter.grad is None:
                    continue
                # In the order of the loop, also for those that it will see later: states list them in this order.
                member = _Member(name, parameter, optimizer.slot(name, parameter, *self.rule.slots))
                if id(parameter) in shared or not member.is_ordinary():
                    rest.append((name, parameter))
                elif member.bytes > CHUNK_BYTES:
                    if self.fused and member.is_contiguous():
                        large.append(member)
                    else:
                        rest.append((name, parameter))
                else:
                    together.setdefault(parameter.dtype, []).append(member)
            parts: list[_Part] = []
            for dtype, members in together.items():
                for chunk in _chunks(members):
                    if len(chunk) < FEWEST:
                        rest += [(member.name, member.parameter) for member in chunk]
                        continue
                    if dtype not in scratch:
                        most = CHUNK_BYTES // (dtype.itemsize * (3 + len(self.rule.slots)))
                        scratch[dtype] = torch.empty(most, dtype=dtype)
                    parts.append(_part(chunk, scratch[dtype]))
            self.parts.append(parts)
            self.large.append(large)
            self.rest.append(([name for name, _ in rest], [parameter for _, parameter in rest]))


@attrs.frozen(slots=True, eq=False)
class _Member:
    """A parameter with its state."""

    name: str
    parameter: Tensor
    slots: list[Tensor]

    @property
    def bytes(self) -> int:
        """What an update touches: parameter, gradient, state, scratch."""
        return self.parameter.numel() * self.parameter.element_size() * (3 + len(self.slots))

    def is_ordinary(self) -> bool:
        """Whether every operation gives it the same bits in a chunk as alone."""
        parameter, gradient = self.parameter, self.parameter.grad
        assert gradient is not None
        return (
            type(parameter) in (nn.Parameter, Tensor)
            and parameter.dtype in _DTYPES
            # A tensor of shape () takes part in type promotion, and so would the numbers it meets.
            and parameter.dim() > 0
            and self.bytes > 0
            and all(
                type(tensor) in (nn.Parameter, Tensor)
                and (tensor.layout, tensor.device.type) == (torch.strided, "cpu")
                and (tensor.dtype, tensor.shape) == (parameter.dtype, parameter.shape)
                for tensor in (parameter, gradient, *self.slots)
            )
            # Intermediate results are laid out as the state; one with gaps or overlaps would get another layout.
            and all(tensor.stride() == torch.empty_like(tensor, device="meta").stride() for tensor in self.slots)
        )

    def is_contiguous(self) -> bool:
        """Whether it can be seen as a row of numbers of a dtype that a compiled kernel computes in."""
        parameter, gradient = self.parameter, self.parameter.grad
        assert gradient is not None
        return parameter.dtype in (torch.float32, torch.float64) and all(
            tensor.is_contiguous() for tensor in (parameter, gradient, *self.slots)
        )


@functools.cache
def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    compiled: Callable[..., None] = torch.compile(function, fullgraph=True, dynamic=True)
    return compiled


def _chunks(members: Sequence[_Member]) -> Iterator[list[_Member]]:
    chunk: list[_Member] = []
    taken = 0
    for member in members:
        if chunk and taken + member.bytes > CHUNK_BYTES:
            yield chunk
            chunk, taken = [], 0
        chunk.append(member)
        taken += member.bytes
    if chunk:
        yield chunk


def _part(chunk: Sequence[_Member], scratch: Tensor) -> _Part:
    ends = [0]
    for member in chunk:
        ends.append(ends[-1] + member.parameter.numel())
    return _Part(
        names=[member.name for member in chunk],
        params=[member.parameter for member in chunk],
        slots=[list(tensors) for tensors in zip(*(member.slots for member in chunk), strict=True)],
        matrices=[member.parameter for member in chunk if member.parameter.dim() >= 2],
        scratch=scratch[: ends[-1]],
        pieces=[
            scratch.as_strided(member.parameter.shape, member.slots[-1].stride(), start)
            for member, start in zip(chunk, ends[:-1], strict=True)
        ],
    )


def _overlapping(parameters: Sequence[Tensor]) -> set[int]:
    """Ids of parameters whose memory may overlap another's: there the loop's order of updates counts."""
    spans = []
    for parameter in parameters:
        start = parameter.data_ptr()
        reach = sum((size - 1) * stride for size, stride in zip(parameter.shape, parameter.stride(), strict=True))
        spans.append((start, start + (reach + 1) * parameter.element_size(), id(parameter)))
    found: set[int] = set()
    spans.sort()
    latest = spans[0] if spans else (0, 0, 0)
    for span in spans[1:]:
        if span[0] < latest[1]:
            found |= {span[2], latest[2]}
        latest = max(span, latest, key=operator.itemgetter(1))
    return found


def _is_plain(value: Any) -> bool:
    return type(value) in (float, int) or (type(value) is tuple and all(type(part) in (float, int) for part in value))
