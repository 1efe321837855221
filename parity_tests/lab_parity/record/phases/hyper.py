"""Hyperparameters as the update saw them, by parameter, so that regrouping does not matter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lab_parity.digest import digest_bytes
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Key, Row

__all__ = ["hyper_rows"]

_NOT_NUMERICS = {
    "params",
    "names",
    "param_names",
    "name",
    "initial_lr",
    "foreach",
    "fused",
    "capturable",
    "differentiable",
}


_encode = json.JSONEncoder(sort_keys=True).encode


def hyper_rows(view: OptimizerView) -> tuple[list[Row], dict[bytes, str]]:
    """One row per parameter (its value is the learning rate), and the JSON text behind each digest."""
    rows: list[Row] = []
    texts: dict[bytes, str] = {}
    for group in view.groups:
        plain = _plain(group.hyper)
        text = _encode(plain)
        digest = digest_bytes(text.encode())
        texts[digest] = text
        rate = plain.get("lr")
        value = float(rate) if isinstance(rate, (int, float)) else None
        rows += [Row(Key("optimizer", -1, name, "hyper"), digest, value) for name in group.names]
    return rows, texts


def _plain(hyper: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _number(value)
        for name, value in hyper.items()
        if name not in _NOT_NUMERICS and not name.startswith("_") and _is_plain(value)
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1
    return value is None or isinstance(value, (bool, int, float, str)) or (
        isinstance(value, (tuple, list)) and all(_is_plain(part) for part in value)
    )  # fmt: skip


def _number(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.item()
    return [_number(part) for part in value] if isinstance(value, (tuple, list)) else value
