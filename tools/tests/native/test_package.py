"""Level L3: what the native training is called."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

from .conftest import TRAIN

NAMES = {
    "blobs-v2": "blobs_v2",
    "3layers": "training_3layers",
    "class": "class_training",
    "lightning": "lightning_training",
    "random": "random_training",
    "train": "train_training",
    "native_project": "native_project_training",
    "xxhash": "xxhash_training",
    "parts": "parts_training",
    "---": "training",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_package_has_a_name_that_nothing_else_has(native: Any, name: str) -> None:
    """After its config: one that Python can import, and that hides no module of Python's, of others or of its own."""
    root = native.project(train=TRAIN.replace("blobs.gin", f"{name}.gin"))
    (root / "blobs.gin").rename(root / f"{name}.gin")
    (root / "more.py").write_text("import xxhash.something\n")
    (root / "parts").mkdir()
    (root / "parts" / "one.py").write_text("")
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings
    after = {one.path: one.after for one in conversion.changes}
    assert f"from {NAMES[name]}.module import Lit" in after["train.py"]
    assert f"{NAMES[name]}/module.py" in after
