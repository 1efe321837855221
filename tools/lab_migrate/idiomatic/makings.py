"""The calls that may have made an object: its assignment's, or those in the function that returns it.

train_loader, val_loader = loaders(args)      def loaders(args): … return DataLoader(…), DataLoader(…)
"""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.calls import Call
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.nest import Nest

DEEPEST = 3


@attrs.frozen(eq=False)
class Making:
    """A call that makes an object, in the function that it stands in."""

    owner: Function
    call: ast.Call

    @property
    def maker(self) -> str:
        """What is called, by its full name."""
        head, _, rest = dotted(self.call.func).partition(".")
        return ".".join(filter(None, [self.owner.module.symbols.imports.get(head, head), rest]))

    def words(self) -> dict[str, ast.expr] | None:
        """Its keyword arguments, those of a dictionary behind two stars included; None where they cannot be told."""
        found: dict[str, ast.expr] = {}
        for word in self.call.keywords:
            if word.arg is not None:
                found[word.arg] = word.value
                continue
            inner = _entries(word.value, self.owner)
            if inner is None:
                return None
            found |= inner
        return found


def makings_of(name: str, nest: Nest, graph: CallGraph) -> list[Making]:
    """Every call that may have made what the base frame knows by a name; none where one of them cannot be told."""
    if not name or ":" in name:
        return []
    function = nest.base.function
    if name.endswith("]"):
        return _entry(name, nest, graph)
    found = _assigned(name, function, graph, DEEPEST)
    if found is None and "." not in name and name not in nest.base.bound:
        found = _assigned(name, function.module.symbols.top, graph, DEEPEST)
    if found is None and "." in name:
        found = _attribute(name, function, graph)
    if found is None and name in function.parameters:
        found = _given(name, function, graph, DEEPEST)
    return found or []


def _entry(name: str, nest: Nest, graph: CallGraph) -> list[Making]:
    """The makings of `loaders["train"]`, where the dictionary is written out, or by a function that returns one."""
    node = ast.parse(name, mode="eval").body
    assert isinstance(node, ast.Subscript)
    assert isinstance(node.slice, ast.Constant)
    function, of = nest.base.function, dotted(node.value)
    top = function.module.symbols.top
    owner = function if of in nest.base.bound else top
    found: list[Making] = []
    stores = 0
    for one in owner.own:
        if isinstance(one, ast.Assign) and any(dotted(target) == of for target in one.targets):
            made = _of_entry(one.value, node.slice.value, owner, graph)
            if not made:
                return []
            found += made
        if isinstance(one, ast.Name) and one.id == of and not isinstance(one.ctx, ast.Load):
            stores += 1
        # `loaders["train"] = …` gives it another.
        if isinstance(one, ast.Subscript) and not isinstance(one.ctx, ast.Load) and dotted(one.value) == of:
            return []
    return found if stores == 1 else []


def _of_entry(value: ast.expr, key: object, owner: Function, graph: CallGraph) -> list[Making]:
    if isinstance(value, ast.Dict):
        places = [at for at, one in enumerate(value.keys) if isinstance(one, ast.Constant) and one.value == key]
        return _made(value.values[places[0]], None, owner, graph, DEEPEST) if len(places) == 1 else []
    if isinstance(value, ast.DictComp):
        return _made(value.value, None, owner, graph, DEEPEST)
    if isinstance(value, ast.Call) and dotted(value.func) == "dict" and not value.args:
        return next((_made(word.value, None, owner, graph, DEEPEST) for word in value.keywords if word.arg == key), [])
    targets = [target for call in graph.calls_of(owner) if call.node is value for target in call.targets]
    found: list[Making] = []
    for target in targets:
        for node in target.own:
            if isinstance(node, ast.Return) and node.value is not None:
                returned = node.value
                if isinstance(returned, ast.Name):
                    returned = next(iter(target.assigned.get(returned.id, [])), returned)
                made = _of_entry(returned, key, target, graph)
                if not made:
                    return []
                found += made
    return found


def _attribute(name: str, function: Function, graph: CallGraph) -> list[Making]:
    """The makings of `self.x`, or of `trainer.x` where one class of the project is known to make `trainer`."""
    head, _, attribute = name.partition(".")
    known = graph.types(function, ast.parse(head, mode="eval").body)
    classes = [function.cls] if function.cls is not None and function.parameters[:1] == [head] else list(known)
    found: list[Making] = []
    for method in classes[0].methods.values() if len(classes) == 1 else ():
        made = _assigned(f"{(method.parameters or [''])[0]}.{attribute}", method, graph, DEEPEST)
        if made is not None and not made:
            return []
        found += made or []
    return found


def _given(name: str, function: Function, graph: CallGraph, depth: int) -> list[Making]:
    """The makings of a parameter: of what every call of the function gives it."""
    callers = graph.callers_of(function) if depth else []
    found: list[Making] = []
    for call in callers:
        value = argument_of(call, function, name)
        made = _made(value, None, call.caller, graph, depth - 1) if value is not None else []
        if not made:
            return []
        found += made
    return found


def argument_of(call: Call, function: Function, name: str) -> ast.expr | None:
    """What a call gives a function's parameter; None where that cannot be told."""
    node = call.node
    if not call.direct or not isinstance(node, ast.Call) or any(isinstance(arg, ast.Starred) for arg in node.args):
        return None
    if any(word.arg is None for word in node.keywords):
        return None
    positional = function.parameters[1:] if function.cls is not None and not function.is_static else function.parameters
    given = dict(zip(positional, node.args, strict=False)) | {
        word.arg: word.value for word in node.keywords if word.arg
    }
    return given.get(name)


def _named(name: str, owner: Function, graph: CallGraph, depth: int) -> list[Making]:
    """The makings of a name of a function: its own, its parameter's, or the file's."""
    found = _assigned(name, owner, graph, depth)
    if found is None and name in owner.parameters:
        return _given(name, owner, graph, depth)
    if found is None:
        found = _assigned(name, owner.module.symbols.top, graph, depth)
    return found or []


def _assigned(name: str, owner: Function, graph: CallGraph, depth: int) -> list[Making] | None:
    """The makings that assignments in one function give a name; None without an assignment."""
    found: list[Making] = []
    assigned = False
    for node in owner.own:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            places = [at for at, one in enumerate(getattr(target, "elts", [])) if dotted(one) == name]
            if dotted(target) != name and not places:
                continue
            assigned = True
            at = None if dotted(target) == name else places[0]
            made = _made(node.value, at, owner, graph, depth)
            if not made:
                return []
            found += made
    return found if assigned else None


def _made(value: ast.expr, at: int | None, owner: Function, graph: CallGraph, depth: int) -> list[Making]:
    """The makings of an expression, or of the entry `at` of the tuple that it is."""
    if at is not None and isinstance(value, ast.Tuple):
        return _made(value.elts[at], None, owner, graph, depth) if at < len(value.elts) else []
    if isinstance(value, ast.IfExp):
        both = [_made(one, at, owner, graph, depth) for one in (value.body, value.orelse)]
        return [*both[0], *both[1]] if all(both) else []
    if isinstance(value, ast.Name) and at is None and depth:
        return _named(value.id, owner, graph, depth - 1)
    if not isinstance(value, ast.Call):
        return []
    targets = [target for call in graph.calls_of(owner) if call.node is value for target in call.targets]
    if not targets:
        return [Making(owner, value)] if at is None else []
    found: list[Making] = []
    for target in targets:
        returned = [node.value for node in target.own if isinstance(node, ast.Return) and node.value is not None]
        every = [_made(one, at, target, graph, depth - 1) for one in returned] if depth else []
        if target.name == "__init__":
            every = [[Making(owner, value)]] if at is None else []
        if not every or not all(every):
            return []
        found += [making for one in every for making in one]
    return found


def _entries(value: ast.expr, owner: Function) -> dict[str, ast.expr] | None:
    """The entries of a dictionary that is written out, or of a name that is given one and never changed."""
    if isinstance(value, ast.IfExp):
        one, other = _entries(value.body, owner), _entries(value.orelse, owner)
        return None if one is None or other is None else one | other
    if isinstance(value, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in value.keys]
        return dict(zip(keys, value.values, strict=True)) if all(isinstance(key, str) for key in keys) else None  # type: ignore[arg-type]
    if isinstance(value, ast.Call) and dotted(value.func) == "dict" and not value.args:
        return {word.arg: word.value for word in value.keywords if word.arg}
    if isinstance(value, ast.Name):
        given = owner.assigned.get(value.id, [])
        mentions = [node for node in owner.own if isinstance(node, ast.Name) and node.id == value.id]
        starred = [node for node in owner.own if isinstance(node, ast.keyword) and node.arg is None]
        only_given_on = len(mentions) == len(given) + sum(dotted(word.value) == value.id for word in starred)
        return _entries(given[0], owner) if len(given) == 1 and only_given_on else None
    return None
