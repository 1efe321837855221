"""The calls that may have made an object: its assignment's, or those in the function that returns it.

train_loader, val_loader = loaders(args)      def loaders(args): … return DataLoader(…), DataLoader(…)
"""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis import CallGraph
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
    found = _assigned(name, function, graph, DEEPEST)
    if found is None and "." not in name and name not in nest.base.bound:
        found = _assigned(name, function.module.symbols.top, graph, DEEPEST)
    if found is None and "." in name:
        found = _attribute(name, function, graph)
    return found or []


def _attribute(name: str, function: Function, graph: CallGraph) -> list[Making]:
    """The makings of `self.x`, or of `trainer.x` where one class of the project is known to make `trainer`."""
    head, _, attribute = name.partition(".")
    known = graph.types(function, ast.parse(head, mode="eval").body)
    classes = [function.cls] if function.cls is not None and function.parameters[:1] == [head] else list(known)
    found: list[Making] = []
    for method in classes[0].methods.values() if len(classes) == 1 else ():
        found += _assigned(f"{(method.parameters or [''])[0]}.{attribute}", method, graph, DEEPEST) or []
    return found


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
        return _assigned(value.id, owner, graph, depth - 1) or []
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
