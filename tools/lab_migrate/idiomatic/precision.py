"""Mixed precision that the Trainer does just as well: one `autocast` around forward pass and loss, a plain scaler.

Lightning runs the whole of `training_step` and of `validation_step` under its autocast, without torch's cache of
weights; fp16 is scaled by a `GradScaler` of its own, or by the one that it is given.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.events import BACKWARD, STEP, events_in
from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.idiomatic.autocast import Autocast, autocasts, full_name, is_autocast, is_untouched
from lab_migrate.idiomatic.changing import stays
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.limits import is_constant
from lab_migrate.idiomatic.made import Made, made_by
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.roles import Roles
from lab_migrate.idiomatic.weights import used_twice

_SCALERS = ("torch.amp.GradScaler", "torch.cuda.amp.GradScaler")


@attrs.frozen(eq=False)
class Precision:
    """What the Trainer does in the place of an autocast and a scaler. `scaler` is how the base frame calls it."""

    autocasts: tuple[Autocast, ...]
    scaler: str = ""
    made: Made | None = None
    #: Whether Lightning's own scaler has the settings of the legacy one, which nothing else uses.
    own_scaler: bool = False

    @property
    def dtype(self) -> str:
        """Lightning's name."""
        return self.autocasts[0].dtype

    def body(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Statements with those that stood under the autocast in its place."""
        nodes = [autocast.node for autocast in self.autocasts]
        return [
            inner
            for one in statements
            for inner in (one.body if isinstance(one, ast.With) and any(one is node for node in nodes) else [one])
        ]


def precision_of(nest: Nest, roles: Roles, graph: CallGraph) -> tuple[Precision | None, str]:
    """The precision, or why the autocast stays where it is; empty where there is none."""
    loop = nest.train
    found = autocasts(loop.body, loop.frame)
    if not found:
        return None, ""
    everywhere = [node for node in own_nodes(loop.body) if isinstance(node, ast.With) and is_autocast(node, loop.frame)]
    if len(found) != 1 or len(everywhere) != 1:
        return None, "autocast covers parts of a batch"
    autocast = found[0]
    if why := _odd(autocast, nest, roles):
        return None, why
    if len(roles.models) != 1:
        return None, "several models run under it"
    if why := _beside(loop.body, autocast):
        return None, why
    every = [autocast]
    if nest.validation is not None:
        inner = autocasts(nest.validation.body, nest.validation.frame)
        if [_said(one.node, nest.validation.frame) for one in inner] != [_said(autocast.node, loop.frame)]:
            return None, "the validation does not run under the same autocast, and Lightning's would"
        if why := _beside(nest.validation.body, inner[0]):
            return None, why
        every.append(inner[0])
    calls = [node for node in own_nodes(autocast.node.body) if _runs(node, loop.frame, roles)]
    named = [node for node in own_nodes(autocast.node.body)
             if isinstance(node, ast.Name | ast.Attribute) and loop.frame.canonical(node) in roles.models]  # fmt: skip
    if len(calls) != 1 or len(named) != 1:
        return None, "the model is used more than once under it"
    if why := used_twice(roles.models[0], nest, graph):
        return None, f"{why}, and Lightning's autocast keeps no copies of weights"
    return _scaled(Precision(tuple(every)), nest)


def _scaled(precision: Precision, nest: Nest) -> tuple[Precision | None, str]:
    frame = nest.train.frame
    scalers = {
        name: made
        for node in own_nodes(nest.train.body)
        if isinstance(node, ast.Name) and (name := frame.canonical(node)) and (made := made_by(name, nest.base))
        if full_name(made.call.func, nest.base) in _SCALERS
    }
    if precision.dtype == "bf16-mixed":
        return (precision, "") if not scalers else (None, "a scaler beside bfloat16 is none of Lightning's")
    if len(scalers) != 1:
        return None, "float16 without a scaler is none of Lightning's"
    ((name, made),) = scalers.items()
    assert isinstance(made, Made)
    uses = [node for node in nest.base.function.own if isinstance(node, ast.Name) and node.id == name]
    inside = {id(node) for node in own_nodes([nest.epochs])}
    used_after = any(id(node) not in inside and node is not made.statement.targets[0] for node in uses)
    enabled = next((word.value for word in made.call.keywords if word.arg == "enabled"), None)
    others = [word for word in made.call.keywords if word.arg not in ("enabled", "device")]
    device = [*made.call.args, *(word.value for word in made.call.keywords if word.arg == "device")]
    cuda = not device or (isinstance(device[0], ast.Constant) and device[0].value == "cuda")
    same = ast.dump(enabled) if enabled is not None else ""
    wanted = precision.autocasts[0].enabled
    if same != (ast.dump(wanted) if wanted is not None else ""):
        return None, "autocast and scaler are not enabled together"
    own = cuda and not others and not used_after and made.owner is nest.base.function
    if not own and enabled is not None:
        return None, "its scaler has settings of its own and may be off"
    if not own and (cuda or precision.autocasts[0].device is None):
        return None, "its scaler is used elsewhere, or has settings of its own"
    return attrs.evolve(precision, scaler=name, made=made, own_scaler=own), ""


def _odd(autocast: Autocast, nest: Nest, roles: Roles) -> str:
    """Why an autocast is none of Lightning's."""
    loop, device = nest.train, autocast.device
    if not autocast.dtype:
        return "its precision cannot be told"
    if device is not None and not isinstance(device, ast.Constant):
        name = loop.frame.canonical(device)
        plain = [one for one in roles.devices if ":" not in one][:1]
        if name.removesuffix(".type") not in plain:
            return "its device may not be the one that the training runs on"
    if events_in(own_nodes(autocast.node.body)):
        return "backward or step run under it"
    stored = {
        node.id for node in own_nodes([loop.node]) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    enabled = autocast.enabled
    if enabled is not None and (not is_constant(enabled, stored) or not stays(enabled, loop)):
        return "whether it is on depends on the batch"
    return ""


def _beside(body: list[ast.stmt], autocast: Autocast) -> str:
    """Why a statement beside the autocast, before the backward pass, may compute otherwise under one."""
    for node in body:
        kinds = {event.kind for event in events_in(own_nodes([node]))}
        if kinds & {BACKWARD, STEP}:
            break
        if node is not autocast.node and not kinds and not is_untouched(node):
            return f"line {node.lineno} runs outside of it, and would run under Lightning's"
    return ""


def _runs(node: ast.AST, frame: Frame, roles: Roles) -> bool:
    return isinstance(node, ast.Call) and frame.canonical(node.func) in roles.models


def _said(node: ast.With, frame: Frame) -> tuple[str, ...]:
    return tuple(frame.in_base(item.context_expr) or "" for item in node.items)


def setting_of(precision: Precision, accelerator: str, frame: Frame) -> tuple[str, str]:
    """The Trainer's `precision`, and the plugin that has the legacy scaler; one of them is empty.

    `accelerator` is the text of the Trainer's.
    """
    autocast = precision.autocasts[0]
    conditions = [_bracketed(text) for text in _enabled(autocast, frame)]
    device = autocast.device
    asked = f"({accelerator})" if " if " in accelerator else accelerator
    if isinstance(device, ast.Constant) and repr(device.value).replace("'", '"') != accelerator:
        conditions.append(f"{asked} == {device.value!r}".replace("'", '"'))
    elif device is None and accelerator not in ('"auto"', '"cuda"'):
        conditions.append(f'{asked} == "cuda"')
    if precision.scaler and not precision.own_scaler:
        where = frame.in_base(device) if device is not None else '"cuda"'
        return "", f'MixedPrecision("{precision.dtype}", {where}, scaler={precision.scaler})'
    text = f'"{precision.dtype}"'
    return (f'{text} if {" and ".join(conditions)} else "32-true"' if conditions else text), ""


def _enabled(autocast: Autocast, frame: Frame) -> Iterable[str]:
    if autocast.enabled is not None:
        yield frame.in_base(autocast.enabled) or ""


def _bracketed(text: str) -> str:
    return text if text.replace(".", "").replace("_", "").isalnum() else f"({text})"
