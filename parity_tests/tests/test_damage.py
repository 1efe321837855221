"""Damaged traces: a clear error, or the whole steps before the damage; never a wrong verdict."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import lab_parity
from lab_parity import TraceError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "damaged_traces.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The benchmark that does the same at 1,000 places."""
    spec = importlib.util.spec_from_file_location("damaged_traces", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_damage_at_140_places_is_never_a_wrong_verdict(script: ModuleType, tmp_path: Path) -> None:
    """Twenty of each kind: cut, changed, overwritten, zeroed, cut out, put in, repeated."""
    found = script.run(tmp_path, 140, seed=1)
    outcomes = {said for counts in found.values() for said in counts}
    assert outcomes <= {"a clear error", "inconclusive", "identical", "unharmed"}
    assert {"a clear error", "inconclusive"} <= outcomes


def test_a_changed_environment_is_damage(script: ModuleType, tmp_path: Path) -> None:
    """The head has a check of its own: a run is not given another machine."""
    path = script.recorded(tmp_path / "a.trace")
    content = path.read_bytes()
    name = lab_parity.read(path).environment["version.python"].encode()
    path.write_bytes(content.replace(name, b"0" * len(name), 1))
    with pytest.raises(TraceError, match="its head is damaged"):
        lab_parity.read(path)
