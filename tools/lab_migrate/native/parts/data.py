"""The LightningDataModule."""

from __future__ import annotations

from typing import Any

import attrs

from lab_migrate.native.evaluated_passes import length_of_pass
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.given import objects_of
from lab_migrate.native.labs import is_labs
from lab_migrate.native.lift import Lifted, lift
from lab_migrate.native.relinked import of_file
from lab_migrate.native.sheet import STANDARD, Sheet
from lab_migrate.native.step_readers import require_step_reader

__all__ = ["Dealt", "data"]

LOADER = "legacy_lab.data.loader.Loader"


@attrs.frozen
class Dealt:
    """The `Data` of the config for training and for evaluation, None for loaders that know themselves; `endless` is
    whether the whole training is one pass."""

    train: str | None
    evaluation: str | None
    endless: bool


def data(sheet: Sheet, several: str | None) -> Dealt:
    """Both loaders; `several` is the field of the config that says how many batches a step takes, None for one."""
    spelled = sheet.spelled()
    setup: list[str] = []
    indexed = _all_indexed(sheet)
    train, endless = _loader(sheet, "train", spelled, setup, several, indexed)
    evaluation = _loader(sheet, "evaluation", spelled, setup, several, indexed)[0] if sheet.evaluates else None
    if not sheet.evaluates:
        setup += _made_all_the_same(sheet, spelled)
    spelled.lab |= dict.fromkeys([*sheet.given, *of_file("datasets", sheet.linked)])
    lifted = sum((lift(target) for target in spelled.lab), Lifted())
    names = [target.rpartition(".")[2] for target in spelled.lab]
    if lifted.code:
        code = "\n\n\n".join(lifted.code)
        if indexed:
            code = code.replace("def batch(self, indices: Tensor)", "def __getitem__(self, indices: Tensor)")
        sheet.own["datasets.py"] = {"imports": lifted.imports, "code": [code]}
    uses = "\n".join(setup)
    loader_type = "BatchLoader" if "BatchLoader" in uses else "Stream"
    by_hand = sheet.windows is not None
    imports = [*STANDARD, "from torch.utils.data import DataLoader, Sampler", *spelled.imports]
    imports += [f"from {sheet.package}.config import Config, Data"]
    imports += [f"from {sheet.package}.datasets import {', '.join(names)}"] if names else []
    sheet.own["data.py"] = {
        "imports": imports, "setup": setup, "uses_loader": "BatchLoader" in uses,
        "uses_batched": "Batched(" in uses, "as_it_is": "Batched(" in uses, "uses_stream": "Stream(" in uses,
        "reads_steps": "Progress(" in uses, "deals_passes": "Passes(" in uses, "shards": _shards(sheet),
        "deals_steps": by_hand, "of_passes": "Steps(BatchLoader" in uses,
        "dataset_types": "Any", "train_type": "Steps" if by_hand else loader_type,
        "evaluation_type": "Passes" if "Passes(" in uses else loader_type,
        "evaluation_state": sheet.evaluates,
        "data_doc": "What is trained on, and what is evaluated on." if sheet.evaluates else "What is trained on.",
        "train_doc": "One pass over the data."
        if not endless
        else f"The whole training's {'steps' if by_hand else 'batches'} in one pass.",
        "evaluation_doc": "The batches of one evaluation.",
    }  # fmt: skip
    return Dealt(train, evaluation, endless)


def _shards(sheet: Sheet) -> bool:
    """Whether a loader that is written anew deals out a part of its data."""
    given = [sheet.trainer.loader, sheet.trainer.eval_loader if sheet.evaluates else None]
    made = [getattr(one, "config", one) for one in given if one is not None]
    builders = [(loader, sheet.schema.builder_of(loader)) for loader in made]
    return any(one is not None and one.target == LOADER and loader.world_size != 1 for loader, one in builders)


def _all_indexed(sheet: Sheet) -> bool:
    """Whether only a DataLoader asks datasets of Lab's for batches; other loaders, hooks and datasets call `batch`."""
    made = [getattr(given, "config", given) for given in (sheet.trainer.loader, sheet.trainer.eval_loader)]
    for loader in made:
        builder = sheet.schema.builder_of(loader) if loader is not None else None
        if loader is None:
            continue
        if builder is None or builder.target != LOADER:
            return False
        if any(is_labs(one) for one in objects_of(loader.dataset, sheet.schema)):
            return False
    return not sheet.given and not of_file("datasets", sheet.linked)


def _made_all_the_same(sheet: Sheet, spelled: Expressions) -> list[str]:
    """The evaluation's data where it is the project's own and nothing is evaluated: Lab makes it, and it may draw."""
    made: Any = sheet.trainer.eval_loader
    loader = getattr(made, "config", made)
    builder = sheet.schema.builder_of(loader)
    if builder is not None and builder.target == LOADER:
        loader = loader.dataset
        builder = sheet.schema.builder_of(loader)
    if builder is None or is_labs(builder):
        return []
    reason = "# Nothing is evaluated, yet making its data may draw, and did so before the training's first draw."
    return [reason, f"self.evaluated = {spelled.of(loader)}"]


def _loader(
    sheet: Sheet, role: str, spelled: Expressions, setup: list[str], several: str | None, indexed: bool
) -> tuple[str | None, bool]:
    """The `Data` of a loader of Lab's own, and whether its pass is the whole training; a line that sets it up.

    `indexed` is whether datasets of Lab's are written for a DataLoader.
    """
    given: Any = {"train": sheet.trainer.loader, "evaluation": sheet.trainer.eval_loader}[role]
    loader = getattr(given, "config", given)
    by_hand = role == "train" and sheet.windows is not None
    builder = sheet.schema.builder_of(loader)
    whole = f"self.config.steps * self.config.{several}" if several else "self.config.steps"
    if builder is not None and builder.target == LOADER:
        dataset = sheet.schema.builder_of(loader.dataset)
        source = spelled.of(loader.dataset)
        if dataset is None or not is_labs(dataset) or not indexed:
            source = f"Batched({source})"
        length = {"train": whole if several else "", "evaluation": ""}[role]
        if role == "evaluation" and sheet.trainer.eval_batches:
            length = "self.config.eval_batches"
        made = f"BatchLoader({source}, self.config.{role}{', ' + length if length else ''})"
        if by_hand:
            made = f"Steps({made}, self.config.steps)"
        setup.append(f"self.{role} = {made}")
        settings = [f"batch_size={loader.batch_size}"]
        settings += [f"seed={loader.seed}"] if loader.seed else []
        settings += ["shuffle=False"] if not loader.shuffle else []
        settings += ["drop_last=False"] if not loader.drop_last else []
        if loader.world_size != 1:
            settings += [f"shard={loader.rank}", f"shards={loader.world_size}"]
        return f"Data({', '.join(settings)})", several is not None or by_hand
    reader = builder if role == "train" and builder is not None and "attach" in builder.methods else None
    if reader is not None and not is_labs(reader):
        require_step_reader(reader)
    length, made = whole, spelled.of(loader)
    if role == "evaluation" and sheet.trainer.eval_batches:
        length = "self.config.eval_batches"
    elif role == "evaluation":
        told = length_of_pass(loader, sheet.schema, sheet.draws)
        if told is None:
            setup.append(f"self.{role} = Passes({made})")
            return None, False
        setup.append(f"evaluation = {made}")
        length, made = told, "evaluation"
    setup.append(f"self.{role} = {'Steps' if by_hand else 'Stream'}({made}, {length})")
    if reader is not None:
        setup.append(f"self.{role}.loader.attach(Progress(self.trainer))")
    return None, role == "train"
