"""Updates that no optimizer makes: `p.data -= lr * p.grad` in a loop, or an optimizer that nobody told us about.

Seen are the leaves that a backward pass reached, or of which `torch.autograd.grad` gave gradients: where their bits
have changed by the time the program goes on (its next forward call or backward pass in training, or its end), that was
an update. Looked for only until the first update of an optimizer that is known; a program that has one pays nothing
more.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from lab_parity.digest import digest_tensor

__all__ = ["ByHand", "leaves_of"]


class ByHand:
    """Stands for the optimizer that a program does not have, and is laid out like one.

    `see` is called when a backward pass has ended, `write` when the leaves have changed since.
    """

    def __init__(self, see: Callable[[ByHand], None], write: Callable[[ByHand], None]) -> None:
        self._see = see
        self._write = write
        self._leaves: list[weakref.ref[Tensor]] = []
        self._held: list[Tensor] = []
        self._before: list[bytes] = []
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
        if leaves:
            self._see(self)

    def look_again(self) -> None:
        """The program has changed the gradients that the last backward pass left."""
        if self._before:
            self._see(self)

    def settle(self) -> None:
        """The program goes on: what has changed by now was an update."""
        if self._before:
            before, self._before = self._before, []
            leaves = self.groups[0]["params"]
            if len(leaves) == len(before) and list(map(digest_tensor, leaves)) != before:
                self._write(self)
        self._held = []
        self.gradients = {}

    def give_way(self) -> None:
        """An optimizer that is known makes the updates."""
        self._over = True
        self._leaves, self._held, self._before = [], [], []


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
