"""The lines that take the epoch loop's place: the LightningModule made, a Trainer with its settings, and the fit."""

from __future__ import annotations

import ast
import textwrap

from lab_migrate.idiomatic.accelerator import accelerator_of, devices_of
from lab_migrate.idiomatic.elsewhere import runs_after
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.gradients import leaves_zeroed
from lab_migrate.idiomatic.layout import WIDTH, is_literal, unused
from lab_migrate.idiomatic.limits import Limit
from lab_migrate.idiomatic.names import read_after_of
from lab_migrate.idiomatic.nest import Steps
from lab_migrate.idiomatic.precision import setting_of
from lab_migrate.idiomatic.write import Writer


def fit_lines(writer: Writer, indent: str, module_name: str, trainer_name: str) -> str:
    """The lines that take the epoch loop's place."""
    lines = _call(writer, f"{module_name} = {writer.name}(", writer.arguments(), indent)
    distributed = writer.roles.distributed
    if distributed is not None and distributed.group.rank:
        lines.append(f'os.environ["LOCAL_RANK"] = str({distributed.group.rank})  # a process that was started already')
    lines.append(f"{trainer_name} = {writer.lightning}.Trainer(")
    lines += [f"{writer.unit}{setting}," for setting in _settings(writer)]
    lines.append(")")
    if writer.data is not None:
        made = f"{writer.data.name}({', '.join(writer.data.parameters)})"
        if len(indent) + len(f"{trainer_name}.fit({module_name}, datamodule={made})") > WIDTH:
            name = unused("datamodule", writer.base)
            lines += _call(writer, f"{name} = {writer.data.name}(", list(writer.data.parameters), indent)
            made = name
        fits = f"{trainer_name}.fit({module_name}, datamodule={made})"
    train = writer.nest.train
    loaders = [train.frame.in_base(train.loader) or "" if train.is_counted else ", ".join(train.entries)]
    if train.zipped:
        loaders = [f'CombinedLoader([{loaders[0]}], "min_size")']
    if writer.nest.validation is not None:
        loaders.append(writer.nest.validation.frame.entry(writer.nest.validation.loader))
    if writer.data is None:
        fits = f"{trainer_name}.fit({', '.join([module_name, *loaders])})"
    if writer.nest.test is not None:
        # What a `while` asked before its first epoch: Lightning asks the loaders for their iterators before it counts.
        lines.append(f"if {writer.base.module.source(writer.nest.test)}:")
        fits = f"{writer.unit}{fits}"
    lines.append(fits)
    bar = writer.nest.bar
    if bar is not None and isinstance(bar.made, ast.Assign):
        lines.append(f"{bar.name.id}.close()")
    if writer.hooks.automatic is not None and leaves_zeroed(writer.nest, writer.graph):
        lines.append(f"{trainer_name}.optimizers[0].zero_grad()  # as the loop left the gradients")
    if writer.hooks.modes.left:
        lines.append(f"{writer.hooks.modes.left}.eval()  # as the validation left it")
    if accelerator_of(writer.nest, writer.roles) != '"cpu"' and any(
        runs_after(name, writer.nest) for name in writer.roles.models
    ):
        lines.append(f"{module_name}.to({trainer_name}.strategy.root_device)  # Lightning left it on the CPU")
    lines += [f"{name} = {module_name}.{writer.names.carried[name]}" for name in writer.names.exported]
    if writer.nest.epoch in read_after_of(writer.nest):
        first = f" + {_first(writer)}" if _first(writer) else ""
        lines.append(f"{writer.nest.epoch} = {trainer_name}.current_epoch{first} - 1")
    return "".join(f"{indent}{line}\n" for line in lines)


def _processes(writer: Writer) -> list[str]:
    """Devices, and the strategy of a training in several processes."""
    distributed = writer.roles.distributed
    if distributed is None:
        return [f"devices={devices_of(writer.nest, writer.roles)}"]
    more = [f"strategy={distributed.strategy}", "use_distributed_sampler=False"]
    if distributed.group.size:
        return [f"devices={distributed.group.size}", *more]
    nodes = 'num_nodes=int(os.environ["GROUP_WORLD_SIZE"])'
    return ['devices=int(os.environ["LOCAL_WORLD_SIZE"])', nodes, *more]


def precision_setting(writer: Writer) -> tuple[str, str]:
    """The Trainer's `precision`, and a precision plugin; both may be empty."""
    batch = writer.hooks.automatic
    if batch is None or batch.precision is None:
        return "", ""
    return setting_of(batch.precision, accelerator_of(writer.nest, writer.roles), writer.nest.train.frame)


def _first(writer: Writer) -> str:
    """The first epoch's number; empty where it is 0."""
    first = writer.nest.first
    if first is None or (isinstance(first, ast.Constant) and first.value == 0):
        return ""
    return writer.base.module.source(first)


def _call(writer: Writer, head: str, arguments: list[str], indent: str) -> list[str]:
    line = f"{head}{', '.join(arguments)})"
    if len(indent) + len(line) <= WIDTH:
        return [line]
    return [head, *(f"{writer.unit}{row}" for row in textwrap.wrap(", ".join(arguments), WIDTH - 12)), ")"]


def _settings(writer: Writer) -> list[str]:
    length = _steps(writer, writer.nest.steps) if writer.nest.steps is not None else f"max_epochs={_epochs(writer)}"
    found = [length, f"accelerator={accelerator_of(writer.nest, writer.roles)}", *_processes(writer)]
    for word, limit in (("train", writer.hooks.train_limit), ("val", writer.hooks.validation_limit)):
        if limit is not None:
            frame = (writer.nest.train if word == "train" else writer.nest.validation).frame  # type: ignore[union-attr]
            found.append(f"limit_{word}_batches={_limit(limit, frame)}")
    precision, plugin = precision_setting(writer)
    distributed = writer.roles.distributed
    torchrun = distributed is not None and not distributed.group.size
    environment = "TorchElasticEnvironment()" if torchrun else "LightningEnvironment()"
    found.append(f"plugins=[{environment}, {plugin}]" if plugin else f"plugins={environment}")
    found += [f"precision={precision}"] if precision else []
    if "set_detect_anomaly" in writer.base.module.text:
        found.append("detect_anomaly=torch.is_anomaly_enabled()")
    batch = writer.hooks.automatic
    if batch is not None and batch.accumulation is not None:
        found.append(f"accumulate_grad_batches={writer.nest.train.frame.in_base(batch.accumulation.count)}")
    found += writer.hooks.clip or ()
    if writer.nest.validation is not None:
        found += ["num_sanity_val_steps=0", "inference_mode=False"]
    quiet = not any(loop.bar for loop in writer.loops())
    found += ["logger=False", "enable_checkpointing=False"]
    found += (["enable_progress_bar=False"] if quiet else []) + ["enable_model_summary=False"]
    return found


def _steps(writer: Writer, steps: Steps) -> str:
    """How long a training without epochs is."""
    if writer.nest.train.is_counted:
        return "max_epochs=1"
    if steps.stop is None:
        return "max_epochs=-1"
    source = writer.base.module.source
    first = steps.first
    if isinstance(first, ast.Name) and not steps.counter:
        initial = writer.names.initial.get(first.id)
        first = initial.value if initial is not None and is_literal(initial.value) else first
        low = writer.base.module.source(first) if hasattr(first, "lineno") else ast.unparse(first)
    else:
        low = source(first) if first is not None else "0"
    more = " + 1" if steps.inclusive else ""
    return (
        f"max_steps={source(steps.stop)}{more}"
        if low == "0"
        else f"max_steps=max({source(steps.stop)}{more} - {low}, 0)"
    )


def _epochs(writer: Writer) -> str:
    source = writer.base.module.source
    first, stop = writer.nest.first, writer.nest.stop
    if stop is None:
        return "-1"
    if first is None or (isinstance(first, ast.Constant) and first.value == 0):
        return source(stop)
    if isinstance(stop, ast.BinOp) and isinstance(stop.op, ast.Add) and ast.dump(stop.right) == ast.dump(first):
        return source(stop.left)
    if isinstance(stop, ast.BinOp) and isinstance(stop.op, ast.Add) and ast.dump(stop.left) == ast.dump(first):
        return source(stop.right)
    numbers = [one.value if isinstance(one, ast.Constant) else None for one in (first, stop)]
    if type(numbers[0]) is int and type(numbers[1]) is int:
        return str(max(numbers[1] - numbers[0], 0))
    low = source(first) if isinstance(first, ast.Constant | ast.Name | ast.Attribute) else f"({source(first)})"
    return f"max({source(stop)} - {low}, 0)"


def _limit(limit: Limit, frame: Frame) -> str:
    def text(node: ast.expr) -> str:
        return frame.in_base(node) or ""

    if limit.count is not None:
        more = f" + {limit.inclusive}" if limit.inclusive else ""
        return f"max({text(limit.count)}{more}, 1)"
    conditions = " and ".join(text(one) for one in limit.conditions)
    return f"1 if {conditions} else None" if conditions else "1"
