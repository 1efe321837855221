"""A Lab project on the disk, and its native conversion, trained in this process."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import gin
import libcst as cst
import pytest
import torch

import legacy_lab
from lab_migrate.convert import Conversion, convert_project
from lab_migrate.native.checkpoint import convert_to_native
from lab_parity import UpdateSite, Verdict, compare, record
from lab_parity.testing import assert_same_bits

from .states import state_of, told, trained

HERE = Path(__file__).parent
SITES = [UpdateSite("legacy_lab.optim.optimizer:Optimizer.update")]
BASE = """\
# Points around three centres.
Trainer.model = @Model
Trainer.objective = @Classifier()
Trainer.optimizer = @Adam
Trainer.loader = @train/Loader
Trainer.eval_loader = @test/Loader
Trainer.eval_every = 4
Trainer.steps = 9
Trainer.log_every = 1
Trainer.seed = 5
Model.input_shape = (6,)
Model.blocks = [@wide/Linear(), @Scale(), @Norm(), @Activation(), @head/Linear()]
wide/Linear.features = 8
Norm.kind = 'batch'
Activation.dropout = 0.2
head/Linear.features = 3
train/Loader.dataset = @Specks()
train/Loader.batch_size = 4
test/Loader.dataset = @test/Specks()
test/Loader.batch_size = 5
test/Specks.size = 10
test/Specks.seed = 1
Adam.lr = 1e-2
Adam.decay = 0.1
SGD.lr = 1e-1
"""
TRAIN = """\
import argparse
import native_project
from legacy_lab import Trainer, load_config


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--resume")
    args = parser.parse_args()
    load_config("blobs.gin")
    trainer = Trainer()
    metrics = trainer.train(resume=args.resume)
    print(trainer.step, metrics)


if __name__ == "__main__":
    main()
"""


@attrs.frozen
class Native:
    """Writes a Lab project into `folder`, and its conversion beside it."""

    folder: Path
    some: Callable[[Sequence[Any]], list[Any]] = list
    more: dict[str, str] = attrs.field(factory=dict)

    @contextlib.contextmanager
    def registered(self, *names: str) -> Iterator[None]:
        """Modules of the project's, imported so that gin knows their classes; native trainings import their own."""
        folder = self.folder / "registered"
        folder.mkdir()
        for name in names:
            (folder / f"{name}.py").write_text(self.more[f"{name}.py"])
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        for name in names:
            importlib.import_module(name)
        sys.path.remove(str(folder))
        for name in names:
            del sys.modules[name]
        try:
            yield
        finally:
            for name in names:
                sys.modules.pop(name, None)
            registry = gin.config._REGISTRY  # a name that is known twice means neither
            for selector in [known for known, _ in registry.items() if known.partition(".")[0] in names]:
                registry.pop(selector)

    def project(self, *bindings: str, train: str = TRAIN) -> Path:
        """The project's folder."""
        root = self.folder / "project"
        root.mkdir(exist_ok=True)
        (root / "train.py").write_text(train)
        (root / "native_project.py").write_text((HERE / "native_project.py").read_text())
        if any("@SignSteps" in line or "@Heated" in line for line in bindings):
            (root / "native_optimizer.py").write_text((HERE / "native_optimizer.py").read_text())
        hooks = set(
            re.findall(
                r"@(Shaken|Bounded|Damped|Sharpened|Balanced|Nudged|Sampled|Muted|Dreaming)\b", " ".join(bindings)
            )
        )
        if hooks:
            (root / "native_hooks.py").write_text(_with_classes(HERE / "native_hooks.py", hooks))
        clips = set(re.findall(r"@(?:\w+/)?(Soft|Slow)\b", " ".join(bindings)))
        if clips:
            (root / "native_clips.py").write_text(_with_classes(HERE / "native_clips.py", clips))
        averages = set(re.findall(r"@(Powered|Belated|Rounded)\b", " ".join(bindings)))
        if averages:
            averages |= {"Powered"} if "Rounded" in averages else set()
            (root / "native_averages.py").write_text(_with_classes(HERE / "native_averages.py", averages))
        if re.search(r"@(Patient|Alone|Talkative)\b", " ".join(bindings)):
            (root / "native_scalers.py").write_text((HERE / "native_scalers.py").read_text())
        for path, text in self.more.items():
            (root / path).write_text(text)
        run_dir = f"Trainer.run_dir = '{self.folder / 'legacy'}'"
        (root / "blobs.gin").write_text("\n".join([BASE, *bindings, run_dir, ""]))
        return root

    def converted(self, *bindings: str, train: str = TRAIN) -> Conversion:
        """In memory."""
        return convert_project(self.project(*bindings, train=train), "L3")

    def verdict(self, *bindings: str, sites: Sequence[UpdateSite] = SITES) -> Verdict:
        """Both trained, recorded, and compared."""
        root = self.written(*bindings)
        legacy_lab.load_config(root / "blobs.gin")
        torch.manual_seed(0)  # two programs begin alike
        with record(self.folder / "legacy.trace", sites):
            legacy_lab.Trainer().train()
        gin.clear_config()
        with record(self.folder / "native.trace"):
            self.train()
        return compare(self.folder / "legacy.trace", self.folder / "native.trace")

    def identical(self, *bindings: str, sites: Sequence[UpdateSite] = SITES) -> None:
        """Demand the bits of Lab's training in the native one, over nine steps and more."""
        verdict = self.verdict(*bindings, sites=sites)
        assert verdict.rung == "identical", (verdict.first and verdict.first.sentence(), verdict.reasons)
        assert verdict.coverage.steps >= 9

    def only_converted(self, number: int, *bindings: str) -> list[str]:
        """In memory, in a folder of its own: why not, if not."""
        folder = self.folder / str(number)
        folder.mkdir()
        conversion = Native(folder).converted(*bindings)
        assert bool(conversion.changes) != conversion.needs_hand
        assert all(one.code in ("LM401", "LM402", "LM405") and one.message for one in conversion.findings)
        return [one.message for one in conversion.findings] if conversion.needs_hand else []

    def goes_on(self, *bindings: str) -> Any:
        """Demand that a run which resumes from a checkpoint, its own or Lab's, ends as the whole one; that trainer.

        From three of each kind, from all where the tests are to be thorough.
        There are evaluations between the steps, the last behind all.
        """
        root = self.written(*bindings, "Trainer.eval_every = 3", "Trainer.checkpoint_every = 1")
        whole = self.train()
        ended = {**state_of(whole), "told": told(whole)}
        own, labs = sorted((self.folder / "run").glob("*.ckpt")), trained(root, self.folder / "lab")
        assert len(own) == len(labs) == whole.global_step >= 9
        chosen = self.some(own[:-1])
        for source in self.some(labs[:-1]):
            chosen.append(self.folder / f"{source.stem}.ckpt")
            convert_to_native(source, chosen[-1], root)
        for path in chosen:
            resumed = self.train(resume=str(path))
            assert_same_bits(ended, {**state_of(resumed), "told": told(resumed)})
        return whole

    def written(self, *bindings: str) -> Path:
        """Write the conversion; the legacy project's folder."""
        conversion = self.converted(*bindings)
        assert not conversion.needs_hand, [one.message for one in conversion.findings]
        conversion.write(self.folder / "native")
        return conversion.root

    def train(self, **settings: Any) -> Any:
        """Train the native project with other settings, as a program that begins does; its `lightning.Trainer`."""
        torch.manual_seed(0)
        config = self.module("blobs.config").Config(run_dir=str(self.folder / "run"), **settings)
        return self.module("train").train(config)

    def module(self, name: str) -> Any:
        """A module of the native project; under the names of its classes gin keeps the legacy ones."""
        importlib.invalidate_caches()
        with mock.patch("gin.configurable", lambda known: known):
            return importlib.import_module(name)


def _with_classes(path: Path, names: set[str]) -> str:
    """A file without its other classes."""
    module = cst.parse_module(path.read_text())
    kept = [one for one in module.body if not isinstance(one, cst.ClassDef) or one.name.value in names]
    return module.with_changes(body=kept).code


@pytest.fixture
def native(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, some: Callable[[Sequence[Any]], list[Any]]
) -> Iterator[Native]:
    """A fresh project; what it imports is forgotten, but for its own blocks, which gin registers once."""
    monkeypatch.syspath_prepend(str(HERE))
    gin.clear_config()  # which another test of this process may have locked
    importlib.import_module("native_project")
    importlib.import_module("native_optimizer")
    importlib.import_module("native_hooks")
    importlib.import_module("native_clips")
    importlib.import_module("native_averages")
    importlib.import_module("native_scalers")
    monkeypatch.syspath_prepend(str(tmp_path / "native"))
    warnings.filterwarnings("ignore", "Checkpoint directory")
    before = set(sys.modules)
    yield Native(tmp_path, some)
    for name in set(sys.modules) - before:
        if name == "train" or name.split(".")[0] == "blobs":
            del sys.modules[name]
    gin.clear_config()
