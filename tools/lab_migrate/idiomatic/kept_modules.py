"""What no `state_dict` holds of modules, whoever changes it: which parameters train goes on, the others are said.

p.requires_grad_(False)      which parameters train, from some epoch on
freeze(model), self.cool()   where such a function changes flags, attributes, parts or hooks of a model
model.eval()                 a mode that the loop leaves
"""

from __future__ import annotations

import ast

from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.kept_in_place import outside_of, pulls
from lab_migrate.idiomatic.parts import FLAG, Parts
from lab_migrate.idiomatic.reach import reached_in
from lab_migrate.idiomatic.roles import nodes_of


def keep_modules(keeping: Keeping) -> None:
    """Keep the flags of the models' parameters; say what else is changed, once each."""
    visited = [frame.function for frame in keeping.nest.frames]
    flags, said = False, set[str]()
    for frame in keeping.nest.frames:
        parts = Parts(
            frame.function, keeping.graph, outside_of(frame, keeping), is_base=True, this="self", visited=visited
        )
        parts.bind(node for node in frame.function.own if not pulls(node, keeping))
        for name, attribute in (
            one for of, node in nodes_of(keeping.nest) if of is frame for one in parts.changed(node)
        ):
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
    _say_mode(keeping)


def _is_module(keeping: Keeping, name: str) -> bool:
    known = keeping.graph.types(keeping.base.function, ast.parse(name, mode="eval").body)
    return any(keeping.graph.is_module(cls) for cls in known)


def _say_elsewhere(keeping: Keeping, visited: list[Function], said: set[str]) -> bool:
    """What code that nothing here leads to changes of modules, as a hook that holds one; whether it sets flags."""
    graph, found = keeping.graph, False

    def does(node: ast.AST, within: Function) -> bool:
        nonlocal found
        if any(within is one for one in visited):
            return False
        this = within.parameters[0] if within.cls is not None and within.parameters else ""
        parts = Parts(within, graph, lambda one: {dotted(one)} if dotted(one) else set(), deepest=0)
        for name, attribute in parts.changed(node):
            if attribute == FLAG:
                found = True
                continue
            of = ast.parse(name, mode="eval").body
            if name != this and any(graph.is_module(cls) for cls in graph.types(within, of)):
                what = f"{name}'s {attribute}"
                if what not in said:
                    said.add(what)
                    keeping.lose(what, f"{within.qualified}() changes it")
        return False

    reached_in(keeping.nest, graph, does)
    return found


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
