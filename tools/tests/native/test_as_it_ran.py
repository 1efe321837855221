"""Level L3: gin sorts the mappings of the config that Lab writes of a run, whose order the training went by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gin
import pytest
import torch

import legacy_lab
from lab_migrate.convert import convert_project
from lab_migrate.errors import UsageError
from lab_migrate.native.checkpoint import convert_to_native

from .settings import COSINE, GAN
from .states import trained

#: Sorted, the first layer's weight has another rate, and all groups have as many parameters.
PATTERNS = "Adam.multipliers = {'blocks.wide.*': 0.1, '*.weight': 2.0}"
BLOCKS = ("Model.blocks = {'wide': @wide/Linear(), 'act': @Activation(), 'head': @head/Linear()}",)
SORTED = "Several.optimizers = {'critic': @critic/Adam, 'generator': @generator/SGD}"
GENERATOR_FIRST = "Several.optimizers = {'generator': @generator/SGD, 'critic': @critic/Adam}"
ORDERED: dict[str, tuple[str, ...]] = {
    "patterns of which the last counts, blocks by name": (*BLOCKS, PATTERNS, *COSINE),
    "a generator before its critic": (
        *(GENERATOR_FIRST if line == SORTED else line for line in GAN),
        "critic/Adam.schedule = @Ramp()", "Ramp.of = 'lr'", "Ramp.start = 0.02", "Ramp.end = 0.001", "Ramp.steps = 6",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERED)
def test_a_native_run_resumes_from_labs_checkpoints_in_the_projects_order(native: Any, name: str) -> None:
    """Their config has patterns, blocks and optimizers sorted; rates by sorted patterns would be others, in silence."""
    native.goes_on(*ORDERED[name])


def as_it_ran(root: Path, folder: Path) -> Path:
    """The config that Lab wrote of a run."""
    trained(root, folder)
    return folder / "config.gin"


def test_blocks_of_a_runs_config_are_built_in_the_projects_order(native: Any) -> None:
    """Which `parity --level L3` converts, since a script's arguments are in it."""
    root = native.project(*BLOCKS)
    config = as_it_ran(root, native.folder / "lab")
    assert config.read_text().index("'act'") < config.read_text().index("'wide'")
    conversion = convert_project(root, "L3", config=config)
    (model,) = [one.after for one in conversion.changes if one.path.endswith("model.py")]
    assert model.index('"wide"') < model.index('"act"') < model.index('"head"')


def test_a_run_whose_patterns_stand_in_no_gin_file_is_refused(native: Any) -> None:
    """Those that its script bound by arguments have no order any more."""
    root = native.project(*BLOCKS)
    folder = native.folder / "lab"
    legacy_lab.load_config(
        root / "blobs.gin", [PATTERNS, "Trainer.checkpoint_every = 9", f"Trainer.run_dir = '{folder}'"]
    )
    legacy_lab.Trainer().train()
    gin.clear_config()
    with pytest.raises(UsageError, match=r"lost the order of .*Adam\.multipliers, .* no gin file of the project"):
        convert_to_native(folder / "step_00000009.lab", native.folder / "9.ckpt", root)
    (finding,) = convert_project(root, "L3", config=folder / "config.gin").findings
    assert "name the gin file that was trained with --config" in finding.next_step


def test_the_config_that_is_named_says_the_order_where_two_have_others(native: Any) -> None:
    """A sweep's file may have the same blocks in another order."""
    root = native.project(*BLOCKS, PATTERNS)
    config = as_it_ran(root, native.folder / "lab")
    other = "Adam.multipliers = {'*.weight': 2.0, 'blocks.wide.*': 0.1}\n"
    (root / "other.gin").write_text((root / "blobs.gin").read_text() + other)
    (root / "train.py").write_text((root / "train.py").read_text().replace("blobs.gin", "unknown.gin"))
    (finding,) = convert_project(root, "L3", config=config).findings
    assert "lost the order of Adam.multipliers" in finding.message.replace("legacy_lab.optim.adam.", "")
    (root / "train.py").write_text((root / "train.py").read_text().replace("unknown.gin", "other.gin"))
    conversion = convert_project(root, "L3", config=config)
    (written,) = [one.after for one in conversion.changes if "blocks.wide.*" in one.after]
    assert written.index("*.weight") < written.index("blocks.wide.*")


def test_the_evaluations_place_is_kept_whichever_config_names_the_training(native: Any) -> None:
    """A conversion with `--config other.gin` is named after what the script names; the state was passed over."""
    root = native.project()
    (root / "other.gin").write_text((root / "blobs.gin").read_text() + "Trainer.eval_batches = 1\n")
    source = trained(root, native.folder / "lab")[-1]
    convert_to_native(source, native.folder / "9.ckpt", root, config=root / "other.gin")
    state = torch.load(native.folder / "9.ckpt", weights_only=True)
    assert state["BlobsData"].keys() == state["OtherData"].keys() == {"evaluation"}
