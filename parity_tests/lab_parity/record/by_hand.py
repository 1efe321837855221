"""Updates that no optimizer makes: `p.data -= lr * p.grad` in a loop, or an optimizer that nobody told us about.

Seen are the leaves that a backward pass reached, or of which `torch.autograd.grad` gave gradients: where their bits
have changed by the time the program goes on (its next forward call or backward pass in training, or its end), that was
an update. Looked for only until the first update of an optimizer that is known; a program that has one pays nothing
more.

The first change of all is in doubt. A climb to where the loss is worst (sharpness-aware minimisation) is taken back
before the optimizer that is known makes its update, and is a part of that step. It was an update where another change
follows, or that optimizer goes on from it, or the program ends.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import attrs
import torch
from torch import Tensor

from lab_parity.digest import digest_tensor
from lab_parity.record.own import own

__all__ = ["ByHand", "leaves_of"]

_ROUNDED = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


class _Listener(Protocol):
    """What is told of changes; each follows the one that it is about."""

    def see_by_hand(self, by_hand: ByHand) -> None:
        """A backward pass has ended, or gradients have changed since."""

    def write_by_hand(self, by_hand: ByHand, in_doubt: bool) -> None:
        """The leaves have changed since: an update, or what may turn out to be none."""

    def settle_doubt(self, was_update: bool) -> None:
        """What was in doubt is in doubt no more."""


@attrs.frozen(slots=True, eq=False)
class _Doubt:
    """A change that may be taken back: what was changed, from what, to what."""

    leaves: list[Tensor]
    before: tuple[Tensor, ...]
    moved: tuple[Tensor, ...]

    def is_taken_back(self) -> bool:
        """Whether all is where it was, but for what adding and subtracting again rounds."""
        return all(map(_is_back, self.leaves, self.before, self.moved))


class ByHand:
    """Stands for the optimizer that a program does not have, and is laid out like one."""

    def __init__(self, listener: _Listener) -> None:
        self._listener = listener
        self._leaves: list[weakref.ref[Tensor]] = []
        self._held: list[Tensor] = []
        self._before: list[bytes] = []
        self._values: tuple[Tensor, ...] = ()
        self._doubt: _Doubt | None = None
        self._certain = False
        self._over = False
        self.gradients: dict[int, Tensor] = {}

    @property
    def groups(self) -> list[dict[str, Any]]:
        """One group: the leaves of the last backward pass, as far as they are alive."""
        leaves = [leaf for leaf in (known() for known in self._leaves) if leaf is not None]
        return [{"params": leaves, "gradients": bool(self.gradients)}]

    def after_backward(self, roots: Any) -> None:
        """A backward pass from `roots` has ended."""
        if self._over:
            return
        self.gradients = {}
        self._watch([leaf for leaf in leaves_of(roots) if leaf.grad is not None and leaf.untyped_storage().size()])

    def after_gradients(self, leaves: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """`torch.autograd.grad` has given the program these gradients of these leaves."""
        if not self._over:
            known = [pair for pair in zip(leaves, gradients, strict=True) if pair[1] is not None]
            self.gradients = {id(leaf): gradient.detach() for leaf, gradient in known if gradient is not None}
            self._watch([leaf for leaf, _ in known])

    def _watch(self, leaves: list[Tensor]) -> None:
        self._leaves = list(map(weakref.ref, leaves))
        self._held = leaves  # until it is known whether they change: a program may end right after its last update
        self._before = list(map(digest_tensor, leaves))
        self._values = () if self._certain or self._doubt is not None else _values(leaves)
        if leaves:
            self._listener.see_by_hand(self)

    def look_again(self) -> None:
        """The program has changed the gradients that the last backward pass left."""
        if self._before:
            self._listener.see_by_hand(self)

    def settle(self) -> None:
        """The program goes on: what has changed by now was an update, if nothing takes it back."""
        changed = False
        if self._before:
            before, self._before = self._before, []
            leaves = self.groups[0]["params"]
            changed = len(leaves) == len(before) and list(map(digest_tensor, leaves)) != before
        if self._doubt is not None:
            back = self._doubt.is_taken_back()
            if back or changed:
                self._settle_doubt(was_update=not back)
            changed = changed and not back
        if changed:
            if not self._certain:
                self._doubt = _Doubt(self._held, self._values, _values(self._held))
            self._listener.write_by_hand(self, not self._certain)
        self._held, self._values = [], ()
        self.gradients = {}

    def end(self) -> None:
        """The program ends: what nothing has taken back was an update."""
        self.settle()
        if self._doubt is not None:
            self._settle_doubt(was_update=True)

    def give_way(self) -> None:
        """An optimizer that is known makes the updates, this one first."""
        if self._over:
            return
        self._over = True
        if self._doubt is not None:
            self._settle_doubt(was_update=not self._doubt.is_taken_back())
        self._leaves, self._held, self._before, self._values = [], [], [], ()

    def _settle_doubt(self, was_update: bool) -> None:
        self._doubt, self._certain = None, was_update
        self._listener.settle_doubt(was_update)


def _values(leaves: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Copies; in no list, which would be taken for an average that the program keeps."""
    return tuple(own(_local(leaf).clone()) for leaf in leaves)


def _local(tensor: Tensor) -> Tensor:
    """The tensor without autograd; of a distributed one this rank's shard."""
    local = getattr(tensor, "to_local", None)
    return tensor.detach() if local is None else local().detach()


def _is_back(leaf: Tensor, before: Tensor, moved: Tensor) -> bool:
    now = _local(leaf)
    if now.shape != before.shape or torch.equal(now, before):
        return now.shape == before.shape
    if now.dtype not in _ROUNDED or torch.equal(now, moved):
        return False
    # Each of both sums is rounded by half a unit in its last place.
    slack = torch.maximum(before.abs(), moved.abs()) * torch.finfo(now.dtype).eps
    return bool(((now - before).abs() <= slack).all())


def leaves_of(roots: Any) -> Iterator[Tensor]:
    """The leaves of a graph, each once, in the order of a walk from its roots."""
    listed = [roots] if isinstance(roots, Tensor) else list(roots)
    waiting: list[Any] = [root.grad_fn for root in reversed(listed) if isinstance(root, Tensor)]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor) and type(node).__name__ == "AccumulateGrad":
            yield leaf
        waiting += [child for child, _ in reversed(node.next_functions)]
