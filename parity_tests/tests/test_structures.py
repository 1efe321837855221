"""Differences of nested structures that hold tensors."""

from __future__ import annotations

import torch

from lab_parity.structures import difference


def test_equal_structures_have_no_difference() -> None:
    """0-d tensors, on which plain deepdiff fails, included."""
    thing = {"a": [torch.tensor(1.0), torch.ones(3)], "b": None, "nan": torch.tensor(torch.nan)}
    assert difference(thing, {"a": [torch.tensor(1.0), torch.ones(3)], "b": None, "nan": torch.tensor(torch.nan)}) == ""


def test_a_tensor_that_differs_is_named_with_its_distance() -> None:
    """Path, how many elements, by how much."""
    said = difference({"w": [torch.zeros(4)]}, {"w": [torch.tensor([0, 0, 0.5, 0])]})
    assert "['w'][0]" in said
    assert "1 of 4 elements, by up to 0.5" in said


def test_dtype_and_shape_are_part_of_a_tensor() -> None:
    """Equal numbers of another type are another tensor."""
    assert "float64" in difference(torch.ones(2), torch.ones(2, dtype=torch.float64))
    assert "(2, 1)" in difference(torch.ones(2), torch.ones(2, 1))


def test_the_output_is_never_longer_than_asked() -> None:
    """The rest is counted."""
    said = difference({str(n): n for n in range(100)}, {str(n): -n - 1 for n in range(100)}, lines=5)
    assert len(said.splitlines()) == 5
    assert said.endswith("more")


def test_numbers_have_bits_as_tensors_have() -> None:
    """No NaN equals another one in Python, and -0.0 equals 0.0."""
    assert difference({"loss": float("nan"), "best": [1.5]}, {"loss": float("nan"), "best": [1.5]}) == ""
    assert difference({"x": 0.0}, {"x": -0.0}) == "['x'] values changed: 0.0 against -0.0"
