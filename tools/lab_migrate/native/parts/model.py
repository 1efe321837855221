"""The model."""

from __future__ import annotations

from lab_migrate.native.lift import Lifted, lift
from lab_migrate.native.sheet import Sheet

__all__ = ["model"]


def model(sheet: Sheet) -> None:
    """`build_model`, and what it needs of Lab besides the block builder, as plain code."""
    spelled = sheet.spelled()
    source = spelled.of(sheet.trainer.model)
    builder = sheet.schema.builder_of(sheet.trainer.model)
    assert builder is not None
    kind = "nn.Module" if builder.function else builder.target.rpartition(".")[2]
    lifted = sum((lift(target) for target in spelled.lab), Lifted())
    imports = [*spelled.imports, *lifted.imports, "from torch import nn"]
    sheet.own["model.py"] = {"model": {"source": source, "type": kind}, "imports": imports, "code": lifted.code}
