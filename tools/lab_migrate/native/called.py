"""What a project's code makes itself, where gin would hand it settings: a native training has no gin that would."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from lab_bridge.config.documents import Document
from lab_bridge.config.nodes import Call, Node, children
from lab_bridge.config.schema import Builder
from lab_bridge.config.sources.modules import Definition, Module, Sources, dotted
from lab_bridge.config.sources.signatures import ancestry
from lab_migrate.findings import Finding, Status
from lab_migrate.native.by_name import looked_up
from lab_migrate.native.files import File
from lab_migrate.native.labs import is_labs
from lab_migrate.native.own_kind import kind_of_another, own_kinds
from lab_migrate.native.registrations import registers, told_to_gin

__all__ = ["called_with_settings"]

Scope = tuple[str, ...]
#: What code may ask of gin without being told what a config says.
UNTOLD = {
    "add_config_file_search_path", "config_scope", "configurable", "constant", "constants_from_enum",
    "external_configurable", "register",
}  # fmt: skip
DIRECT = "give it the value here, which changes nothing, or stay at level L2"
INDIRECT = "give it the value where it is called, drop this if nobody calls it, or stay at level L2"


@attrs.frozen
class _Use:
    """A place where code has a builder, and the parameters that it is surely given there."""

    node: ast.expr
    name: str
    builder: Builder
    given: frozenset[str] = frozenset()
    does: str = "calls"


def called_with_settings(
    root: Path, files: Mapping[str, File], entry: str, document: Document, left_out: Iterable[Finding]
) -> Iterator[Finding]:
    """A finding at each place where code has a builder without a parameter that the config binds, or asks gin itself.

    `entry` is written anew, and what is `left_out` of a file does nothing.
    """
    gone = {(one.path, one.line) for one in left_out}
    sources = Sources()
    names = {sources.file_of(name): name for name in sources.add(root)}
    families = _families(sources, document)
    made = {one for call in document.entries.values() for one in _made(call, document)}
    if any("config_scope" in file.text for path, file in files.items() if path != entry):
        made |= {(scope, "") for scope, _ in document.bound}
    for path, file in files.items():
        top = sources.module(names.get(root / path, ""))
        if path == entry or top is None:
            continue
        module = sources.with_inner_imports(top)
        kept = [one for one in file.tree.body if (path, one.lineno) not in gone and not registers(one)]
        for node in (part for one in kept for part in ast.walk(one)):
            asked = dotted(node.func) if isinstance(node, ast.Call) else ""
            if asked.startswith("gin.") and asked.rpartition(".")[2] not in UNTOLD:
                yield _finding(path, node, f"calls {asked}, which a native training has no config for")
        uses = [*_uses(kept, module, sources, document), *_of_own_kind(kept, module, families)]
        uses += [*_registered(kept, module, sources, document), *_by_name(kept, module, sources, document)]
        uses += _of_some_kind(kept, {id(one.node) for one in uses}, document)
        said = set[ast.expr]()
        for one in uses:
            lacking = sorted(_bound(one.builder, made, document) - one.given)
            if lacking and one.node not in said:
                said.add(one.node)
                by = f"the config's {one.builder.name}.{lacking[0]}; a native training has no gin"
                what = f"{one.does} {one.name} without {', '.join(lacking)}, which gin gives it by {by}"
                yield _finding(path, one.node, what, DIRECT if one.does == "calls" else INDIRECT)


def _finding(path: str, node: ast.AST, what: str, step: str = DIRECT) -> Finding:
    assert isinstance(node, ast.expr)
    return Finding(path, node.lineno, node.col_offset + 1, "LM405", Status.UNSUPPORTED, what, step)


def _uses(kept: list[ast.stmt], module: Module, sources: Sources, document: Document) -> Iterator[_Use]:
    """Where a builder is called, made the base of a class that gin does not know, or handed on as a value."""
    harmless = [*told_to_gin(kept), *(whole for one in kept for whole in _harmless(one))]
    plain = {id(part) for whole in harmless for part in ast.walk(whole)}
    calls = {id(node.func): node for one in kept for node in ast.walk(one) if isinstance(node, ast.Call)}
    bases = {id(base): node for node in _classes(kept) for base in node.bases}
    inner = {id(node.value) for one in kept for node in ast.walk(one) if isinstance(node, ast.Attribute)}
    for node in (part for one in kept for part in ast.walk(one)):
        if not isinstance(node, ast.Name | ast.Attribute) or id(node) in plain | inner:
            continue
        name = dotted(node)
        meant = sources.resolve(module, name) if name and isinstance(node.ctx, ast.Load) else ""
        builder = document.schema.at(meant.qualified if isinstance(meant, Definition) else meant) if meant else None
        if builder is None:
            continue
        owner = bases.get(id(node))
        if owner is not None:
            full = f"{module.name}.{owner.name}" if module.name else owner.name
            if document.schema.at(full) is None:  # else the config's reader has looked at what it asks its base for
                asked = [one for one in ast.walk(owner) if isinstance(one, ast.Call) and _asks_base(one)]
                given = [_given(one, builder) for one in asked]
                yield _Use(node, name, builder, frozenset.intersection(*given) if given else frozenset())
        elif id(node) in calls:
            yield _Use(node, name, builder, _given(calls[id(node)], builder))
        else:
            yield _Use(node, name, builder)


def _of_own_kind(kept: list[ast.stmt], module: Module, families: Mapping[str, list[Builder]]) -> Iterator[_Use]:
    """Where methods make an object of their own class: of each class that gin knows and that has these methods."""
    for owner in _classes(kept):
        family = families.get(f"{module.name}.{owner.name}" if module.name else owner.name, [])
        for node, call in own_kinds(owner) if family else ():
            for builder in family:
                if call is not None:
                    yield _Use(node, ast.unparse(node), builder, _given(call, builder))
                else:
                    yield _Use(node, f"{ast.unparse(node)}, to be called", builder, does="hands on")


def _of_some_kind(kept: list[ast.stmt], known: set[int], document: Document) -> Iterator[_Use]:
    """Where code makes an object of another one's class, which may be any of the project's: `type(other)(…)`."""
    for node in (part for one in kept for part in ast.walk(one) if isinstance(part, ast.Call)):
        if kind_of_another(node.func) and id(node.func) not in known:
            for builder in document.schema.builders.values():
                if not is_labs(builder):
                    name = f"{builder.name} by {ast.unparse(node.func)}(…)"
                    yield _Use(node.func, name, builder, _given(node, builder), does="may call")


def _registered(kept: list[ast.stmt], module: Module, sources: Sources, document: Document) -> Iterator[_Use]:
    """Where the project decorates a builder with something of its own, which may keep it and call it."""
    for node in (part for one in kept for part in ast.walk(one)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            builder = document.schema.at(f"{module.name}.{node.name}" if module.name else node.name)
            for one in node.decorator_list if builder is not None else ():
                name = dotted(one.func if isinstance(one, ast.Call) else one)
                meant = sources.resolve(module, name) if name else ""
                own = isinstance(meant, Definition) or sources.holds(meant)
                if builder is not None and own:
                    yield _Use(one, f"{node.name} to @{name}, which may call it", builder, does="gives")


def _by_name(kept: list[ast.stmt], module: Module, sources: Sources, document: Document) -> Iterator[_Use]:
    """Where code has what may be a builder by a name that it makes: in a module, any that the module has."""
    for node, of, name in (found for one in kept for found in looked_up(one, module, sources)):
        where = sources.module(of)
        names = [name] if name else [*where.names] if where is not None else []
        known = [sources.resolve(where, one) for one in names] if where is not None else []
        found = [document.schema.at(one.qualified if isinstance(one, Definition) else one) for one in known]
        if where is None:
            found = [one for one in document.schema.builders.values() if not is_labs(one)]
        for builder in found:
            if builder is not None:
                yield _Use(node, f"{builder.name} by {ast.unparse(node)}", builder, does="may call")


def _families(sources: Sources, document: Document) -> dict[str, list[Builder]]:
    """The classes that gin knows, under the import path of each class of the project's whose methods they have."""
    found: dict[str, list[Builder]] = {}
    for builder in document.schema.builders.values():
        definition = sources.find(builder.target)
        for one in ancestry(definition, sources) if isinstance(definition, Definition) else ():
            if isinstance(one, Definition):
                found.setdefault(one.qualified, []).append(builder)
    return found


def _classes(kept: Iterable[ast.stmt]) -> Iterator[ast.ClassDef]:
    return (node for one in kept for node in ast.walk(one) if isinstance(node, ast.ClassDef))


def _harmless(statement: ast.stmt) -> Iterator[ast.AST]:
    """What of a statement makes nothing: decorators, annotations, and what a thing is asked whether it is one of."""
    for node in ast.walk(statement):
        yield from getattr(node, "decorator_list", ())
        for field in ("annotation", "returns"):
            found = getattr(node, field, None)
            if isinstance(found, ast.AST):
                yield found
        if isinstance(node, ast.Call) and dotted(node.func) in ("isinstance", "issubclass"):
            yield from node.args[1:]
        elif isinstance(node, ast.Compare):
            yield node
        elif isinstance(node, ast.MatchClass):
            yield node.cls


def _asks_base(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "super().__init__"


def _made(node: Node, document: Document) -> Iterator[tuple[Scope, str]]:
    """What of the project's own is made, each with its scope."""
    if isinstance(node, Call):
        builder = document.schema.builders.get(node.name)
        if builder is not None and not is_labs(builder):
            yield node.scope, node.name
    for _, inner in children(node):
        yield from _made(inner, document)


def _bound(builder: Builder, made: set[tuple[Scope, str]], document: Document) -> set[str]:
    """The parameters that bindings give it outside of all scopes, or in one of anything else's that may call it."""
    scopes = {scope for scope, name in made if name != builder.name}
    found: set[str] = set()
    for (scope, name), parameters in document.bound.items():
        if name == builder.name and any(one[: len(scope)] == scope for one in {*scopes, ()}):
            found |= set(parameters)
    return found


def _given(call: ast.Call, builder: Builder) -> frozenset[str]:
    """The parameters that a call surely gives."""
    count = next((index for index, one in enumerate(call.args) if isinstance(one, ast.Starred)), len(call.args))
    return frozenset(
        {one.name for one in builder.parameters[:count]} | {one.arg for one in call.keywords if one.arg is not None}
    )
