"""Generated configs of values and builder dicts: what is typed, written and read again is what the file says."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import attrs
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.tests.config.config_files import round_trip
from lab_bridge.config import read_config, typed
from lab_bridge.config.home_grown import Setting

SOURCE = """
class Block:
    def __init__(self, width, act=None, inner=None, rate=0.1):
        raise RuntimeError("read, not run")

class Plain:
    pass

def build(kind, kwargs):
    if kind == "block":
        return Block(**kwargs)
    if kind == "plain":
        return Plain()
"""
KEYS = st.sampled_from(["a", "b", "lr", "width", "items", "copy", "x1", "Name"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "relu", "1e-3", "yes", "null", "3", "a: b", "x # y", "OWN", "ü", "[1]"]),
)


#: LightningCLI's parser tries the parts of a union in turn, so builders hold builders here, never a section or text.
BLOCKS = st.recursive(
    st.fixed_dictionaries({"type": st.just("block"), "args": st.fixed_dictionaries({"width": st.integers()})}),
    lambda inner: st.fixed_dictionaries(
        {"type": st.just("block"), "args": st.fixed_dictionaries({"width": st.integers(), "inner": inner})}
    ),
    max_leaves=3,
)


def _sections(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    plain = st.just({"type": "plain", "args": {}})
    return st.one_of(st.dictionaries(KEYS, inner, min_size=1, max_size=4), st.lists(LEAVES, max_size=3), BLOCKS, plain)


CONFIGS = st.dictionaries(KEYS, st.recursive(LEAVES, _sections, max_leaves=8), min_size=1, max_size=4)


def said(value: Any) -> Any:
    """A typed config as the file spelled it."""
    if attrs.has(type(value)):
        fields = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
        kept = {name: said(inner) for name, inner in fields.items() if repr(inner) != "OWN"}
        if type(value).__name__ == "Block":
            return {"type": "block", "args": {key: kept[key] for key in ("width", "inner") if kept[key] is not None}}
        return {"type": "plain", "args": {}} if type(value).__name__ == "Plain" else kept
    if isinstance(value, list | tuple):
        return [said(item) for item in value]
    return {key: said(item) for key, item in value.items()} if isinstance(value, dict) else value


def without_none(value: Any) -> Any:
    """The file without arguments that are None, which `said` leaves out."""
    if isinstance(value, dict) and value.get("type") == "block":
        given = {key: without_none(inner) for key, inner in value["args"].items() if inner is not None}
        return {"type": "block", "args": given}
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items()}
    return [without_none(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(config={"a": [0.0, "1e-3"]})
@example(config={"items": [True, "yes", 3, "3", None, "null"]})
@given(config=CONFIGS)
def test_a_generated_config_means_what_the_file_says(config: dict[str, Any]) -> None:
    """In the typed tree, in YAML, with the schema module, and in LightningCLI's parser."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "nets.py").write_text(SOURCE, encoding="utf-8")
        path = Path(folder, "c.json")
        path.write_text(json.dumps(config), encoding="utf-8")
        document = read_config(path, setting=Setting(project=Path(folder)))
        assert said(typed(document)) == without_none(config)
        round_trip(document, "generated")
