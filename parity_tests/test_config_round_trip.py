"""Configs keep their meaning: on generated gin configs, gin itself, the typed tree and LightningCLI build the same."""

from __future__ import annotations

import contextlib
import functools
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gin
import pytest
import sklearn.datasets
import torch
from hypothesis import HealthCheck, given, note, settings
from lightning.pytorch.cli import LightningArgumentParser

import legacy_lab
from gin_configs import GinConfig, gin_configs
from lab_bridge.config import Document, read_config, typed, write_gin, write_yaml
from lab_bridge.config.build import build
from lab_bridge.config.lab_module import LabModule
from lab_bridge.config.lightning_limits import lightning_limits


@pytest.fixture(scope="module", autouse=True)
def _digits_once() -> Iterator[None]:
    """Parsing scikit-learn's file takes longer than all else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.datasets, "load_digits", functools.cache(sklearn.datasets.load_digits))
        yield


@contextlib.contextmanager
def written(config: GinConfig) -> Iterator[Path]:
    """The config's files in a folder of their own, which is where the program runs."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, text in config.files.items():
            Path(name).write_text(text, encoding="utf-8")
        note(str(config))
        yield Path("main.gin")


def by_gin(path: Path) -> legacy_lab.Trainer:
    """What Lab builds from a gin file."""
    legacy_lab.load_config(path)
    try:
        return legacy_lab.Trainer()
    finally:
        gin.clear_config()


def read(path: Path) -> Document:
    """The config as a document without errors."""
    return read_config(path, project=None).require()


def differing(
    a: Any, b: Any, path: str = "trainer", seen: dict[int, tuple[Any, Any]] | None = None, as_numbers: bool = False
) -> Iterator[str]:
    """Paths at which two object graphs differ: types, attributes, tensors bitwise, and what is shared.

    With `as_numbers` an int may stand for the same float.
    """
    seen = {} if seen is None else seen
    if id(a) in seen and not isinstance(a, int | float | str | bool | tuple | type(None)):
        if seen[id(a)][1] is not b:
            yield f"{path}: shared with something else"
        return
    seen[id(a)] = (a, b)  # both kept, so that no id comes twice
    if as_numbers and {type(a), type(b)} == {int, float} and a == b:
        return
    if type(a) is not type(b):
        yield f"{path}: {type(a).__name__} {a!r} and {type(b).__name__} {b!r}"
    elif isinstance(a, torch.Generator):
        yield from differing(a.get_state(), b.get_state(), f"{path}.state", seen, as_numbers)
    elif isinstance(a, torch.Tensor):
        if a.dtype != b.dtype or not torch.equal(a, b):
            yield f"{path}: tensors"
    elif isinstance(a, dict):
        if list(a) != list(b):
            yield f"{path}: keys {list(a)} and {list(b)}"
        else:
            for key in a:
                yield from differing(a[key], b[key], f"{path}[{key!r}]", seen, as_numbers)
    elif isinstance(a, list | tuple):
        if len(a) != len(b):
            yield f"{path}: {len(a)} and {len(b)} items"
        else:
            for index, (x, y) in enumerate(zip(a, b, strict=True)):
                yield from differing(x, y, f"{path}[{index}]", seen, as_numbers)
    elif callable(a) and hasattr(a, "__closure__") and a.__closure__ is not None:
        cells = [[cell.cell_contents for cell in f.__closure__] for f in (a, b)]
        yield from differing(cells[0], cells[1], f"{path} closure", seen, as_numbers)
    elif hasattr(a, "__dict__") and not isinstance(a, type) and not callable(getattr(a, "__code__", None)):
        yield from differing(vars(a), vars(b), path, seen, as_numbers)
    elif a != b:
        yield f"{path}: {a!r} and {b!r}"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(config=gin_configs())
def test_a_config_means_the_same_in_every_form(config: GinConfig) -> None:
    """gin, the typed tree, YAML, gin again and LightningCLI's own parser: equal configs, and the same training.

    The same training is every object of it: parameters, hyperparameters, loaders, generators, and which are shared.
    """
    with written(config) as path:
        legacy = by_gin(path)
        document = read(path)
        expected = typed(document)
        assert list(differing(legacy, build(expected, document.schema))) == []

        Path("one.yaml").write_text(write_yaml(document), encoding="utf-8")
        assert typed(read(Path("one.yaml"))) == expected
        Path("two.gin").write_text(write_gin(read(Path("one.yaml"))), encoding="utf-8")
        Path("three.gin").write_text(write_gin(document), encoding="utf-8")
        for again in (Path("two.gin"), Path("three.gin")):
            assert typed(read(again)) == expected
            assert list(read(again).findings) == []
            assert list(differing(legacy, by_gin(again))) == []

        module, printed = by_lightning(Path("one.yaml"))
        assert list(differing(legacy, module.legacy, as_numbers=True)) == []
        limits = lightning_limits(document)
        assert ("Unable to serialize" in printed) == bool(limits), "what cannot be printed is announced, and only that"
        if not limits:
            Path("printed.yaml").write_text(printed, encoding="utf-8")
            assert typed(read(Path("printed.yaml"))) == expected


def by_lightning(path: Path) -> tuple[LabModule, str]:
    """What LightningCLI's parser builds from a YAML file, on the real builder classes, and what it prints."""
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(LabModule, "model")
    parser.add_argument("--trainer", type=dict)
    parser.add_argument("--seed_everything", type=bool)
    parsed = parser.parse_path(str(path))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Unable to serialize")
        printed = parser.dump(parsed)
    return parser.instantiate(parsed).model, printed
