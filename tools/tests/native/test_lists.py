"""Level L3: a list of the config is a list in the native training, and a tuple a tuple."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

PICKED = """\
from collections.abc import Sequence

import gin
import torch

from native_project import Specks


@gin.configurable
class Picked(Specks):
    def __init__(self, rows: Sequence[int] = (), more=None, pair=(), named=None):
        super().__init__()
        self.points[rows] += 1.0
        self.points[more] -= 1.0
"""
SETTINGS = (
    "train/Loader.dataset = @Picked()", "Picked.rows = [0, 2]", "Picked.more = [1, 3]", "Picked.pair = (1, [2, 3])",
    "Picked.named = {'a': [1], 'b': (1,)}",
)  # fmt: skip


def test_each_is_spelled_as_it_is(native: Any) -> None:
    """Also where the class asks for any sequence, and further in."""
    root = native.project(*SETTINGS)
    (root / "own.py").write_text(PICKED)
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings
    (data,) = [one.after for one in conversion.changes if one.path == "blobs/data.py"]
    made = "".join(data[data.index("Picked(") :].split("self.config")[0].split())
    assert 'rows=[0,2],more=[1,3],pair=(1,[2,3]),named={"a":[1],"b":(1,)}' in made


@pytest.mark.parametrize("rows", ["[0, 2]", "(0, 2)"])
def test_a_list_of_rows_has_the_bits(native: Any, rows: str) -> None:
    """Torch takes a tuple for one element's place."""
    native.more["picked.py"] = PICKED
    with native.registered("picked"):
        native.identical(*SETTINGS, f"Picked.rows = {rows}")
