"""Shapes without the batch dimension, and the error that names where two of them disagree."""

from __future__ import annotations

#: A shape without the batch dimension: `(C, H, W)` for images, `(T, D)` for sequences, `(D,)` for vectors.
Shape = tuple[int, ...]


class ShapeError(ValueError):
    """A block cannot take the shape it is given; raised before any tensor is allocated."""

    def __init__(self, path: str, expected: str, found: object, next_step: str) -> None:
        super().__init__(f"{path}: expected {expected}, found {found}; {next_step}")
        self.path, self.expected, self.found, self.next_step = path, expected, found, next_step


def require_rank(path: str, shape: Shape, rank: int, layout: str) -> None:
    """Raise `ShapeError` unless `shape` has `rank` dimensions, called `layout` in the message."""
    if len(shape) != rank:
        raise ShapeError(path, f"input {layout}", shape, "put a Reshape, Pool or Embedding block before it")


def require_divisible(path: str, size: int, divisor: int, what: str, setting: str) -> None:
    """Raise `ShapeError` unless `divisor` divides `size`."""
    if divisor < 1 or size % divisor:
        raise ShapeError(path, f"{what} divisible by {setting}={divisor}", size, f"change {setting} or the width")
