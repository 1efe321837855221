"""What becomes of every name: a local of its hook, an attribute of the LightningModule, or what it was."""

from __future__ import annotations

import ast
from collections.abc import Collection

import attrs

from lab_migrate.analysis.definitions import enclosing_class, is_builtin
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.mentions import flow_of, targets_of
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.reserved import RESERVED

TRAIN, TAIL, VALIDATE = "training_step", "on_train_batch_end", "validation_step"


@attrs.define(eq=False)
class Names:
    """Canonical names by what becomes of them, in order of first use. Values are attribute names.

    `captured` come in through `__init__`; `carried` outlive their hook; `initial` are the carried ones that have a
    value before the first epoch; `passed` go from `training_step` to `on_train_batch_end` by its result; `exported`
    are read after the last epoch.
    """

    captured: dict[str, str] = attrs.field(factory=dict)
    carried: dict[str, str] = attrs.field(factory=dict)
    initial: dict[str, ast.Assign | None] = attrs.field(factory=dict)
    passed: list[str] = attrs.field(factory=list)
    exported: list[str] = attrs.field(factory=list)


def names_of(
    nest: Nest,
    hooks: dict[str, list[Item]],
    given: dict[str, list[str]],
    fixed: set[str],
    taken: Collection[str],
    extra: list[ast.expr],
) -> Names:
    """Decide. `given` are the names that a hook receives (its batch); `fixed` those that have a place already, and
    `taken` the attributes that these are.

    `extra` are expressions of the base frame that move into `configure_optimizers`.
    """
    found = Names()
    flows = {hook: flow_of(items, given.get(hook, ())) for hook, items in hooks.items()}
    base = nest.base
    frames = nest.frames
    stored = {name for flow in flows.values() for name in flow.stored}
    clash = sorted(name for name in stored & fixed)
    if clash:
        raise _names(nest, nest.epochs, f"{clash[0]} gets another value in the loop")
    _no_other_values(nest, hooks, fixed)
    before = _before(nest)
    read_after = read_after_of(nest)
    every = list(dict.fromkeys(name for flow in flows.values() for name in flow.used))
    # The base frame's names first: those of the functions taken apart step aside.
    for name in sorted(every, key=lambda one: ":" in one):
        if not name or name in fixed or any(name.startswith(f"{one}.") for one in fixed):
            continue
        if not _is_bound(name, frames):
            continue
        if name not in stored:
            if not (base.is_script and ":" not in name):
                found.captured[name] = _attribute(name, found, taken)
            continue
        exposed = {hook for hook, flow in flows.items() if name in flow.exposed}
        if ":" not in name and name in read_after:
            found.exported.append(name)
        elif not exposed:
            continue
        elif exposed == {TAIL} and name in flows[TRAIN].sure:
            found.passed.append(name)
            continue
        found.carried[name] = _attribute(name, found, taken)
        if ":" not in name and name in before:
            found.initial[name] = before[name]
    for value in extra:
        for used in sorted(names_in([value]).read):
            name = base.canonical(used)
            placed = name in fixed or name in found.captured or name in found.carried
            if not placed and _is_bound(name, frames) and not base.is_script:
                found.captured[name] = _attribute(name, found, taken)
    _can_be_attributes(nest, hooks, found.carried)
    _no_lost_values(nest, hooks, found.exported)
    _no_late_values(nest, hooks)
    _no_readers_elsewhere(nest, stored | _counters(nest), {*found.captured, *fixed})
    _no_looks_at_names(nest, hooks)
    _no_private_names(nest, hooks)
    return found


def _no_other_values(nest: Nest, hooks: dict[str, list[Item]], fixed: set[str]) -> None:
    """`self.loader = DataLoader(…)` in an epoch: Lightning has been given the one before it, and asks no other."""
    for items in hooks.values():
        for item in items:
            for node in own_nodes([item.node]):
                if not isinstance(node, ast.Attribute | ast.Subscript) or isinstance(node.ctx, ast.Load):
                    continue
                if (name := item.frame.entry(node)) in fixed:
                    raise _names(nest, node, f"{name} gets another value in the loop")


def _can_be_attributes(nest: Nest, hooks: dict[str, list[Item]], carried: Collection[str]) -> None:
    """`except … as name`, `case name`, imports and definitions bind names of a scope, never attributes."""
    for items in hooks.values():
        for item in items:
            for node in own_nodes([item.node]):
                for name in _bound_as_names(node):
                    if item.frame.canonical(name) in carried:
                        raise _names(
                            nest,
                            node,
                            f"{name} outlives its batch or epoch, and what binds it cannot bind an attribute",
                        )


def _no_lost_values(nest: Nest, hooks: dict[str, list[Item]], exported: Collection[str]) -> None:
    """What the loop deletes, and the program asks for behind it, may be gone: the attribute that it became is, too."""
    for items in hooks.values():
        for item in items:
            lost = sorted({item.frame.canonical(name) for name in names_in([item.node]).deleted} & {*exported})
            if lost:
                raise _names(nest, item.node, f"{lost[0]} is deleted in the loop, and read after it")


def _no_late_values(nest: Nest, hooks: dict[str, list[Item]]) -> None:
    """A lambda or function of the loop's sees what its names become after the loop; attributes stay what they were."""
    end = nest.epochs.end_lineno or nest.epochs.lineno
    late = {
        node.id
        for node in nest.base.function.own
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.lineno > end
    }
    for items in hooks.values() if late else ():
        for item in items:
            for node in own_nodes([item.node]):
                if not isinstance(node, ast.Lambda | ast.FunctionDef) or item.frame is not nest.base:
                    continue
                shared = sorted(names_in([node]).captured & late)
                if shared:
                    raise _names(nest, node, f"a function made in the loop reads {shared[0]}, which changes after it")


def _bound_as_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return [node.name] if node.name else []
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        # What a class body binds would be bound as an attribute of something else.
        return [node.name, *(sorted(names_in(node.body).assigned) if isinstance(node, ast.ClassDef) else ())]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    return []


def _is_bound(name: str, frames: list[Frame]) -> bool:
    head, _, local = name.partition(":")
    if local:
        return True
    return head.partition(".")[0] in frames[0].bound


def _attribute(name: str, names: Names, taken: Collection[str]) -> str:
    function, _, local = name.rpartition(":")
    last = "owner" if local == "self" else local.rpartition(".")[2]
    theirs = {value for kind in (names.captured, names.carried) for key, value in kind.items() if ":" not in key}
    if function and last in theirs:
        last = f"{function.rpartition('.')[2]}_{last}"
    while last in RESERVED or (last in theirs and function) or last in taken:
        last += "_"
    return last


def _before(nest: Nest) -> dict[str, ast.Assign | None]:
    """Names of the base frame that have a value before the epochs, with the assignment where there is just one."""
    found: dict[str, list[ast.Assign | None]] = {}
    for name in nest.base.function.parameters:
        found.setdefault(name, []).append(None)
    inside = {id(node) for node in own_nodes([nest.epochs])}
    for node in nest.base.function.own:
        if id(node) in inside:
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.lineno < nest.epochs.lineno:
            found.setdefault(node.id, []).append(None)
    for statement in nest.base.function.own:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and id(statement) not in inside:
            name = dotted(statement.targets[0])
            if len(found.get(name, [])) == 1 and statement.lineno < nest.epochs.lineno:
                found[name] = [statement]
    return {name: listed[0] if len(listed) == 1 else last_given(name, nest) for name, listed in found.items()}


def last_given(name: str, nest: Nest) -> ast.Assign | None:
    """The assignment that surely gives a name of the base frame the value that the epochs find; None if none does."""
    found: ast.Assign | None = None
    for node in statements_before(nest):
        stores = [one for one in ast.walk(node) if isinstance(one, ast.Name) and one.id == name
                  and not isinstance(one.ctx, ast.Load)]  # fmt: skip
        plain = isinstance(node, ast.Assign) and len(node.targets) == 1 and dotted(node.targets[0]) == name
        if stores or name in _bound_as_names(node):
            found = node if plain and len(stores) == 1 else None  # type: ignore[assignment]
    return found


def statements_before(nest: Nest) -> list[ast.stmt]:
    """Statements that surely run before the epochs, in order: of the suites around them."""
    found: list[ast.stmt] = []
    suite: list[ast.stmt] = nest.base.function.body
    while True:
        around = next((node for node in suite if any(one is nest.epochs for one in ast.walk(node))), None)
        if around is None:
            return found
        found += suite[: suite.index(around)]
        if around is nest.epochs:
            return found
        inner = [getattr(around, name, None) or [] for name in ("body", "orelse", "finalbody")]
        suite = next((part for part in inner if any(one is nest.epochs for node in part for one in ast.walk(node))), [])


def read_after_of(nest: Nest) -> set[str]:
    """Names of the base frame that what follows the epochs may read before it assigns them."""
    inside = {id(node) for node in own_nodes([nest.epochs])}
    found: set[str] = set()
    suite: list[ast.stmt] = nest.base.function.body
    around: ast.stmt | None = None
    while suite:
        around = next((node for node in suite if any(one is nest.epochs for one in ast.walk(node))), None)
        if around is None:
            break
        found |= flow_of(Item(nest.base, node) for node in suite[suite.index(around) + 1 :]).exposed
        if around is nest.epochs:
            break
        if not isinstance(around, ast.If | ast.With):
            # A `try` or a loop around: whatever it reads further down, or again.
            found |= {node.id for node in ast.walk(around) if isinstance(node, ast.Name) and id(node) not in inside}
        parts = [getattr(around, name, None) or [] for name in ("body", "orelse", "finalbody")]
        suite = next((part for part in parts if any(one is nest.epochs for node in part for one in ast.walk(node))), [])
    return found


def _counters(nest: Nest) -> set[str]:
    """Names that the loops count and unpack in."""
    loops = nest.loops
    found = {nest.base.canonical(nest.epoch), *([nest.steps.counter] if nest.steps is not None else [])}
    for loop in loops:
        found |= {*targets_of(loop.frame, loop.target), *([loop.frame.canonical(loop.index)] if loop.index else [])}
    return found


def _no_readers_elsewhere(nest: Nest, stored: set[str], captured: set[str]) -> None:
    """A script's functions read its globals: one that the LightningModule keeps would be out of date."""
    if not nest.base.is_script:
        for function in nest.base.module.symbols.functions:
            if function.parent is not nest.base.function:
                continue
            names = names_in(function.body)
            late = sorted((names.nonlocals & (stored | captured)) | ((names.read | names.captured) & stored))
            if late and late[0] not in names.assigned - names.nonlocals and late[0] not in function.parameters:
                raise _names(nest, function.node, f"{function.qualified} shares {late[0]} with the loop")
        return
    taken = {id(frame.function) for frame in nest.frames}
    plain = {name for name in stored if ":" not in name}
    for function in nest.base.module.symbols.functions:
        if id(function) in taken or isinstance(function.node, ast.Module):
            continue
        names = names_in(function.body)
        own = (names.assigned | set(function.parameters)) - names.globals_
        late = sorted(((names.read | names.captured | names.globals_) - own) & plain)
        if late and not _encloses(function, nest):
            raise _names(nest, function.node, f"{function.qualified} reads {late[0]}, which the loop assigns")


def _no_looks_at_names(nest: Nest, hooks: dict[str, list[Item]]) -> None:
    """`locals()` and its like know names by their texts, and would find a hook's."""
    for items in hooks.values():
        for item in items:
            for node in own_nodes([item.node]):
                name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
                if not is_builtin(item.frame.function, name):
                    continue
                given = len(node.args) if isinstance(node, ast.Call) else 0
                if name in ("locals", "globals") or (name in ("vars", "dir") and not given):
                    raise _names(nest, node, f"{name}() looks at names that become attributes")
                if name in ("eval", "exec") and given < 2:
                    raise _names(nest, node, f"{name}() may name what becomes an attribute")


def _no_private_names(nest: Nest, hooks: dict[str, list[Item]]) -> None:
    """Python reads `self.__n` as `self._T__n` in the class `T`, and as another name in the LightningModule."""
    for items in hooks.values():
        for item in items:
            cls = enclosing_class(item.frame.function)
            for node in own_nodes([item.node]) if cls is not None else ():
                name = node.attr if isinstance(node, ast.Attribute) else ""
                if cls is not None and name.startswith("__") and not name.endswith("__"):
                    raise _names(nest, node, f"{ast.unparse(node)} is private to {cls.name}")


def _encloses(function: Function, nest: Nest) -> bool:
    return any(frame.function is function for frame in nest.frames)


def _names(nest: Nest, node: ast.AST, reason: str) -> NotIdiomaticError:
    return NotIdiomaticError(
        "LM305", nest.base.module.path, node, reason, "hand the value over by argument and result, and convert again"
    )
