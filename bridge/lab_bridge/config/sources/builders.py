"""A schema from builders' sources: nothing is imported, what a config can say is read off signatures."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

import attrs

from lab_bridge.config.places import Place
from lab_bridge.config.schema import Builder, Parameter, Role, Schema
from lab_bridge.config.sources.annotations import Annotations
from lab_bridge.config.sources.bases import initialised_base
from lab_bridge.config.sources.guards import guarded
from lab_bridge.config.sources.modules import Definition, Module, Sources, dotted
from lab_bridge.config.sources.registered import EXTERNAL, Registered, constants, registered
from lab_bridge.config.sources.signatures import (
    RawParameter,
    Signature,
    accepts_positional,
    ancestry,
    is_called_with,
    methods,
    plain_default,
    signature,
)
from lab_bridge.config.types import OWN

__all__ = ["entry_calls", "schema_of", "schema_of_modules"]

_EMPTY = Schema({}, {})


def schema_of_modules(sources: Sources, modules: Iterable[str], base: Schema = _EMPTY) -> Schema:
    """What some modules register with gin, in terms of the roles of `base`, which it does not repeat."""
    read = [module for module in map(sources.module, modules) if module is not None]
    found = schema_of(sources, [one for module in read for one in registered(module, sources)], base)
    given = {name: value for module in read for name, value in constants(module, sources).items()}
    return attrs.evolve(found, constants=given)


def schema_of(sources: Sources, things: Iterable[Registered], base: Schema = _EMPTY) -> Schema:
    """The schema of some builders; see `schema_of_modules`."""
    raw = [_Raw(one, sources) for one in _first_of_each(things)]
    names = _names(raw, base)
    by_target = {one.registered.target: name for one, name in names.items()}
    known_targets = {builder.target: builder.name for builder in base.builders.values()}
    roles = dict(base.roles)
    members = _Members(raw, base)
    annotations = Annotations(sources, roles, known_targets | by_target, members)
    spelled = {one: [_parameter(p, annotations, sources) for p in one.visible] for one in raw}
    roles_now = _with_bases(roles, sources, annotations)
    builders = {}
    for one, name in names.items():
        stands_for = _stands_for(one, roles_now, annotations, sources)
        # a caller that builds through a factory passes the first arguments itself
        passed = max((annotations.arities.get(role, 0) for role in stands_for), default=0)
        passed = max(
            passed, *(len(b.supplied) for b in base.builders.values() if set(b.stands_for) & set(stands_for)), 0
        )
        builders[name] = Builder(
            name,
            one.registered.target,
            one.registered.selector,
            tuple(spelled[one]),
            stands_for,
            tuple(parameter.name for parameter in one.signature.parameters[:passed] if parameter.positional),
            one.signature.open,
            one.untyped_result,
            one.returns is not None or (one.untyped_result and one.definition is not None),
            called_anyhow=bool(annotations.called_anyhow & set(stands_for)),
            methods=_methods(one, sources),
            doc=one.doc,
            place=one.place,
        )
    own_roles = {name: role for name, role in roles_now.items() if base.roles.get(name) != role}
    return _with_calls(Schema(builders, own_roles), raw, names, base, sources)


def entry_calls(sources: Sources, modules: Iterable[str], schema: Schema) -> dict[str, set[str]]:
    """Builders that scripts and functions call themselves, by name, with the parameters that every call passes."""
    found: dict[str, set[str]] = {}
    for module in filter(None, map(sources.module, modules)):
        inside = {
            id(inner) for node in module.tree.body if _is_builder(node, module, schema) for inner in ast.walk(node)
        }
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and id(node) not in inside:
                _note_call(node, module, schema, sources, found)
            elif isinstance(node, ast.Name | ast.Attribute) and id(node) not in inside:
                builder = _named(node, module, schema, sources)
                if builder is not None and not _inside_call(node, module, sources):
                    found.setdefault(builder.name, set()).clear()
    return found


class _Raw:
    """A registered builder with all that its source says."""

    def __init__(self, one: Registered, sources: Sources) -> None:
        self.registered = one
        definition = one.definition
        self.definition = definition if isinstance(definition, Definition) else None
        self.signature = signature(definition, sources) if isinstance(definition, Definition) else Signature((), True)
        self.ancestors: list[str] = []
        self.untyped_result = self.definition is None
        self.doc = ""
        self.place = Place("")
        if self.definition is None:
            return
        node = self.definition.node
        self.place = Place(str(self.definition.module.path), one.line or node.lineno)
        if isinstance(node, ast.ClassDef):
            lineage = ancestry(self.definition, sources)
            self.ancestors = [a.qualified if isinstance(a, Definition) else a for a in lineage]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.untyped_result = node.returns is None
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            self.doc = (ast.get_docstring(node) or "").split("\n")[0]

    @property
    def visible(self) -> list[RawParameter]:
        """The parameters that gin lets a config bind."""
        hidden, only = self.registered.hidden, self.registered.only
        return [p for p in self.signature.parameters if p.name not in hidden and (not only or p.name in only)]

    @property
    def returns(self) -> ast.expr | None:
        """The return annotation of a function."""
        node = self.definition.node if self.definition is not None else None
        return node.returns if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None


class _Members:
    """Whether configs can name a builder of what lies at an import path."""

    def __init__(self, raw: list[_Raw], base: Schema) -> None:
        self._paths = {path for one in raw for path in one.ancestors}
        for builder in base.builders.values():
            self._paths.add(builder.target)
            names = base._closure(builder.stands_for)
            self._paths |= {base.roles[name].source for name in names if name in base.roles}

    def __call__(self, path: str) -> bool:
        return path in self._paths


def _first_of_each(things: Iterable[Registered]) -> list[Registered]:
    """One registration a selector."""
    found: dict[str, Registered] = {}
    for one in things:
        found.setdefault(one.selector, one)
    return list(found.values())


def _names(raw: list[_Raw], base: Schema) -> dict[_Raw, str]:
    """A name for each builder: its last part, with the module's before it where that is taken."""
    taken = set(base.builders) | set(base.roles)
    found = {}
    for one in raw:
        module, _, name = one.registered.selector.rpartition(".")
        if name in taken:
            name = f"{module.rpartition('.')[2]}_{name}"
        while name in taken:
            name += "_"
        taken.add(name)
        found[one] = name
    return found


def _parameter(raw: RawParameter, annotations: Annotations, sources: Sources) -> Parameter:
    default = plain_default(raw, sources)
    shown = ast.unparse(raw.default) if default is OWN and raw.default is not None else ""
    if raw.annotation is None:
        inferred = _inferred(default)
        return Parameter(raw.name, inferred, _frozen(default, inferred), inferred != "Any", shown)
    spelled = annotations.spell(raw.annotation, raw.module)
    if default is None and "None" not in spelled and spelled != "Any":
        spelled += " | None"  # an implicit Optional, as PEP 484 allowed it
    if default is OWN and spelled != "Any":
        spelled += " | Own"
    return Parameter(raw.name, spelled, _frozen(default, spelled), shown=shown)


def _inferred(default: object) -> str:
    """The type of a default, where nobody annotated; a whole number says nothing against a fraction."""
    if type(default) is int:
        return "int | float"
    if isinstance(default, bool | int | float | str):
        return type(default).__name__
    return "Any"


def _frozen(default: object, spelled: str) -> object:
    return tuple(default) if isinstance(default, list) and "Sequence[" in spelled else default


def _with_bases(roles: dict[str, Role], sources: Sources, annotations: Annotations) -> dict[str, Role]:
    """Every role with the roles that its class derives from, now that all of them are known."""
    found = {}
    for name, role in roles.items():
        definition = sources.find(role.source)
        bases = list(role.bases)
        if isinstance(definition, Definition) and isinstance(definition.node, ast.ClassDef):
            for ancestor in ancestry(definition, sources)[1:]:
                path = ancestor.qualified if isinstance(ancestor, Definition) else ancestor
                known = annotations.role_at(path)
                if known and known in roles and known not in bases:
                    bases.append(known)
        found[name] = attrs.evolve(role, bases=tuple(bases))
    return found


def _stands_for(one: _Raw, roles: Mapping[str, Role], annotations: Annotations, sources: Sources) -> tuple[str, ...]:
    found: list[str] = []
    for path in one.ancestors[1:]:
        known = annotations.role_at(path)
        if known:
            found.append(known)
    own = one.definition
    if own is not None and isinstance(own.node, ast.ClassDef):
        has = methods(own, sources)
        # a class that derives from what somebody asks for is that, and no stray callable of the same arity
        is_module = one.ancestors[1:] == ["torch.nn.Module"]
        nominal = bool(found) or "torch.nn.Module" in one.ancestors
        for role in roles.values():
            call = has.get("__call__") or (has.get("forward") if is_module else None)
            if call is not None and not is_called_with(call, role.takes):
                continue
            if role.methods and set(role.methods) <= set(has):
                found.append(role.name)
            # what a module of nobody's kind is called with may tell it apart from the models, which take one input
            stray = nominal and not (is_module and (role.arity or 0) > 1)
            if role.arity is not None and not stray and _can_be_called(call, role.arity):
                found.append(role.name)
    if own is not None and one.returns is not None:
        found += [name for name in _asked_for(annotations.spell(one.returns, own.module)) if name in roles]
    return _most_special(list(dict.fromkeys(found)), roles)


def _methods(one: _Raw, sources: Sources) -> frozenset[str]:
    if one.definition is None or not isinstance(one.definition.node, ast.ClassDef):
        return frozenset()
    return frozenset(methods(one.definition, sources))


def _can_be_called(call: ast.FunctionDef | ast.AsyncFunctionDef | None, arity: int) -> bool:
    return call is not None and (arity < 0 or accepts_positional(call, arity, bound=True))


def _asked_for(spelled: str) -> list[str]:
    return [part.strip() for part in spelled.split("|")]


def _most_special(names: list[str], roles: Mapping[str, Role]) -> tuple[str, ...]:
    """Without those that another name is a kind of already."""
    implied = {base for name in names if name in roles for base in roles[name].bases}
    return tuple(name for name in names if name not in implied)


def _with_calls(found: Schema, raw: list[_Raw], names: Mapping[_Raw, str], base: Schema, sources: Sources) -> Schema:
    """Which builders the builders' own code calls, so that bindings for those are known to be reached."""
    everything = base.joined(found)
    builders = dict(found.builders)
    for one in raw:
        if one.definition is None:
            continue
        calls: dict[str, set[str]] = {}
        guards: dict[str, tuple[str, str]] = {}
        for part, module in _code(one.definition, sources):
            for node in ast.walk(part):
                if isinstance(node, ast.Call):
                    _note_call(node, module, everything, sources, calls)
                elif isinstance(node, ast.BoolOp | ast.IfExp) and not isinstance(part, ast.FunctionDef):
                    for call, when in guarded(node):
                        builder = _named(call.func, module, everything, sources)
                        if builder is not None:
                            guards[builder.name] = when
        calls.pop(names[one], None)
        base_run = initialised_base(one.definition, everything, sources)
        if base_run is not None:
            builder, given, when = base_run
            calls[builder.name], guards[builder.name] = given, when
        # whoever has the object may call its methods
        for method in raw:
            if method.registered.target.startswith(f"{one.registered.target}."):
                calls.setdefault(names[method], set())
        passed = {name: tuple(sorted(given)) for name, given in calls.items()}
        builders[names[one]] = attrs.evolve(builders[names[one]], calls=passed, guards=guards)
    return attrs.evolve(found, builders=builders)


def _code(definition: Definition, sources: Sources) -> Iterator[tuple[ast.AST, Module]]:
    """What runs when a builder does: itself, the bases of a class, and the functions of their files that they call."""
    lineage = ancestry(definition, sources) if isinstance(definition.node, ast.ClassDef) else [definition]
    for one in lineage:
        if isinstance(one, Definition):
            yield from ((node, one.module) for node in [one.node, *_helpers(one)])


def _helpers(definition: Definition) -> list[ast.stmt]:
    """Functions of the same file that a definition calls, and those that they call."""
    functions = {node.name: node for node in definition.module.tree.body if isinstance(node, ast.FunctionDef)}
    found: dict[str, ast.stmt] = {}
    waiting: list[ast.AST] = [definition.node]
    while waiting:
        for node in ast.walk(waiting.pop()):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if name in functions and name not in found and functions[name] is not definition.node:
                found[name] = functions[name]
                waiting.append(functions[name])
    return [node for node in found.values() if not getattr(node, "decorator_list", ())]


def _note_call(node: ast.Call, module: Module, schema: Schema, sources: Sources, found: dict[str, set[str]]) -> None:
    builder = _named(node.func, module, schema, sources)
    if builder is None:
        return
    given = {parameter.name for parameter, _ in zip(builder.parameters, node.args, strict=False)}
    given |= {keyword.arg for keyword in node.keywords if keyword.arg is not None}
    found[builder.name] = found[builder.name] & given if builder.name in found else given


def _named(node: ast.expr, module: Module, schema: Schema, sources: Sources) -> Builder | None:
    name = dotted(node)
    if not name:
        return None
    meant = sources.resolve(module, name)
    path = meant.qualified if isinstance(meant, Definition) else meant
    return schema.at(path) if "." in path or isinstance(meant, Definition) else None


def _inside_call(node: ast.expr, module: Module, sources: Sources) -> bool:
    """Whether a name is the callee of a call, or part of a longer dotted name: those are noted elsewhere.

    Or it is only registered there.
    """
    return any(
        (isinstance(outer, ast.Call) and outer.func is node)
        or (isinstance(outer, ast.Call) and node in outer.args and _registers(outer, module, sources))
        or (isinstance(outer, ast.Attribute) and outer.value is node)
        or (isinstance(outer, ast.ClassDef | ast.FunctionDef) and node in outer.decorator_list)
        for outer in ast.walk(module.tree)
    )


def _registers(call: ast.Call, module: Module, sources: Sources) -> bool:
    return (name := dotted(call.func)) != "" and sources.resolve(module, name) in EXTERNAL


def _is_builder(node: ast.stmt, module: Module, schema: Schema) -> bool:
    return (
        isinstance(node, ast.ClassDef | ast.FunctionDef)
        and schema.at(f"{module.name}.{node.name}" if module.name else node.name) is not None
    )
