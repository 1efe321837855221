"""Sparse gradients: compared by value, as the dense ones that they stand for; one side alone having them is a note."""

from __future__ import annotations

import json
from collections.abc import Iterable

import torch
from torch import Tensor

from lab_parity.digest import digest_bytes
from lab_parity.listing import some_of
from lab_parity.trace import Step

__all__ = ["sparse_alone", "sparse_texts"]

_FIELD = "sparse gradients"


def sparse_texts(gradients: Iterable[tuple[str, Tensor | None]]) -> dict[bytes, str]:
    """What the first step of an optimizer says of its gradients; nothing where all are dense."""
    names = [name for name, gradient in gradients if gradient is not None and gradient.layout != torch.strided]
    text = json.dumps({_FIELD: names})
    return {digest_bytes(text.encode()): text} if names else {}


def sparse_alone(a: Step, b: Step) -> str:
    """A note on two steps of which one alone has sparse gradients; or nothing."""
    names = [_sparse(step) for step in (a, b)]
    if bool(names[0]) == bool(names[1]):
        return ""
    which = "first" if names[0] else "second"
    return (
        f"gradients are sparse in the {which} run alone ({some_of(names[0] or names[1])}); they were compared by value"
    )


def _sparse(step: Step) -> list[str]:
    found = [json.loads(text) for text in step.texts.values() if text.startswith(f'{{"{_FIELD}"')]
    return [str(name) for each in found for name in each[_FIELD]]
