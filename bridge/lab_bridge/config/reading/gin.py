"""What a gin config means: from its bindings to the tree of builder calls that they make.

The rules are gin's own (gin 0.5, `gin/config.py`): a reference with a scope replaces the scope, one without inherits
it; bindings of all leading parts of a scope hold, the longest wins, and among equals the last; a macro is evaluated
in a scope of its own name; every `@x()` makes an object of its own, but for `gin.singleton`. Nothing is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from gin.selector_map import SelectorMap

from lab_bridge.config.nodes import UNRESOLVED, Call, Entries, Items, Leaf, Node, Once, children
from lab_bridge.config.places import NOWHERE, Place
from lab_bridge.config.problems import Problem, Severity, did_you_mean
from lab_bridge.config.reading.gin_statements import Binding, GinFile, MacroUse, Reference
from lab_bridge.config.schema import ALWAYS, INHERITED, Builder, Schema

__all__ = ["GinMeaning", "meaning"]

MACRO, SINGLETON, CONSTANT = "gin.macro", "gin.singleton", "gin.constant"
_OWN = {"macro": MACRO, "singleton": SINGLETON, "constant": CONSTANT, **{n: n for n in (MACRO, SINGLETON, CONSTANT)}}

Scope = tuple[str, ...]


@attrs.frozen
class GinMeaning:
    """The trees that a config's entry points make, by builder name, and what is to be said about the config.

    `entries` are the builders that are built first: those that Python code calls, or else those that nothing in the
    config refers to. `bound` are the bindings of all builders, made or not: by scope and name, the parameters.
    """

    entries: Mapping[str, Call]
    problems: tuple[Problem, ...]
    bound: Mapping[tuple[Scope, str], Mapping[str, Place]]


def meaning(
    file: GinFile, schema: Schema, entries: Mapping[str, Iterable[str]], overrides: Iterable[GinFile] = ()
) -> GinMeaning:
    """Evaluate the bindings of `file`, then those of `overrides`, as gin would when `entries` are called.

    `entries` maps builders that Python code calls to the parameters that it passes itself. One that the config does
    not mention is left out.
    """
    evaluation = _Evaluation(schema)
    for part in (file, *overrides):
        evaluation.take(part)
    return evaluation.run({name: tuple(passed) for name, passed in entries.items()})


@attrs.define(eq=False)
class _Bound:
    """A binding in force, and whether anything was built with it."""

    binding: Binding
    value: Any
    matched: bool = False
    effective: bool = False


class _Evaluation:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._config: dict[tuple[Scope, str], dict[str, _Bound]] = {}
        self._constants = SelectorMap()
        for name, value in schema.constants.items():
            self._constants[name] = value
        self._problems: list[Problem] = []
        self._mentioned: dict[str, Place] = {}
        self._stack: list[tuple[Scope, str]] = []
        self._passed: dict[int, str] = {}
        # bindings of what builders' own code builds: in force, but no part of the tree
        self._inside = 0
        self._elsewhere: dict[int, _Bound] = {}
        self._in_tree: dict[int, _Bound] = {}
        self._surely: set[int] = set()
        self._uses: dict[tuple[Scope, str], int] = {}

    def take(self, file: GinFile) -> None:
        """Put a file's bindings in force."""
        self._problems += file.problems
        for block in file.blocks:
            self._select(block.selector, block.place)
        for binding in file.bindings:
            self._bind(binding)

    def run(self, entries: dict[str, tuple[str, ...]]) -> GinMeaning:
        """Evaluate."""
        referred = {name for bound in self._all() for name in self._referred(bound.value)}
        wanted = {name: passed for name, passed in entries.items() if name in self._mentioned or name in referred}
        # what the config itself hands to another builder is no beginning, though some code calls it, too
        wanted = {name: passed for name, passed in wanted.items() if name not in referred} or wanted
        if not wanted:
            wanted = {name: () for name in self._mentioned if name not in referred}
        made = {}
        for name, passed in wanted.items():
            builder = self._schema.builders[name]
            call = self._called(builder, (), self._mentioned.get(name, NOWHERE), passed)
            if call is not None:
                made[name] = call
        self._say_unreached()
        named = {name: _with_anchors(call, self._uses) for name, call in made.items()}
        said = tuple(sorted(set(self._problems), key=lambda p: (p.place, p.path, p.message)))
        bound = {key: {name: one.binding.place for name, one in group.items()} for key, group in self._config.items()}
        return GinMeaning(named, said, bound)

    def _bind(self, binding: Binding) -> None:
        if not binding.parameter:
            key, parameter = ((*binding.scope, binding.selector), MACRO), "value"
        elif binding.selector in _OWN:
            key, parameter = (binding.scope, _OWN[binding.selector]), binding.parameter
        else:
            builder = self._select(binding.selector, binding.place)
            if builder is None or not self._has(builder, binding):
                return
            self._mentioned.setdefault(builder.name, binding.place)
            key, parameter = (binding.scope, builder.name), binding.parameter
        group = self._config.setdefault(key, {})
        earlier = group.get(parameter)
        if earlier is not None and earlier.binding.place.file == binding.place.file:
            self._find(
                earlier.binding.place,
                "duplicate",
                f"{earlier.binding.key} is bound again in line {binding.place.line}, which is the one that counts",
                "remove one of them",
            )
        group[parameter] = _Bound(binding, binding.value)

    def _has(self, builder: Builder, binding: Binding) -> bool:
        if builder.open or builder.parameter(binding.parameter) is not None:
            return True
        known = [parameter.name for parameter in builder.parameters]
        hint = did_you_mean(binding.parameter, known) or f"{builder.name} has none"
        self._fail(binding.place, "unknown", f"expected a parameter of {builder.name}, found {binding.key}", hint)
        return False

    def _called(self, builder: Builder, scope: Scope, place: Place, passed: Iterable[str] = ()) -> Call | None:
        """What calling a builder in a scope makes; `passed` are parameters that the caller gives itself.

        None where it would call itself without end.
        """
        key = (scope, builder.name)
        if key in self._stack:
            circle = " → ".join(name for _, name in [*self._stack[self._stack.index(key) :], key])
            self._fail(place, "circle", f"expected a config that ends, found {circle}")
            return None
        self._stack.append(key)
        arguments = {}
        for name, bound in self._in_force(scope, builder.name).items():
            if name in passed or name in builder.supplied:
                self._passed[id(bound)] = builder.name
                continue
            bound.effective = True
            (self._elsewhere if self._inside else self._in_tree)[id(bound)] = bound
            arguments[name] = self._node(bound.value, scope, bound.binding.place)
        for inner, given in builder.calls.items():
            if inner in self._schema.builders and (scope, inner) not in self._stack:
                if not _is_made(builder, inner, arguments):
                    continue
                taken = {*given, *arguments} if builder.guards.get(inner) == INHERITED else given
                if inner in builder.guards and not self._inside:
                    self._surely |= {id(b) for p, b in self._in_force(scope, inner).items() if p not in taken}
                self._inside += 1
                self._called(self._schema.builders[inner], scope, place, taken)
                self._inside -= 1
        self._stack.pop()
        ordered = {p.name: arguments.pop(p.name) for p in builder.parameters if p.name in arguments}
        return Call(builder.name, ordered | arguments, place=place, scope=scope)

    def _in_force(self, scope: Scope, name: str) -> dict[str, _Bound]:
        """The bindings that hold in a scope: of all its leading parts, the longest last."""
        found: dict[str, _Bound] = {}
        for length in range(len(scope) + 1):
            for parameter, bound in self._config.get((scope[:length], name), {}).items():
                bound.matched = True
                found[parameter] = bound
        return found

    def _value_in_force(self, scope: Scope, name: str, parameter: str) -> _Bound | None:
        bound = self._in_force(scope, name).get(parameter)
        if bound is not None:
            bound.effective = True
        return bound

    def _node(self, value: Any, scope: Scope, place: Place) -> Node:
        match value:
            case Reference():
                return self._reference(value, scope)
            case MacroUse():
                return self._macro(value)
            case list() | tuple():
                items = tuple(self._node(item, scope, place) for item in value)
                return Items(items, is_tuple=isinstance(value, tuple), place=place)
            case dict():
                return Entries({key: self._node(item, scope, place) for key, item in value.items()}, place=place)
        return Leaf(value, place=place)

    def _reference(self, reference: Reference, scope: Scope) -> Node:
        scope = reference.scope or scope
        own = _OWN.get(reference.selector)
        if own == SINGLETON:
            return self._singleton(scope, reference)
        if own == MACRO:
            return self._macro(MacroUse("/".join(scope), reference.place))
        builder = self._select(reference.selector, reference.place)
        if builder is None:
            return Leaf(UNRESOLVED, place=reference.place)
        made = self._called(builder, scope, reference.place)
        if made is None:
            return Leaf(UNRESOLVED, place=reference.place)
        self._uses[scope, builder.name] = self._uses.get((scope, builder.name), 0) + 1
        return attrs.evolve(made, deferred=not reference.called)

    def _singleton(self, scope: Scope, reference: Reference) -> Node:
        key = "/".join(scope)
        bound = self._value_in_force(scope, SINGLETON, "constructor")
        if bound is None:
            self._fail(
                reference.place,
                "missing",
                f"expected a binding of {key}/gin.singleton.constructor, found none",
                f"bind it to what {reference} is to build once",
            )
            return Leaf(UNRESOLVED, place=reference.place)
        return Once(key, self._node(bound.value, scope, bound.binding.place), place=reference.place)

    def _macro(self, use: MacroUse) -> Node:
        constants = self._constants.matching_selectors(use.name)
        if constants:
            return Leaf(self._constants[constants[0]], place=use.place)
        scope = tuple(use.name.split("/"))
        key = (scope, MACRO)
        if key in self._stack:
            self._fail(use.place, "circle", f"expected a macro that ends, found %{use.name} in its own value")
            return Leaf(UNRESOLVED, place=use.place)
        bound = self._value_in_force(scope, MACRO, "value")
        if bound is None:
            if use.name == "gin.REQUIRED":
                self._fail(use.place, "missing", "expected a binding that replaces %gin.REQUIRED, found none")
            else:
                known = ["/".join(s) for s, name in self._config if name == MACRO]
                known += [name for name, _ in self._constants.items()]
                hint = did_you_mean(use.name, known)
                self._fail(use.place, "unknown", f"expected a macro that is defined, found %{use.name}", hint)
            return Leaf(UNRESOLVED, place=use.place)
        self._stack.append(key)
        node = self._node(bound.value, scope, bound.binding.place)
        self._stack.pop()
        return attrs.evolve(node, anchor="_".join(scope))

    def _select(self, selector: str, place: Place) -> Builder | None:
        found = self._schema.selected(selector)
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(builder.selector for builder in found)
            self._fail(place, "unknown", f"expected one builder {selector!r}, found {listed}", "write more of its name")
        else:
            known = [
                part for b in self._schema.builders.values() for part in (b.selector.rpartition(".")[2], b.selector)
            ]
            hint = did_you_mean(selector, known if "." in selector else known[::2])
            self._fail(place, "unknown", f"expected a registered builder, found {selector!r}", hint)
        return None

    def _referred(self, value: Any) -> Iterable[str]:
        match value:
            case Reference():
                for builder in self._schema.selected(value.selector)[:1]:
                    yield builder.name
            case list() | tuple():
                for item in value:
                    yield from self._referred(item)
            case dict():
                for item in value.values():
                    yield from self._referred(item)

    def _say_unreached(self) -> None:
        for bound in (
            bound for key, bound in self._elsewhere.items() if key not in self._in_tree or key in self._surely
        ):
            message = f"{bound.binding.key} holds where code of a builder calls it: no part of the config's tree"
            self._find(bound.binding.place, "elsewhere", message, "keep it in gin, or pass it as a parameter")
        for (scope, name), group in self._config.items():
            for bound in group.values():
                place, key = bound.binding.place, bound.binding.key
                if id(bound) in self._passed and not bound.effective:
                    self._find(
                        place,
                        "unreached",
                        f"{key} has no effect: whoever builds {self._passed[id(bound)]} passes it itself",
                        "remove it",
                    )
                elif not bound.matched and name == MACRO:
                    self._find(place, "unreached", f"macro {'/'.join(scope)} is never used", "remove it")
                elif not bound.matched:
                    self._find(place, "unreached", f"{key} is never reached: {self._why(scope, name)}", "remove it")
                elif not bound.effective:
                    self._find(
                        place,
                        "unreached",
                        f"{key} has no effect: wherever it holds, a longer scope binds it again",
                        "remove it",
                    )

    def _why(self, scope: Scope, name: str) -> str:
        inside = f" in scope {'/'.join(scope)}" if scope else ""
        hint = did_you_mean("/".join(scope), self._scopes()) if scope and "/".join(scope) not in self._scopes() else ""
        return f"nothing builds {name.removeprefix('gin.')}{inside}{'; ' if 'did you' in hint else ''}" + (
            hint if "did you" in hint else ""
        )

    def _scopes(self) -> set[str]:
        """Every scope that some reference opens."""
        found: set[str] = set()
        waiting = [bound.value for bound in self._all()]
        while waiting:
            match waiting.pop():
                case Reference(scope=scope):
                    found |= {"/".join(scope[:length]) for length in range(1, len(scope) + 1)}
                case list() | tuple() as items:
                    waiting += items
                case dict() as entries:
                    waiting += entries.values()
        return found

    def _all(self) -> list[_Bound]:
        return [bound for group in self._config.values() for bound in group.values()]

    def _fail(self, place: Place, kind: str, message: str, next_step: str = "") -> None:
        self._problems.append(Problem(place, "", kind, message, next_step))

    def _find(self, place: Place, kind: str, message: str, next_step: str = "") -> None:
        self._problems.append(Problem(place, "", kind, message, next_step, Severity.FINDING))


def _is_made(builder: Builder, inner: str, arguments: Mapping[str, Node]) -> bool:
    """Whether a builder's code calls another one, with these arguments."""
    if builder.guards.get(inner, ALWAYS) in (ALWAYS, INHERITED):
        return True
    parameter, when = builder.guards[inner]
    node = arguments.get(parameter)
    given = node is not None and not (isinstance(node, Leaf) and node.value is None)
    if when == "plain":
        return not isinstance(node, Call | Once)
    return given == (when == "given")


def _with_anchors(call: Call, uses: Mapping[tuple[Scope, str], int]) -> Call:
    """Name the calls that the same bindings make more than once, so that a writer can say them once, too."""
    found: Call = _anchored(call, uses)  # type: ignore[assignment]  # a call stays one
    return found


def _anchored(node: Node, uses: Mapping[tuple[Scope, str], int]) -> Node:
    match node:
        case Call(name, arguments):
            inner = {key: _anchored(value, uses) for key, value in arguments.items()}
            anchor = node.anchor
            if anchor is None and arguments and uses.get((node.scope, name), 0) > 1:
                anchor = "_".join([*node.scope, name])
            return attrs.evolve(node, arguments=inner, anchor=anchor)
        case Items(items):
            return attrs.evolve(node, items=tuple(_anchored(item, uses) for item in items))
        case Entries(entries):
            return attrs.evolve(node, entries={key: _anchored(value, uses) for key, value in entries.items()})
        case Once(_, constructor):
            return attrs.evolve(node, constructor=_anchored(constructor, uses))
    assert not list(children(node))
    return node
