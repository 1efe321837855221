"""Names, attributes and containers that the loop gives other values: what of them a checkpoint holds."""

from __future__ import annotations

import ast

from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.beginnings import CONTAINERS, container_of, is_filled, is_float, is_int, is_plain
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.plain import Kind
from lab_migrate.idiomatic.roles import nodes_of

_ARRAYS = frozenset({"arange", "array", "asarray", "empty", "eye", "full", "ones", "ones_like", "zeros", "zeros_like"})


def keep_value(keeping: Keeping, name: str, key: str, values: list[ast.expr], declared: str = "") -> None:
    """A name or attribute that the loop gives other values; `declared` stands above what gives it one."""
    later = keeping.made(name)
    arrays = any(_is_array(keeping, value) for value in [*values, *later])
    if values and all(map(is_plain, values)) and not arrays and not any(_is_object(keeping, value) for value in later):
        text = keeping.text(name)
        kind = keeping.values.assigned(name)
        saved = text
        if kind is not Kind.PLAIN and any(map(is_float, values)):
            saved = f"float({text})"
        elif (number := keeping.generators.numpy) and _may_be_numpys(keeping, kind, values):
            saved = f"{text}.item() if isinstance({text}, {number}.generic) else {text}"
        key = keeping.key(key)
        loaded = [*([declared] if declared else []), f'{text} = checkpoint["{key}"]']
        keeping.found.keep(key, f'checkpoint["{key}"] = {saved}', loaded)
    elif name not in keeping.found.lost:
        keeping.lose(name, "what it is given is no plain value")


def keep_attribute(keeping: Keeping, name: str) -> None:
    """`self.best = …` in a loop that a method of the legacy class has."""
    attribute = name.removeprefix("self.")
    if keeping.base.function.cls is None or not name.startswith("self.") or "." in attribute:
        return
    if name in keeping.seen or name in keeping.lightnings:
        return
    made = [value for owner, value in keeping.given_by_methods(name) if owner.name == "__init__"]
    if made:
        keeping.seen.add(name)
        keep_value(keeping, name, attribute, made)
    elif _outlives_a_batch(keeping, name):
        keeping.seen.add(name)
        keeping.lose(name, "no __init__ of its class makes it")


def _outlives_a_batch(keeping: Keeping, name: str) -> bool:
    """Whether the loop asks for an attribute before something that always runs has given it a value."""
    always = {id(node) for loop in keeping.nest.loops for node in loop.node.body}
    always |= {id(item.node) for item in keeping.nest.items}

    def asks(node: ast.AST, frame: Frame) -> bool:
        if isinstance(node, ast.Call) and dotted(node.func) in ("getattr", "hasattr") and len(node.args) > 1:
            text = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
            return frame.canonical(node.args[0]) == "self" and text == name.removeprefix("self.")
        return isinstance(node, ast.Attribute) and frame.canonical(node) == name

    for frame, node in nodes_of(keeping.nest):
        if isinstance(node, ast.Assign) and any(frame.canonical(target) == name for target in node.targets):
            return id(node) not in always or any(asks(one, frame) for one in ast.walk(node.value))
        if asks(node, frame):
            return True
    return False


def keep_container(keeping: Keeping, name: str, why: str = "") -> None:
    """A list or dictionary that comes from outside and that the loop fills, or somebody else: `why` says so."""
    if not name or ":" in name or name in keeping.seen or name in keeping.places.names.carried:
        return
    made = keeping.made(name)
    again = {id(node) for node in ast.walk(keeping.nest.epochs)}
    if name.startswith("self."):
        first = ("__init__", keeping.base.function.name)
        again |= {id(value) for owner, value in keeping.given_by_methods(name) if owner.name not in first}
    # One that each epoch begins anew is none that outlives it.
    if any(id(value) in again for value in made):
        return
    containers = {container_of(value) for value in made}
    if not containers - {""}:
        return
    keeping.seen.add(name)
    if why:
        keeping.lose(name, why)
        return
    kinds = {
        keeping.values.entries(name),
        *(keeping.values.kind(value, keeping.base) for value in made if is_filled(value)),
    }
    container = containers.pop() if len(containers) == 1 else ""
    text, key, number = keeping.text(name), keeping.key(name.rpartition(".")[2]), keeping.generators.numpy
    if container == "list" and Kind.UNKNOWN not in kinds and Kind.NUMBER in kinds and number:
        entries = f"    value.item() if isinstance(value, {number}.generic) else value for value in {text}"
        keeping.found.keep(key, [f'checkpoint["{key}"] = [', entries, "]"], f'{text}[:] = checkpoint["{key}"]')
        return
    if not container or kinds != {Kind.PLAIN}:
        keeping.lose(name, "it may hold more than numbers and tensors")
        return
    saves, loads = CONTAINERS[container]
    saved = f'checkpoint["{key}"] = {saves.format(text=text)}'
    keeping.found.keep(key, saved, [line.format(text=text, saved=f'checkpoint["{key}"]') for line in loads])


def _is_array(keeping: Keeping, value: ast.expr) -> bool:
    """`np.zeros(3)`, which Lightning writes and does not load."""
    head = dotted(value.func).partition(".")[0] if isinstance(value, ast.Call) else ""
    last = dotted(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
    return keeping.base.module.symbols.imports.get(head) == "numpy" and last in _ARRAYS


def _may_be_numpys(keeping: Keeping, kind: Kind, values: list[ast.expr]) -> bool:
    """Whether what begins as a whole number, or as nothing, may become a number of numpy's."""
    imported = "numpy" in keeping.base.module.symbols.imports.values()
    return kind is Kind.NUMBER or (kind is Kind.UNKNOWN and imported and all(map(is_int, values)))


def _is_object(keeping: Keeping, value: ast.expr) -> bool:
    """A model, a copy of one, an iterator or an object of the project's: none that a checkpoint holds."""
    if isinstance(value, ast.BoolOp | ast.IfExp):
        parts = value.values if isinstance(value, ast.BoolOp) else [value.body, value.orelse]
        return any(_is_object(keeping, one) for one in parts)
    if keeping.base.canonical(value) in keeping.roles.models:
        return True
    if not isinstance(value, ast.Call):
        return False
    copied = dotted(value.func).endswith("deepcopy")
    last = dotted(value.func).rpartition(".")[2]
    return (
        # `late = StepLR(…)`, of whatever class
        (last[:1].isupper() and not last.endswith("Tensor"))
        or dotted(value.func) in ("iter", "open")
        # One that is not copied goes on changing with its model.
        or (isinstance(value.func, ast.Attribute) and value.func.attr == "state_dict")
        or (copied and any(keeping.base.canonical(arg) in keeping.roles.models for arg in value.args))
        or bool(keeping.graph.types(keeping.base.function, value))
    )
