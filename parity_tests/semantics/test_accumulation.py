"""Accumulation: how several losses become one update."""

from __future__ import annotations

import pytest

from semantics.harness import Parity


def every(count: int, **settings: str) -> list[str]:
    """Bindings of an accumulation."""
    return [
        "Adam.accumulate = @Accumulation()",
        f"Accumulation.every = {count}",
        *(f"Accumulation.{name} = {value!r}" for name, value in settings.items()),
    ]


@pytest.mark.parametrize("count", [2, 3])
def test_mean_over_k(parity: Parity, count: int) -> None:
    """Mean: each loss is divided by K before its backward pass.

    Seam: the legacy optimizer owns backward; one Lightning batch is one legacy step.

    Twin: the loss is not divided.
    """
    parity.identical(*every(count))
    parity.diverges(every(count), every(count, form="sum"), phase="loss", step=0)


def test_sum(parity: Parity) -> None:
    """Sum: no mean is taken.

    Seam: the legacy optimizer owns backward.

    Twin: the mean is taken.
    """
    parity.identical(*every(3, form="sum"))
    parity.diverges(every(3, form="sum"), every(3), phase="loss", step=0)


def test_sum_then_gradients_over_k(parity: Parity) -> None:
    """Sum, then the gradients are divided by K.

    Seam: the legacy optimizer owns the division; K=3 makes it differ from dividing each loss.

    Twin: each loss is divided instead.
    """
    parity.identical(*every(3, form="grads"))
    parity.diverges(every(3, form="grads"), every(3), phase="loss", step=0)


@pytest.mark.parametrize("form", ["mean", "grads"])
def test_leftover_over_its_count(parity: Parity, form: str) -> None:
    """The window that an epoch's end cuts short is updated with, divided by its actual count.

    Seam: the legacy loader signals the epoch's end, the legacy optimizer counts.

    Twin: divided by K.
    """
    right = every(3, form=form, leftover="count")
    parity.identical(*right)
    parity.diverges(right, every(3, form=form, leftover="step"), phase="grad", step=2)


def test_leftover_as_if_whole(parity: Parity) -> None:
    """The window that an epoch's end cuts short is updated with, divided by K all the same.

    Seam: the legacy loader signals the epoch's end.

    Twin: carried over instead.
    """
    right = every(3, leftover="step")
    parity.identical(*right)
    parity.diverges(right, every(3, leftover="carry"), step=2)


def test_leftover_dropped(parity: Parity) -> None:
    """The window that an epoch's end cuts short is thrown away.

    Seam: the legacy optimizer zeroes what it has.

    Twin: carried over instead.
    """
    right = every(3, leftover="drop")
    parity.identical(*right)
    parity.diverges(right, every(3, leftover="carry"), step=2)


def test_leftover_carried_over(parity: Parity) -> None:
    """The window that an epoch's end cuts short is filled up in the next epoch.

    Seam: the legacy optimizer's own counter; Lightning sees no epochs at all.

    Twin: stepped instead.
    """
    right = every(3, leftover="carry")
    parity.identical(*right)
    parity.diverges(right, every(3, leftover="step"), step=2)
