"""Looks into a model that Fabric has wrapped: its wrapper has other names, modules, a length and a mode of its own.

`model.named_parameters()` would say `_forward_module.head.weight`, so that a test by name chooses other parameters.
Where the wrapped model is known by its name the look goes to `model.module`, which is the program's own; else the loop
is left.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

import attrs

from lab_migrate.analysis import CallGraph, Module
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.convert.rule import Edit
from lab_migrate.fabric.setup import Place, argument_of

#: What the wrapper answers otherwise than the model.
_OTHERWISE = frozenset(
    ["named_parameters", "named_buffers", "named_modules", "named_children", "children", "training", "get_submodule",
     "get_parameter", "get_buffer", "_modules", "_parameters", "_buffers", "__class__", "__dict__", "modules", "apply",
     "register_buffer", "register_parameter", "register_module", "add_module", "register_forward_hook",
     "register_forward_pre_hook", "register_full_backward_hook", "register_full_backward_pre_hook",
     "register_backward_hook", "register_state_dict_pre_hook", "register_load_state_dict_pre_hook",
     "register_load_state_dict_post_hook"]
)  # fmt: skip
#: Calls that only pass on what they are given, or that are seen to elsewhere.
_PASS_ON = frozenset(["torch.save", "setattr", "getattr", "id"])


@attrs.frozen
class _Name:
    """What a function calls a model, perhaps wrapped from line `first` on, and surely from `last` on, if ever."""

    text: str
    first: int = 0
    last: int | None = None


class Looks:
    """Into the models of one project's places; `edits` of `path`, and `reason` where one cannot be told apart."""

    def __init__(self, places: Sequence[tuple[Place, list[str]]], graph: CallGraph, path: str) -> None:
        self.places, self.graph, self.path = places, graph, path
        self.edits: list[Edit] = []
        self.reason: tuple[int, str] | None = None
        handed: list[tuple[Function, str]] = []
        for function in self._functions():
            for name in self._names(function):
                self._read(function, name)
                handed += self._handed(function, name)
        done: set[tuple[int, str]] = set()
        while handed:
            function, text = handed.pop()
            if (id(function), text) not in done:
                done.add((id(function), text))
                self._read(function, _Name(text))
                handed += self._handed(function, _Name(text))

    def _functions(self) -> Iterator[Function]:
        for module in self.graph.project.modules.values():
            yield from module.symbols.functions

    def _names(self, function: Function) -> Iterator[_Name]:
        owners: dict[str, list[Place]] = {}
        for place, models in self.places:
            for model in models:
                owners.setdefault(model, []).append(place)
        for model, places in owners.items():
            head, _, rest = model.partition(".")
            own = places[0].function
            # Which of several functions has wrapped it is not known.
            alone = all(place.function is own for place in places)
            if any(place.function is function for place in places):
                lines = [place.statement.end_lineno or place.statement.lineno for place in places]
                stored = max([*_stores(function, model), 0])
                yield _Name(model, min(lines) + 1, max(lines) + 1 if alone and stored <= max(lines) else None)
            elif rest and own.cls is not None and own.parameters[:1] == [head]:
                if function.cls is own.cls and function.parameters:
                    sure = alone and own.name == "__init__"
                    yield _Name(f"{function.parameters[0]}.{rest}", 0, 0 if sure else None)
            elif isinstance(own.node, ast.Module) and function.module is own.module and not _binds(function, head):
                yield _Name(model)

    def _read(self, function: Function, name: _Name) -> None:
        for node in function.own:
            model = self._looked_into(node, function, name.text)
            if model is None or model.lineno < name.first:
                continue
            if name.last is not None and model.lineno >= name.last and function.path == self.path:
                end = function.module.end(model)
                self.edits.append(Edit(end, end, ".module"))
            elif self.reason is None:
                look = " ".join(ast.unparse(node).split())[:60]
                self.reason = (
                    self.places[0][0].statement.lineno,
                    (
                        f"{function.path}:{model.lineno} looks into {name.text}, `{look}`, "
                        "where Fabric's wrapper has other names"
                    ),
                )

    def _looked_into(self, node: ast.AST, function: Function, name: str) -> ast.expr | None:
        """The model of a look into it."""
        parts: list[ast.expr] = []
        if isinstance(node, ast.Attribute):
            parts = [node.value] if node.attr in _OTHERWISE and isinstance(node.ctx, ast.Load) else []
        elif isinstance(node, ast.Subscript):
            parts = [node.value, node.slice]  # what a table has of the model, it has of the program's own
        elif isinstance(node, ast.FormattedValue | ast.Starred):
            parts = [node.value]
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.Set):
            parts = node.elts
        elif isinstance(node, ast.For | ast.comprehension):
            parts = [node.iter]
        elif isinstance(node, ast.Compare):
            asked = isinstance(node.ops[0], ast.In | ast.NotIn)
            parts = [node.left, *node.comparators] if asked else node.comparators
        elif (
            isinstance(node, ast.Call)
            and dotted(node.func) not in _PASS_ON
            and not self.graph.targets(function, node.func)
        ):
            parts = [*node.args, *(word.value for word in node.keywords)]
        return next((part for part in parts if dotted(part) == name), None)

    def _handed(self, function: Function, name: _Name) -> Iterator[tuple[Function, str]]:
        """Functions of the project that are given the model once it may be wrapped, and what they call it."""
        for call in self.graph.calls_of(function):
            if not call.direct or not isinstance(call.node, ast.Call) or call.line < name.first:
                continue
            for target in call.targets:
                for parameter in target.parameters:
                    value = argument_of(call, target, parameter)
                    if value is not None and dotted(value) == name.text:
                        yield target, parameter
                        yield from _kept(target, parameter)


def _stores(function: Function, name: str) -> list[int]:
    """Lines in which a function gives a name a value."""
    return [
        node.lineno
        for node in function.own
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store) and dotted(node) == name
    ]


def _binds(function: Function, name: str) -> bool:
    return name in function.parameters or bool(_stores(function, name))


def _kept(target: Function, parameter: str) -> Iterator[tuple[Function, str]]:
    """Methods of a class that keeps it: `self.model = model`."""
    if target.cls is None or not target.parameters:
        return
    for node in target.own:
        if isinstance(node, ast.Assign) and dotted(node.value) == parameter:
            for head, _, rest in (dotted(one).partition(".") for one in node.targets):
                if rest and head == target.parameters[0]:
                    for method in target.cls.methods.values():
                        if method.parameters:
                            yield method, f"{method.parameters[0]}.{rest}"


def own_wrapper(models: set[str], module: Module, graph: CallGraph) -> tuple[int, str] | None:
    """Fabric's wrapper answers `.module` itself: what a program reads there would be another module."""
    reads = any(
        isinstance(node, ast.Attribute) and node.attr == "module"
        for other in graph.project.modules.values()
        for node in ast.walk(other.tree)
    )
    for node in ast.walk(module.tree):
        if not reads or not isinstance(node, ast.Assign):
            continue
        names = {dotted(target) for target in node.targets}
        wraps = [one for one in ast.walk(node.value) if isinstance(one, ast.Call) and _wraps(one)]
        held = models | {above for model in models for above in _above(model)}
        if wraps and names & held:
            name = dotted(wraps[0].func).rpartition(".")[2]
            return node.lineno, f"the program reads .module of its {name}, which Fabric's wrapper answers itself"
    return None


def _above(name: str) -> list[str]:
    """`a` and `a.b` for `a.b.c`."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _wraps(call: ast.Call) -> bool:
    return dotted(call.func).rpartition(".")[2] in ("DataParallel", "DistributedDataParallel", "DDP")
