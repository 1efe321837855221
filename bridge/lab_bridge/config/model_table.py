"""A model's blocks as a table: shapes, parameters, learning rates and initialisers, before a tensor has memory."""

from __future__ import annotations

import contextlib
import fnmatch
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from lab_bridge.config.as_node import as_node
from lab_bridge.config.build import build
from lab_bridge.config.documents import Document
from lab_bridge.config.front import typed
from lab_bridge.config.nodes import Node
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem, did_you_mean
from lab_bridge.config.schema import Builder, Schema
from lab_bridge.config.semantic_diff import place_at, short
from legacy_lab.blocks import Model, ShapeError, cross_check, shapes_of
from legacy_lab.blocks.inits import chosen
from legacy_lab.blocks.meta import module_name
from legacy_lab.optim.groups import factor_of

__all__ = ["ModelTable", "Row", "model_table"]

MODEL = "legacy_lab.blocks.model.Model"


@attrs.frozen
class Row:
    """One block. Shapes are without batch, None where they are not known; `parameters` includes those of inner blocks.

    `lr` and `decay` are what the optimizer starts with, or, where a schedule sets them, their factors (`×0.5`).
    """

    path: str
    block: str
    depth: int
    place: Place
    input: tuple[int, ...] | None = None
    output: tuple[int, ...] | None = None
    parameters: int | None = None
    lr: str = ""
    decay: str = ""
    init: str = ""


@attrs.frozen
class ModelTable:
    """The rows in the order of the chain, a block before its inner ones.

    `checked` are the paths whose shapes were computed on the meta device and agree with what the blocks say;
    `unknown` tells why something could not be.
    """

    rows: tuple[Row, ...]
    parameters: int | None
    checked: tuple[str, ...] = ()
    unknown: str = ""


def model_table(document: Document, sources: Path | None = None) -> ModelTable:
    """The table of the model that a Lab config builds.

    A project's own blocks compute their shapes in its own code: they are imported from the folder `sources`; without
    it, what comes after the first of them stays unknown. Raises `ConfigErrors`: shapes that do not fit, patterns that
    match nothing.
    """
    config = typed(document)
    schema = document.schema
    builder = schema.builder_of(getattr(config, "model", None))
    if builder is None or builder.target != MODEL:
        found = builder.name if builder is not None else "none"
        message = f"expected a model of blocks, found {found}"
        raise ConfigErrors([Problem(document.entry.place, "model", "type", message, "bind Trainer.model = @Model")])
    node = document.entry.arguments["model"]
    foreign = next(_foreign(config.model.blocks, schema, "model.blocks"), None) if sources is None else None
    part = config.model if foreign is None else _up_to(config.model, foreign[0])
    with _importable(sources), torch.device("meta"):
        model = _built(attrs.evolve(part, inits=None), schema, document)
    names = [name for name, _ in model.named_parameters()]
    if foreign is None:
        _require_patterns(document, config, names)
    rows = tuple(_rows(model, config, schema, document, node, foreign[0] if foreign else None))
    if foreign is not None:
        path, own = foreign
        unknown = f"{path}: {own.name} computes its shapes in the project's own code, {own.place}"
        return ModelTable(rows, None, (), unknown)
    total = sum(parameter.numel() for parameter in model.parameters())
    try:
        checked = tuple(cross_check(model))
    except ShapeError as error:
        raise ConfigErrors([_of_shape(error, document)]) from None
    except (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return ModelTable(rows, total, (), f"the model does not run on the meta device: {first}")
    return ModelTable(rows, total, checked)


def _built(config: Any, schema: Schema, document: Document) -> Model:
    try:
        model = build(config, schema)
    except ShapeError as error:
        raise ConfigErrors([_of_shape(error, document)]) from None
    except (ValueError, TypeError, ImportError) as error:
        place = document.entry.arguments["model"].place
        raise ConfigErrors([Problem(place, "model", "build", str(error).splitlines()[0])]) from None
    assert isinstance(model, Model)
    return model


def _rows(
    model: Model, config: Any, schema: Schema, document: Document, node: Node, until: str | None
) -> Iterator[Row]:
    shapes = shapes_of(model)
    parameters = dict(model.named_parameters())
    inits: Mapping[str, Any] = config.model.inits or {}
    for path, block, depth in _paths(config.model.blocks, schema, "model.blocks", 0):
        builder = schema.builder_of(block)
        name = builder.name if builder is not None else type(block).__name__
        place = place_at(document, path)
        if path not in shapes:
            yield Row(path, name, depth, place)
            continue
        prefix = f"{module_name(path)}."
        inside = {key: parameter for key, parameter in parameters.items() if key.startswith(prefix)}
        yield Row(
            path,
            name,
            depth,
            place,
            *shapes[path],
            sum(parameter.numel() for parameter in inside.values()),
            _rate(config.optimizer, "lr", "multipliers", inside),
            _rate(config.optimizer, "decay", "decay_multipliers", inside),
            _init(inits, inside, schema),
        )


def _paths(blocks: Any, schema: Schema, path: str, depth: int) -> Iterator[tuple[str, Any, int]]:
    """Every block's config with its path, a block before its inner ones."""
    pairs = blocks.items() if isinstance(blocks, Mapping) else enumerate(blocks)
    for key, block in pairs:
        here = f"{path}[{key!r}]"
        yield here, block, depth
        layers = getattr(block, "layers", None)
        if isinstance(layers, Sequence | Mapping) and not isinstance(layers, str):
            yield from _paths(layers, schema, f"{here}.layers", depth + 1)


def _foreign(blocks: Any, schema: Schema, path: str) -> Iterator[tuple[str, Builder]]:
    """The blocks whose code is a project's own."""
    for here, block, _ in _paths(blocks, schema, path, 0):
        builder = schema.builder_of(block)
        if builder is not None and not builder.target.startswith("legacy_lab."):
            yield here, builder


def _up_to(model: Any, path: str) -> Any:
    """The model's config without the block at a path (or the one around it), and all after that."""
    kept: list[tuple[Any, Any]] = []
    blocks = model.blocks
    for key, block in blocks.items() if isinstance(blocks, Mapping) else enumerate(blocks):
        if path.startswith(f"model.blocks[{key!r}]"):
            break
        kept.append((key, block))
    part = dict(kept) if isinstance(blocks, Mapping) else tuple(block for _, block in kept)
    return attrs.evolve(model, blocks=part)


def _rate(optimizer: Any, setting: str, patterns: str, parameters: Mapping[str, torch.Tensor]) -> str:
    multipliers = getattr(optimizer, patterns, None) or {}
    start = getattr(optimizer, setting, None)
    if not parameters or start is None:
        return ""
    factors = dict.fromkeys(factor_of(name, multipliers) for name in parameters)
    scheduled = setting == "lr" and getattr(optimizer, "schedule", None) is not None
    return ", ".join(
        "not trained" if factor is None else f"×{factor:g}" if scheduled else f"{start * factor:g}"
        for factor in factors
    )


def _init(inits: Mapping[str, Any], parameters: Mapping[str, torch.Tensor], schema: Schema) -> str:
    if not parameters:
        return ""
    found = (chosen(name, inits) for name in parameters)
    return ", ".join(dict.fromkeys(short(as_node(init, schema)) if init is not None else "own" for init in found))


def _require_patterns(document: Document, config: Any, names: Sequence[str]) -> None:
    problems = []
    for path, patterns in (
        ("model.inits", config.model.inits),
        ("optimizer.multipliers", getattr(config.optimizer, "multipliers", None)),
        ("optimizer.decay_multipliers", getattr(config.optimizer, "decay_multipliers", None)),
    ):
        for pattern in patterns or {}:
            if not fnmatch.filter(names, pattern):
                here = f"{path}[{pattern!r}]"
                message = "expected a pattern that matches a parameter, found none"
                hint = did_you_mean(pattern, names, most=3)
                problems.append(Problem(place_at(document, here), here, "pattern", message, hint))
    if problems:
        raise ConfigErrors(problems)


def _of_shape(error: ShapeError, document: Document) -> Problem:
    message = f"expected {error.expected}, found {error.found}"
    return Problem(place_at(document, error.path), error.path, "shape", message, error.next_step)


@contextlib.contextmanager
def _importable(folder: Path | None) -> Iterator[None]:
    """A folder's modules can be imported, as when a script in it runs."""
    if folder is None:
        yield
        return
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))
