"""Which device Fabric is made with: the one that the program chooses, where Fabric can be made after the choice."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import attrs

from lab_migrate.analysis import Module
from lab_migrate.analysis.devices import condition, is_cuda, is_repeatable, may_have_a_number, tests_around
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function, dotted

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@attrs.frozen(eq=False)
class Choice:
    """`after` is the file's statement that Fabric is made after; None where it is made below the imports.

    `settings` are Fabric's arguments. `ignored` are lines whose choice Fabric does not follow, and what they choose by.
    """

    after: ast.stmt | None
    settings: str
    ignored: tuple[tuple[int, str], ...] = ()


def devices_made(functions: Sequence[Function]) -> list[ast.Assign]:
    """`device = torch.device(…)`; one that is a plain string may be an option of the program's, and is none."""
    return [
        node
        for function in functions
        for node in function.own
        if isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and dotted(node.targets[0]).rpartition(".")[2] == "device"
        and isinstance(node.value, ast.Call)
        and dotted(node.value.func).endswith(("torch.device", ".current_accelerator"))
    ]


def moves_to_cuda(module: Module) -> list[ast.Call]:
    """`something.cuda()`, in the whole file."""
    return [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and is_cuda(node) and not dotted(node.func).startswith("torch.")
    ]


def first_need(module: Module, lines: Sequence[int]) -> int:
    """The first line of the file's own code that needs Fabric, where `lines` and the moves to CUDA do: those inside
    functions count where such a function is called."""
    needs = {*lines, *(node.lineno for node in moves_to_cuda(module))}
    inside = [node for node in module.tree.body if isinstance(node, _DEFINITIONS)]
    called: set[str] = set()
    while True:
        more = {
            node.name
            for node in inside
            if any(node.lineno <= line <= (node.end_lineno or 0) for line in needs) or _names(node) & called
        }
        if more <= called:
            break
        called |= more
    found = [
        node.lineno
        for node in module.tree.body
        if not isinstance(node, _DEFINITIONS)
        if _names(node) & called or any(node.lineno <= line <= (node.end_lineno or 0) for line in needs)
    ]
    return min(found, default=len(module.lines) + 1)


def choice_of(module: Module, made: Sequence[ast.Assign], first: int, default: str) -> Choice:
    """`made` are the devices that become Fabric's; `first` is the first line of the file's own that needs Fabric;
    `default` is the accelerator where no choice can be followed."""
    top = module.tree.body
    either = f'accelerator="{default}", devices=1'
    ignored = tuple(
        (node.lineno, module.source(node))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and dotted(node.func).endswith("cuda.set_device")
    )
    if made:
        if len(made) == 1 and made[0] in top and isinstance(made[0].targets[0], ast.Name) and made[0].lineno < first:
            name = made[0].targets[0].id
            number = f'[{name}.index or 0] if {name}.type == "cuda" else 1' if may_have_a_number(made[0].value) else "1"
            return Choice(made[0], f"accelerator={name}.type, devices={number}", ignored)
        said = tuple((node.lineno, module.source(node.value)) for node in made if not _is_plain_choice(node.value))
        return Choice(None, either, ignored + said)
    moves = moves_to_cuda(module)
    asked = {_condition(module, node): node for node in moves}
    if not moves or "" in asked:
        return Choice(None, either, ignored)
    text, node = next(iter(asked.items()))
    if len(asked) == 1 and text is not None:
        after = _last_bound(module, [test for test, _ in tests_around(module.tree, node)], first)
        if after is not None:
            return Choice(after, f'accelerator="cuda" if {text} else "cpu", devices=1', ignored)
    said = tuple(
        (node.lineno, " and ".join(module.source(test) for test, _ in tests_around(module.tree, node)))
        for node in asked.values()
        if not all(_is_plain_choice(test) for test, _ in tests_around(module.tree, node))
    )
    return Choice(None, either, ignored + said)


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _is_plain_choice(value: ast.expr) -> bool:
    """Whether a choice is the one that Fabric makes, too: by what the machine has."""
    names = {dotted(node) for node in ast.walk(value) if isinstance(node, ast.Name | ast.Attribute)}
    numbers = may_have_a_number(value)
    return not numbers and all(name == "torch" or name.startswith("torch.") for name in names)


def _condition(module: Module, move: ast.Call) -> str | None:
    tests = list(tests_around(module.tree, move))
    if not all(is_repeatable(test) for test, _ in tests):
        return None
    return " and ".join(condition(test, module.source(test), holds=holds) for test, holds in tests)


def _last_bound(module: Module, tests: Sequence[ast.expr], first: int) -> ast.stmt | None:
    """The file's own statement that last gives a value to what these tests read, before the first need of Fabric.

    None where that cannot be told: a function may give one, too, or not every name has one for certain.
    """
    read = {name for test in tests for name in _read(test)}
    names = {name.partition(".")[0] for name in read}
    inside = [function for function in module.symbols.functions if not isinstance(function.node, ast.Module)]
    if any(set(function.parameters) & names or _gives(function.body, read) for function in inside):
        return None
    bound = [node for node in module.tree.body if not isinstance(node, _DEFINITIONS) and _gives([node], read)]
    plain = [node for node in bound if isinstance(node, ast.Assign | ast.AnnAssign)]
    if not bound or not names <= names_in(plain).assigned or bound[-1].lineno >= first:
        return None
    return bound[-1]


def _read(test: ast.expr) -> set[str]:
    """`args.cuda` and `wanted` of `args.cuda and wanted[0] and torch.cuda.is_available()`."""
    inner = {id(node.value) for node in ast.walk(test) if isinstance(node, ast.Attribute)}
    found = {dotted(node) for node in ast.walk(test) if id(node) not in inner}
    return {name for name in found if name and name.partition(".")[0] != "torch"}


def _gives(nodes: Sequence[ast.stmt], read: set[str]) -> bool:
    """Whether statements give a value to one of these dotted names, to what it stands in, or to a part of it."""
    names = {name.partition(".")[0] for name in read}
    stored = [
        node
        for statement in nodes
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store)
    ]
    whole = [target for node in stored if (target := dotted(node))]
    parts = [node.value for node in stored if not dotted(node)]
    return (
        bool(names_in(nodes).assigned & names)
        or any(f"{one}.".startswith(f"{target}.") or target.startswith(f"{one}.") for one in read for target in whole)
        or any(_names(value) & names for value in parts)
    )
