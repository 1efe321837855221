"""The files of a native project: from a typed config to Lightning code."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import jinja2

from lab_bridge.config.schema import Schema
from lab_migrate.native.entry import Entry
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.lift import Lifted, class_doc, lift, method_source
from lab_migrate.native.optimizers import clip_of, kept_fields, own_optimizer
from lab_migrate.native.refused import NotNativeError

__all__ = ["Written", "class_name", "written"]

STANDARD = (
    "from __future__ import annotations", "from collections.abc import Callable, Iterator, Mapping",
    "from fnmatch import fnmatchcase", "from typing import Any", "import math", "import attrs", "import lightning as L",
    "import torch", "from torch import Tensor, nn",
)  # fmt: skip


@attrs.frozen
class Written:
    """The package's and the module's name, and the text of every file."""

    package: str
    name: str
    files: Mapping[str, str]


def written(script: Entry, stem: str, title: str, trainer: Any, schema: Schema) -> Written:
    """Write a project. Raises `NotNativeError` for what has no native form."""
    name = class_name(stem)
    package = f"{stem}_training" if script.path == f"{stem}.py" else stem
    parts = _Parts(package, name, title, trainer, schema)
    context = parts.context()
    context |= {
        "entry": script.path, "module": script.path.removesuffix(".py").replace("/", "."), "doc": title,
        "shebang": script.shebang,
    }  # fmt: skip
    folder = script.path.rpartition("/")[0]
    files = {
        f"{package}/__init__.py": f'"""{title}"""\n',
        script.path.rpartition("/")[2]: _rendered("train.py", {**context, "doc": script.doc.replace(" with Lab", "")}),
        "test_parity.py": _rendered("test_parity.py", context),
    }
    for one in parts.files:
        files[f"{package}/{one}"] = _rendered(one, {**context, **parts.own[one]})
    prefix = f"{folder}/" if folder else ""
    return Written(package, name, {prefix + path: text for path, text in _formatted(files, parts.modules).items()})


def class_name(stem: str) -> str:
    """What the module is called after `Lit`, and the datamodule before `Data`."""
    return "".join(part.capitalize() for part in stem.split("_"))


class _Parts:
    """What the templates are told."""

    def __init__(self, package: str, name: str, title: str, trainer: Any, schema: Schema) -> None:
        self.package, self.name, self.title, self.trainer, self.schema = package, name, title, trainer, schema
        self.own: dict[str, dict[str, Any]] = {}
        targets = [builder.target for builder in schema.builders.values()]
        #: The project's own modules, as import blocks are sorted by.
        self.modules = {target.split(".")[0] for target in targets} - {"legacy_lab"} | {package}

    @property
    def files(self) -> list[str]:
        """The templates in use."""
        return sorted(self.own)

    def context(self) -> dict[str, Any]:
        """For all templates; what is one's own lies in `own`."""
        trainer = self.trainer
        optimizer = trainer.optimizer
        accumulate = getattr(optimizer, "accumulate", 1)
        every = getattr(accumulate, "every", accumulate)
        self._refuse()
        clip = clip_of(optimizer)
        kept = kept_fields(optimizer, self.schema)
        common = {
            "package": self.package, "name": self.name, "doc": self.title, "every": every, "clip": clip,
            "steps": trainer.steps, "seed": trainer.seed, "eval_every": trainer.eval_every,
            "eval_batches": trainer.eval_batches, "log_every": trainer.log_every,
            "checkpoint_every": trainer.checkpoint_every,
            "run_dir": repr(str(trainer.run_dir).replace("runs/default", f"runs/{self.package}")),
            "has_evaluation": bool(trainer.eval_every), "compiled": trainer.compiled,
            "accelerator": "cpu" if trainer.device == "cpu" else "cuda", "ema": self._average(),
            "stop_on_nan": any(type(hook).__name__ == "StopOnNaN" for hook in trainer.hooks),
            "autocast": self._autocast(), "zeros": getattr(optimizer.gradients, "left_as", "zeros") == "zeros",
            "multipliers": bool(optimizer.multipliers),
        }  # fmt: skip
        schedules, classes = self._schedules()
        common |= {"schedules": schedules, "schedule_names": sorted({one["name"] for one in schedules})}
        self._model()
        data = self._data(every, bool(trainer.eval_every))
        objective = self._objective()
        kind = self.schema.builder_of(self.trainer.objective)
        stateful = kind is not None and {"state", "load_state"} <= kind.methods
        self._optimizer(common, kept)
        if schedules:
            self.own["schedule.py"] = {
                "classes": classes,
                "imports": [*STANDARD, "from torch.optim import Optimizer",
                            "from torch.optim.lr_scheduler import LRScheduler"],
            }  # fmt: skip
        self.own["config.py"] = {"optimizer": {"name": type(optimizer).__name__, "fields": kept}, **data}
        self.own["module.py"] |= {"objective": objective, "objective_state": stateful}
        self._callbacks(common)
        return common | {
            "callback_names": ["Generators"]
            + ["Average"] * bool(common["ema"])
            + ["StopOnNaN"] * bool(common["stop_on_nan"]),
            "callbacks": ["Generators()"]
            + ["Average(config.averaging)"] * bool(common["ema"])
            + ["StopOnNaN()"] * bool(common["stop_on_nan"]),
            "max_epochs": 1 if data["endless"] else -1,
        }

    def _refuse(self) -> None:
        trainer = self.trainer
        for hook in trainer.hooks:
            if type(hook).__name__ != "StopOnNaN":
                raise NotNativeError(
                    "LM405", f"Trainer.hooks has {type(hook).__name__}, which has no form as a callback yet",
                    "write it as a lightning.Callback after the conversion, and drop it from the config before",
                )  # fmt: skip
        if getattr(trainer.optimizer, "decay_multipliers", None):
            raise NotNativeError(
                "LM405", "the optimizer has decay_multipliers, which have no native form yet", "stay at level L2",
            )  # fmt: skip
        if trainer.loader is None or trainer.device not in ("cpu", "cuda"):
            raise NotNativeError(
                "LM405", f"Trainer.device is {trainer.device!r}", "bind Trainer.device to 'cpu' or 'cuda'"
            )

    def _average(self) -> dict[str, Any] | None:
        ema = self.trainer.ema
        if ema is None:
            return None
        if type(ema).__name__ != "EMA":
            raise NotNativeError(
                "LM405", f"Trainer.ema is {type(ema).__name__}, an average of the project's own",
                "write it as a callback after the conversion, and drop it from the config before",
            )  # fmt: skip
        evaluates = bool(self.trainer.eval_every)
        swaps = evaluates and getattr(self.trainer.evaluation, "averaged", True)
        return {"decay": ema.decay, "warmup": ema.warmup, "buffers": ema.buffers, "swaps": swaps}

    def _autocast(self) -> dict[str, Any] | None:
        precision = self.trainer.precision
        if precision is None:
            return None
        return {"dtype": precision.dtype, "loss_inside": precision.loss_inside, "cache": precision.cache}

    def _model(self) -> None:
        spelled = Expressions(self.schema)
        source = spelled.of(self.trainer.model)
        if spelled.lab:
            raise NotNativeError(
                "LM405", f"the model is made by {', '.join(spelled.lab)}, which is not of the block builder",
                "stay at level L2",
            )  # fmt: skip
        builder = self.schema.builder_of(self.trainer.model)
        assert builder is not None
        kind = builder.target.rpartition(".")[2]
        if builder.function:
            spelled.imports["from torch import nn"] = None
            kind = "nn.Module"
        self.own["model.py"] = {"model": {"source": source, "type": kind}, "imports": list(spelled.imports)}

    def _objective(self) -> str:
        spelled = Expressions(self.schema)
        source = spelled.of(self.trainer.objective)
        imports = [*STANDARD, *spelled.imports]
        if spelled.lab:
            found = sum((lift(target) for target in spelled.lab), Lifted())
            self.own["objective.py"] = {"imports": found.imports, "code": found.code}
            imports += [f"from {self.package}.objective import {target.rpartition('.')[2]}" for target in spelled.lab]
        self.own["module.py"] = {"imports": [
            *imports, f"from {self.package}.config import Config", f"from {self.package}.model import build_model",
            "from lightning_utilities.core.apply_func import apply_to_collection",
        ]}  # fmt: skip
        return source

    def _optimizer(self, common: dict[str, Any], kept: list[dict[str, str]]) -> None:
        optimizer = self.trainer.optimizer
        own = own_optimizer(optimizer, kept)
        hyper = [field["name"] for field in kept]
        name = type(optimizer).__name__ if own is not None else f"torch.optim.{optimizer.name}"
        arguments = ", ".join(f"{one}=hyper.{one}" for one in hyper)
        lines = ["hyper = self.config.optimizer"]
        if optimizer.multipliers:
            spelled = Expressions(self.schema).of(optimizer.multipliers)
            lines.append(f"groups = parameter_groups(self.model, {spelled}, hyper.lr)")
            lines.append(f"optimizer = {name}(groups, {arguments})")
        else:
            lines.append(f"optimizer = {name}(self.model.parameters(), {arguments})")
        if common["schedules"]:
            names = ", ".join(f"self.config.{one['field']}" for one in common["schedules"])
            lines.append(f"schedule = Schedule(optimizer, {names})")
            lines.append('return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}')
        else:
            lines.append("return optimizer")
        mine = [type(optimizer).__name__] if own is not None else []
        mine += ["parameter_groups"] if optimizer.multipliers else []
        imports = self.own["module.py"]["imports"]
        imports += [f"from {self.package}.optimizer import {', '.join(mine)}"] if mine else []
        imports += [f"from {self.package}.schedule import Schedule"] if common["schedules"] else []
        self.own["module.py"] |= {
            "optimizers": lines,
            "optimizers_type": "dict[str, Any]" if common["schedules"] else "torch.optim.Optimizer",
            "optimizers_doc": "The optimizer, and its schedule, which moves with every update."
            if common["schedules"] else "The optimizer.",
        }  # fmt: skip
        if mine:
            self.own["optimizer.py"] = {"own": own, "imports": STANDARD}

    def _schedules(self) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
        found = _flat(getattr(self.trainer.optimizer, "schedule", None))
        listed, classes = [], {}
        for number, schedule in enumerate(found):
            builder = self.schema.builder_of(schedule)
            if builder is None or builder.target.rpartition(".")[0] not in (
                "legacy_lab.optim.schedules.warmup_cosine", "legacy_lab.optim.schedules.ramp",
            ):  # fmt: skip
                raise NotNativeError(
                    "LM405", f"a schedule is made by {builder.target if builder else schedule!r}, not by Lab's own",
                    "write it as one of the classes in schedule.py after the conversion, or stay at level L2",
                )  # fmt: skip
            value = Expressions(self.schema).of(schedule)
            field = "schedule" if number == 0 else f"schedule{number + 1}"
            listed.append({"field": field, "name": builder.name, "value": value})
            call = method_source(builder.target, "__call__")
            fields = [
                f"{one.name}: {one.type}" + ("" if "REQUIRED" in repr(one.default) else f" = {one.default!r}")
                for one in builder.parameters
            ]
            doc = class_doc(builder.target)
            classes[builder.name] = {"name": builder.name, "doc": doc, "fields": fields, "call": call}
        return listed, list(classes.values())

    def _data(self, every: int, evaluates: bool) -> dict[str, Any]:
        trainer = self.trainer
        spelled = Expressions(self.schema)
        setup: list[str] = []
        train, endless = self._loader("train", trainer.loader, spelled, setup, every)
        evaluation = None
        if evaluates:
            evaluation, _ = self._loader("evaluation", trainer.eval_loader, spelled, setup, every)
        lifted = sum((lift(target) for target in spelled.lab), Lifted())
        names = [target.rpartition(".")[2] for target in spelled.lab]
        if lifted.code:
            code = "\n\n\n".join(lifted.code)
            batched = "def batch(self, indices: Tensor)"
            self.own["datasets.py"] = {
                "imports": lifted.imports, "code": [code.replace(batched, "def __getitem__(self, indices: Tensor)")],
            }  # fmt: skip
        uses = "\n".join(setup)
        loader_type = "BatchLoader" if "BatchLoader" in uses else "Stream"
        imports = [*STANDARD, "from torch.utils.data import DataLoader, Sampler", *spelled.imports]
        imports += [f"from {self.package}.config import Config, Data"]
        imports += [f"from {self.package}.datasets import {', '.join(names)}"] if names else []
        self.own["data.py"] = {
            "imports": imports, "setup": setup, "uses_loader": "BatchLoader" in uses,
            "uses_batched": "Batched(" in uses, "as_it_is": "Batched(" in uses, "uses_stream": "Stream(" in uses,
            "dataset_types": "Any", "train_type": loader_type, "evaluation_type": loader_type,
            "evaluation_state": evaluates,
            "data_doc": "What is trained on, and what is evaluated on." if evaluates else "What is trained on.",
            "train_doc": "The whole training's batches in one pass." if endless else "One pass over the data.",
            "evaluation_doc": "The batches of one evaluation.",
        }  # fmt: skip
        return {"train": train, "evaluation": evaluation, "endless": endless}

    def _loader(
        self, role: str, loader: Any, spelled: Expressions, setup: list[str], every: int
    ) -> tuple[str | None, bool]:
        builder = self.schema.builder_of(loader)
        accumulate = " * self.config.accumulate" if every > 1 else ""
        if builder is not None and builder.target == "legacy_lab.data.loader.Loader":
            if loader.world_size != 1:
                raise NotNativeError("LM405", "the loader shards by Loader.world_size", "leave sharding to Lightning")
            dataset = self.schema.builder_of(loader.dataset)
            source = spelled.of(loader.dataset)
            if dataset is None or not dataset.target.startswith("legacy_lab."):
                source = f"Batched({source})"
            length = {"train": f"self.config.steps{accumulate}" if every > 1 else "", "evaluation": ""}[role]
            if role == "evaluation" and self.trainer.eval_batches:
                length = "self.config.eval_batches"
            setup.append(f"self.{role} = BatchLoader({source}, self.config.{role}{', ' + length if length else ''})")
            data = [f"batch_size={loader.batch_size}"]
            data += [f"seed={loader.seed}"] if loader.seed else []
            data += ["shuffle=False"] if not loader.shuffle else []
            data += ["drop_last=False"] if not loader.drop_last else []
            return f"Data({', '.join(data)})", every > 1
        length = f"self.config.steps{accumulate}"
        if role == "evaluation":
            if not self.trainer.eval_batches:
                raise NotNativeError(
                    "LM405", "how many batches the evaluation's loader has cannot be told from its config",
                    "bind Trainer.eval_batches",
                )  # fmt: skip
            length = "self.config.eval_batches"
        setup.append(f"self.{role} = Stream({spelled.of(loader)}, {length})")
        return None, role == "train"

    def _callbacks(self, common: dict[str, Any]) -> None:
        states = lift("legacy_lab.train.checkpoint.generator_states")
        states += lift("legacy_lab.train.checkpoint.set_generator_states")
        self.own["generators.py"] = {"imports": states.imports, "code": states.code}
        self.own["callbacks.py"] = {"imports": [
            *STANDARD, f"from {self.package}.config import Averaging",
            f"from {self.package}.generators import generator_states, set_generator_states",
        ]}  # fmt: skip


def _flat(schedule: Any) -> list[Any]:
    if schedule is None:
        return []
    if isinstance(schedule, Sequence):
        return [part for one in schedule for part in _flat(one)]
    if type(schedule).__name__ == "combined":
        return _flat(schedule.schedules)
    if type(schedule).__name__ == "Timed":
        return _flat(schedule.schedule)
    return [schedule]


def _rendered(name: str, context: dict[str, Any]) -> str:
    if name in ("objective.py", "datasets.py", "generators.py"):
        docs = {
            "objective.py": "What the model is trained for: from a model and a batch to a loss and metrics.",
            "datasets.py": "What is trained and evaluated on.",
            "generators.py": "The states of the global random generators, as a checkpoint can hold them.",
        }
        return "\n\n\n".join([f'"""{docs[name]}"""\n\n' + "\n".join(context["imports"]), *context["code"]]) + "\n"
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lab_migrate", "native/templates"), trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, undefined=jinja2.StrictUndefined, autoescape=False,
    )  # fmt: skip
    return environment.get_template(f"{name}.jinja").render(**context)


def _formatted(files: Mapping[str, str], own: set[str]) -> dict[str, str]:
    """As ruff has them: imports sorted, those that nothing uses left out, lines of 120 columns."""
    with tempfile.TemporaryDirectory(prefix="lab-migrate-native-") as folder:
        for path, text in files.items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        width = ["--line-length", "120"]
        mine = f"lint.isort.known-first-party={sorted(own)!r}"
        for words in (["check", "--select", "I,F401", "--fix", "--config", mine, *width], ["format", *width]):
            command = [sys.executable, "-m", "ruff", *words, "--isolated", "--quiet", "--no-cache", "."]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"ruff could not read what was written: {done.stdout}{done.stderr}")
        return {path: (Path(folder) / path).read_text(encoding="utf-8") for path in files}
