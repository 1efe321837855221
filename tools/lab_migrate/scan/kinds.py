"""What an expression probably is: by what the file assigned to it, else by its name."""

from __future__ import annotations

import ast
import re

from lab_migrate.scan.syntax import SourceFile, last_name, raw_name

__all__ = ["builders_of", "is_batch_move", "is_ema", "is_model", "is_optimizer", "receiver", "words"]

_MODELS = frozenset(
    {"model", "models", "net", "nets", "network", "module", "generator", "discriminator", "encoder", "decoder",
     "critic", "actor", "policy", "backbone", "student", "teacher", "rnn", "lstm", "transformer", "unet", "vae", "gan",
     "ddp", "classifier", "embedder", "vocoder"}
)  # fmt: skip
_CAPITALS = re.compile(r"EMA|Ema(?![a-z])")
_EMA = re.compile(r"(^|[^a-z])(model)?ema([^a-z]|$)|exponentialmovingaverage|averaged_?model|swa_model")
_SCHEDULES = frozenset({"scheduler", "schedulers", "sched", "schedule", "schedules"})


def words(name: str) -> list[str]:
    """The words of the last part of a name: `netD_opt` is net, d, opt."""
    last = name.rpartition(".")[2]
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", last)]


def receiver(call: ast.Call) -> str:
    """What a method is called on, as a dotted name; of `x[0].step()` it is `x`, of `f().step()` it is `f`."""
    node: ast.AST = call.func.value if isinstance(call.func, ast.Attribute) else call
    while isinstance(node, ast.Subscript | ast.Call):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    return raw_name(node)


def builders_of(file: SourceFile, name: str) -> set[str]:
    """The dotted names of what a file calls to make the values that it assigns to a name."""
    return {
        file.name(node.value.func)
        for node in file.every(ast.Assign)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and any(raw_name(target) == name for target in node.targets)
    }


def is_optimizer(file: SourceFile, name: str) -> bool:
    """Whether a name stands for an optimizer (or several, or a wrapper of one)."""
    parts = words(name)
    if any(part in _SCHEDULES for part in parts):
        return False
    if any(part.startswith("optim") or part in ("opt", "opts", "solver", "trainer") for part in parts):
        return True
    return any(made.startswith("torch.optim.") and "lr_scheduler" not in made for made in builders_of(file, name))


def is_model(file: SourceFile, name: str) -> bool:
    """Whether a name stands for a module, by its words: `netD`, `self.model`, `G`."""
    parts = words(name)
    if name in ("G", "D", "self.G", "self.D"):
        return True
    if any(part in _MODELS or part.startswith(("net", "model")) for part in parts) and not is_optimizer(file, name):
        return True
    return any(made.startswith("torch.nn.") for made in builders_of(file, name))


def is_ema(name: str) -> bool:
    """Whether a name has the word for a moving average of weights in it."""
    return _CAPITALS.search(name) is not None or _EMA.search(name.lower()) is not None


def is_batch_move(file: SourceFile, call: ast.Call) -> bool:
    """Whether a call moves a tensor to a device, and no model: `x.to(device)`, `x.cuda(non_blocking=True)`."""
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr == "to":
        if not call.args and not any(keyword.arg == "device" for keyword in call.keywords):
            return False
        if call.args and _is_dtype(call.args[0]):
            return False
    elif call.func.attr not in ("cuda", "xpu", "npu"):
        return False
    if isinstance(call.func.value, ast.Call) and last_name(call.func.value.func)[:1].isupper():
        return False  # Net().to(device)
    name = receiver(call)
    return bool(name) and name not in ("self", "torch") and not is_model(file, name) and not _is_loss(name)


def _is_dtype(node: ast.expr) -> bool:
    name = raw_name(node).rpartition(".")[2]
    return bool(re.fullmatch(r"(b?float|u?int|complex)\d*|half|double|long|bool|dtype|.*_dtype", name))


def _is_loss(name: str) -> bool:
    return any(part in ("loss", "criterion", "criteria", "objective", "objectives") for part in words(name))
