"""Update formulas of home-grown optimizers on lists of tensors, operation for operation as their loops do them.

A rule is bitwise its loop because it gives every tensor the same operations in the same order, and torch's foreach
operations on the CPU are the single ones, called from C++. What may differ is who else goes through an operation at
the same time. Two things make that cheap:

- A number is handed over as a tensor of shape `()`. Given a Python number, foreach makes such a tensor for each
  element of the list, which costs more than the arithmetic.
- Operations that IEEE 754 rounds correctly (`/`, `+`, `sqrt`) give an element the same result wherever it lies, so
  they run once over a whole chunk, laid end to end in a scratch buffer. Those that may or may not be contracted into a
  fused multiply-add (`addcmul`, `addcdiv`, `add` with `alpha`) depend on where in its tensor an element lies: they
  see the tensors as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

__all__ = ["Chunk", "Rule", "adam_eps_under_root", "sgd_lr_in_momentum"]


@attrs.define(slots=True, eq=False)
class Chunk:
    """Parameters of one dtype that go through an update together, with all that it reads and writes."""

    params: list[Tensor]
    grads: list[Tensor]
    slots: list[list[Tensor]]  #: for each of the rule's keys, the parameters' state tensors
    matrices: list[Tensor]  #: the parameters of two or more dimensions
    scratch: Tensor  #: `(numel of all,)`
    pieces: list[Tensor]  #: views of it, shaped and laid out as the parameters

    def number(self, value: float) -> Tensor:
        """A number as an operation on this chunk's dtype reads it: float32 for narrower ones."""
        dtype = torch.float64 if self.scratch.dtype == torch.float64 else torch.float32
        return torch.tensor(value, dtype=dtype)


@attrs.frozen(slots=True)
class Rule:
    """A formula. `apply` gets a chunk, the group's hyperparameters and the number of updates done."""

    slots: Sequence[str]  #: the keys of the state that it keeps per parameter, zeros at first
    hyper: Sequence[str]  #: the hyperparameters that it reads: numbers, or tuples of numbers
    apply: Callable[[Chunk, Mapping[str, Any], int], None]
    #: The same formula for one tensor in one pass, given `numbers`; compiled, so its roundings are its own. Slots,
    #: gradient and parameter are contiguous, of one shape; the numbers a tensor `(n,)` of their dtype.
    one_pass: Callable[[Tensor, Tensor, list[Tensor], Tensor], None]
    #: What `one_pass` reads: from hyperparameters, updates done and whether decay is for this tensor.
    numbers: Callable[[Mapping[str, Any], int, bool], list[float]]


def _adam_eps_under_root(chunk: Chunk, hyper: Mapping[str, Any], steps: int) -> None:
    lr, (beta1, beta2), eps, decay = hyper["lr"], hyper["betas"], hyper["eps"], hyper["decay"]
    correction1, correction2 = 1 - beta1 ** (steps + 1), 1 - beta2 ** (steps + 1)
    m, v = chunk.slots
    torch._foreach_mul_(m, chunk.number(beta1))
    torch._foreach_add_(m, chunk.grads, alpha=1 - beta1)
    torch._foreach_mul_(v, chunk.number(beta2))
    torch._foreach_addcmul_(v, chunk.grads, chunk.grads, value=1 - beta2)
    if decay and chunk.matrices:
        torch._foreach_mul_(chunk.matrices, chunk.number(1 - lr * decay))
    torch._foreach_copy_(chunk.pieces, v)
    chunk.scratch.div_(correction2).add_(eps).sqrt_()
    torch._foreach_addcdiv_(chunk.params, m, chunk.pieces, value=-lr / correction1)


def _sgd_lr_in_momentum(chunk: Chunk, hyper: Mapping[str, Any], steps: int) -> None:
    lr, momentum, decay = hyper["lr"], hyper["momentum"], hyper["decay"]
    (m,) = chunk.slots
    torch._foreach_mul_(m, chunk.number(momentum))
    torch._foreach_add_(m, chunk.grads, alpha=lr)
    if decay and chunk.matrices:
        torch._foreach_mul_(chunk.matrices, chunk.number(1 - lr * decay))
    torch._foreach_sub_(chunk.params, m)


def _adam_one_pass(parameter: Tensor, gradient: Tensor, slots: list[Tensor], numbers: Tensor) -> None:
    beta1, new1, beta2, new2, keep, correction2, eps, step = numbers.unbind()
    m, v = slots
    m.mul_(beta1).add_(gradient * new1)
    v.mul_(beta2).add_(gradient * gradient * new2)
    parameter.mul_(keep).add_(m / (v / correction2 + eps).sqrt() * step)


def _adam_numbers(hyper: Mapping[str, Any], steps: int, decays: bool) -> list[float]:
    lr, (beta1, beta2) = hyper["lr"], hyper["betas"]
    keep = 1 - lr * hyper["decay"] if decays else 1.0
    correction1, correction2 = 1 - beta1 ** (steps + 1), 1 - beta2 ** (steps + 1)
    return [beta1, 1 - beta1, beta2, 1 - beta2, keep, correction2, hyper["eps"], -lr / correction1]


def _sgd_one_pass(parameter: Tensor, gradient: Tensor, slots: list[Tensor], numbers: Tensor) -> None:
    momentum, lr, keep = numbers.unbind()
    (m,) = slots
    m.mul_(momentum).add_(gradient * lr)
    parameter.mul_(keep).sub_(m)


def _sgd_numbers(hyper: Mapping[str, Any], steps: int, decays: bool) -> list[float]:
    return [hyper["momentum"], hyper["lr"], 1 - hyper["lr"] * hyper["decay"] if decays else 1.0]


#: `m = β1·m + (1-β1)·g; v = β2·v + (1-β2)·g²; p *= 1 - lr·decay` where p is a matrix;
#: `p -= lr/(1-β1ᵗ) · m / sqrt(v/(1-β2ᵗ) + eps)`.
adam_eps_under_root = Rule(
    ("m", "v"), ("lr", "betas", "eps", "decay"), _adam_eps_under_root, _adam_one_pass, _adam_numbers
)

#: `m = momentum·m + lr·g; p *= 1 - lr·decay` where p is a matrix; `p -= m`.
sgd_lr_in_momentum = Rule(("m",), ("lr", "momentum", "decay"), _sgd_lr_in_momentum, _sgd_one_pass, _sgd_numbers)
