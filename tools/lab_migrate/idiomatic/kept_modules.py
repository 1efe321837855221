"""What no `state_dict` holds of modules, whoever changes it: which parameters train goes on, the others are said.

p.requires_grad_(False)      which parameters train, from some epoch on
freeze(model), self.cool()   where such a function changes flags, attributes, parts or hooks of a model
model.eval()                 a mode that the loop leaves
"""

from __future__ import annotations

import ast

from lab_migrate.analysis.symbols import Function
from lab_migrate.idiomatic.beginnings import container_of
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.kept_called import called_by_others
from lab_migrate.idiomatic.kept_in_place import pulls
from lab_migrate.idiomatic.kept_methods import makes_module, say_elsewhere
from lab_migrate.idiomatic.kept_objects import has_buffers
from lab_migrate.idiomatic.outside_names import outside_of
from lab_migrate.idiomatic.parts import FLAG, Parts
from lab_migrate.idiomatic.reach import reached_in
from lab_migrate.idiomatic.roles import nodes_of

_FILLS = frozenset({"append", "appendleft", "clear", "extend", "insert", "pop", "popleft", "remove"})


def keep_modules(keeping: Keeping) -> None:
    """Keep the flags of the models' parameters; say what else is changed, once each."""
    visited = [frame.function for frame in keeping.nest.frames]
    flags, said = False, set[str]()
    for frame in keeping.nest.frames:
        outside = outside_of(frame, keeping.base, keeping.places)
        parts = Parts(frame.function, keeping.graph, outside, is_base=True, this="self", visited=visited)
        parts.bind(node for node in frame.function.own if not pulls(node, keeping))
        nodes = [node for of, node in nodes_of(keeping.nest) if of is frame]
        nodes += [call for _, call in called_by_others(keeping)] if frame is keeping.base else []
        for name, attribute in (one for node in nodes for one in parts.changed(node)):
            is_model = any(name == one or name.startswith(f"{one}.") for one in keeping.roles.models)
            if is_model and attribute == FLAG:
                flags = True
            elif f"{name}.{attribute}" not in said and (is_model or attribute == FLAG or _is_module(keeping, name)):
                said.add(f"{name}.{attribute}")
                why = "which parameters train is set by the loop" if attribute == FLAG else "the loop changes it"
                keeping.lose(f"{name}'s {attribute}", why)
    flags = say_elsewhere(keeping, visited, said) or flags
    if flags:
        _keep_flags(keeping)
    _say_listed(keeping)
    _say_filled(keeping)
    _say_mode(keeping)


def _say_listed(keeping: Keeping) -> None:
    """`norms = [nn.BatchNorm1d(4), …]`: modules that are nobody's parts, and may count what they are given."""
    for frame, node in nodes_of(keeping.nest):
        name = frame.canonical(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        held = {*keeping.seen, *keeping.lightnings, *keeping.places.names.carried}
        if not name or ":" in name or any(one == name or one.startswith(f"{name}[") for one in held):
            continue
        entries = [call for value in keeping.made(name) if container_of(value) for call in ast.walk(value)]
        calls = [call for call in entries if isinstance(call, ast.Call)]
        if any(has_buffers(keeping.full(name, call)) or makes_module(keeping, call) for call in calls):
            keeping.seen.add(name)
            keeping.lose(name, "its modules may count what they are given")


def _is_module(keeping: Keeping, name: str) -> bool:
    known = keeping.graph.types(keeping.base.function, ast.parse(name, mode="eval").body)
    return any(keeping.graph.is_module(cls) for cls in known)


def _say_filled(keeping: Keeping) -> None:
    """`model.history.append(loss)`: a list of the model's, which is in no `state_dict`."""
    for frame, node in nodes_of(keeping.nest):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _FILLS:
            name = frame.canonical(node.func.value)
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            name = frame.canonical(node.value) if isinstance(node.slice, ast.Constant | ast.JoinedStr) else ""
            name = name if isinstance(getattr(node.slice, "value", ""), str) else ""
        else:
            continue
        if any(name.startswith(f"{model}.") for model in keeping.roles.models) and name not in keeping.seen:
            keeping.seen.add(name)
            keeping.lose(name, "the loop fills it")


def _keep_flags(keeping: Keeping) -> None:
    """Set behind the optimizers, which may ask for them when they are made."""
    key, names = keeping.key("trained"), keeping.places.names
    while key in {*names.captured, *names.carried.values()}:
        key += "_"
    saved = f'checkpoint["{key}"] = [name for name, p in self.named_parameters() if p.requires_grad]'
    keeping.found.keep(key, saved, f'self.{key} = checkpoint["{key}"]')
    keeping.found.started += [
        f'if "{key}" in vars(self):',
        f'    trained = vars(self).pop("{key}")',
        "    for name, p in self.named_parameters():",
        "        p.requires_grad_(name in trained)",
    ]


def _say_mode(keeping: Keeping) -> None:
    """A mode that no `train()` of the loop puts back."""
    called: set[str] = set()

    def does(node: ast.AST, within: Function) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called.add(node.func.attr)
        return False

    reached_in(keeping.nest, keeping.graph, does)
    if "eval" in called and "train" not in called and keeping.nest.validation is None:
        keeping.lose("the mode of a model", "the loop leaves it in evaluation mode")
