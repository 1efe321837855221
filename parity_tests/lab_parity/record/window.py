"""What is collected of one step that is captured, until it has been written."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from torch import Tensor, nn

from lab_parity.record.capture_file import CapturedStep, Key5
from lab_parity.record.modes import Modes
from lab_parity.record.own import own

__all__ = ["Call", "Finished", "KeptForward", "Window", "clone", "same_values"]


@attrs.define(slots=True, eq=False)
class Call:
    """One call of one module; the module is held until the step has been written."""

    module: nn.Module
    training: bool
    outputs: dict[str, Tensor]
    layout: str


@attrs.define(slots=True, eq=False)
class KeptForward:
    """What is kept of one outermost forward call until it is known whether it was training."""

    states: dict[str, Tensor]
    arguments: list[tuple[str, str, Tensor]] = attrs.field(factory=list)
    calls: list[Call] = attrs.field(factory=list)
    modes: Modes = attrs.field(factory=Modes)
    buffers: dict[int, Tensor] = attrs.field(factory=dict)


@attrs.define(slots=True, eq=False)
class Window:
    """What has been seen since the last step; parameters, buffers and their gradients by id.

    `values` are the parameters at the first backward pass, `moved` those that are others at a later one. `modes` are
    those of the outermost calls, the first one of all that had no graph. `earlier` are gradients of leaves that the
    optimizers which have stepped since the last backward pass do not have. `held` are the numbers that modules, by id,
    and None for the optimizer, held at first; `sparse` the parameters whose gradients the update finds sparse.
    """

    tensors: dict[Key5, Tensor] = attrs.field(factory=dict)
    before: dict[Key5, Tensor] = attrs.field(factory=dict)
    hyper: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    buffers: dict[int, Tensor] = attrs.field(factory=dict)
    gradients: dict[tuple[int, int, str], Tensor] = attrs.field(factory=dict)
    calls: list[tuple[int, Call]] = attrs.field(factory=list)
    states_at_backward: dict[str, Tensor] = attrs.field(factory=dict)
    values: dict[int, Tensor] = attrs.field(factory=dict)
    moved: dict[tuple[int, int], Tensor] = attrs.field(factory=dict)
    modes: list[Modes] = attrs.field(factory=lambda: [Modes()])
    earlier: dict[tuple[int, int, str], Tensor] = attrs.field(factory=dict)
    held: dict[int | None, str] = attrs.field(factory=dict)
    sparse: list[str] = attrs.field(factory=list)

    def goes_on(self, later: Window, micro: int) -> None:
        """What `later` has seen belongs to this step, too, behind its first `micro` backward passes."""
        for key, tensor in later.tensors.items():
            self.tensors[key._replace(micro=key.micro + micro) if key.micro >= 0 else key] = tensor
        self.buffers = later.buffers | self.buffers
        self.held = later.held | self.held
        for (number, leaf, moment), gradient in later.gradients.items():
            self.gradients[number + micro, leaf, moment] = gradient
        self.calls += [(number + micro, call) for number, call in later.calls]
        self.states_at_backward = later.states_at_backward
        self.modes += later.modes
        at_first = {(0, leaf): value for leaf, value in later.values.items()}
        for (number, leaf), value in (at_first | later.moved).items():
            if not same_values(self.values.setdefault(leaf, value), value):
                self.moved[number + micro, leaf] = value


@attrs.frozen(slots=True, eq=False)
class Finished:
    """A step that has ended, and what had been seen until then; `captured` is None where nobody asked for the step."""

    window: Window
    captured: CapturedStep | None


def clone(tensor: Tensor) -> Tensor:
    """A dense, contiguous copy in main memory; of a distributed tensor the local shard."""
    local = getattr(tensor, "to_local", None)
    plain = tensor.detach() if local is None else local().detach()
    if plain.layout != torch.strided:
        plain = plain.to_dense()
    copy: Tensor = torch.empty_like(plain, device="cpu", memory_format=torch.contiguous_format).as_subclass(Tensor)
    return own(copy.copy_(plain.resolve_conj().resolve_neg()))


def same_values(a: Tensor, b: Tensor) -> bool:
    """Whether two copies are equal, NaN being equal to NaN."""
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
