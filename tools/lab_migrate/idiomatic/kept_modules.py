"""What no `state_dict` holds of modules, whoever changes it: which parameters train goes on, the others are said.

p.requires_grad_(False)      which parameters train, from some epoch on
freeze(model), self.cool()   where such a function changes flags, attributes, parts or hooks of a model
model.eval()                 a mode that the loop leaves
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.beginnings import container_of
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.kept_called import called_by_others, free_in
from lab_migrate.idiomatic.kept_in_place import pulls
from lab_migrate.idiomatic.kept_objects import has_buffers
from lab_migrate.idiomatic.outside_names import outside_of
from lab_migrate.idiomatic.parts import FLAG, Parts
from lab_migrate.idiomatic.reach import functions_reached, reached_in
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
    flags = _say_elsewhere(keeping, visited, said) or flags
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
        if any(has_buffers(keeping.full(name, call)) or _makes_module(keeping, call) for call in calls):
            keeping.seen.add(name)
            keeping.lose(name, "its modules may count what they are given")


def _makes_module(keeping: Keeping, call: ast.Call) -> bool:
    return any(keeping.graph.is_module(cls) for cls in keeping.graph.types(keeping.base.function, call))


def _is_module(keeping: Keeping, name: str) -> bool:
    known = keeping.graph.types(keeping.base.function, ast.parse(name, mode="eval").body)
    return any(keeping.graph.is_module(cls) for cls in known)


def _say_elsewhere(keeping: Keeping, visited: list[Function], said: set[str]) -> bool:
    """What code that nothing here leads to changes of modules, as a hook that holds one; whether it sets flags."""
    graph, found = keeping.graph, False

    def lose(what: str, function: Function) -> None:
        if what not in said:
            said.add(what)
            keeping.lose(what, f"{function.qualified}() changes it")

    for function in functions_reached(keeping.nest, graph):
        if any(function is one for one in visited):
            continue
        this = function.parameters[0] if function.cls is not None and function.parameters else ""
        around = Parts(function, graph, free_in(function, keeping), visited=visited)
        around.bind(function.own)
        # One by one: what an object of a class is by its type.
        parts = Parts(function, graph, lambda one: {dotted(one)} if dotted(one) else set(), deepest=0)
        if this and function.cls is not None and graph.is_module(function.cls):
            _say_own_parts(keeping, function, this, lose)
        for node in function.own:
            for name, attribute in around.changed(node):
                if name in keeping.roles.models and attribute != FLAG:
                    lose(f"{name}'s {attribute}", function)
                found = found or (name in keeping.roles.models and attribute == FLAG)
            for name, attribute in parts.changed(node):
                of = ast.parse(name, mode="eval").body
                if attribute == FLAG:
                    found = found or not _is_computed(name, function)
                elif name != this and any(graph.is_module(cls) for cls in graph.types(function, of)):
                    lose(f"{name}'s {attribute}", function)
    return found


def _say_own_parts(keeping: Keeping, method: Function, this: str, lose: Callable[[str, Function], None]) -> None:
    """What a module's method changes of the objects that it holds, or puts in place of its layers."""
    parts = Parts(
        method, keeping.graph, lambda one: {dotted(one)} if f"{dotted(one)}.".startswith(f"{this}.") else set()
    )
    parts.bind(method.own)
    for node in method.own:
        if method.name == "__init__":
            return
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            makes = "nn." in dotted(node.value.func) or _makes_module(keeping, node.value)
            targets = [dotted(target) for target in node.targets if makes]
            for target in targets:
                if target.startswith(f"{this}."):
                    lose(f"{method.cls.name if method.cls else this}'s {target.removeprefix(f'{this}.')}", method)
        by_text = isinstance(node, ast.Call)
        for name, attribute in parts.changed(node):
            if attribute != FLAG and (name != this or by_text):
                lose(f"{method.cls.name if method.cls else this}'s {attribute}", method)


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


def _is_computed(name: str, function: Function) -> bool:
    """`mixed = a * x + b * y`, whose gradient a penalty asks for."""
    values = function.assigned.get(name, [])
    return bool(values) and not any(isinstance(value, ast.Name | ast.Attribute | ast.Subscript) for value in values)


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
