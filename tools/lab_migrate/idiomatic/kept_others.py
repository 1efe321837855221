"""What no `state_dict` holds of modules and of others' objects, and nothing here could keep: it is said.

model.drop.p = 0.1 * epoch       an attribute that the loop gives another value
self.steps += 1                  a number of a module's own, counted in its `forward`
"""

from __future__ import annotations

import ast

from lab_migrate.analysis.symbols import Class, Function, dotted
from lab_migrate.idiomatic.filling import changed_in_place
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.kept_objects import is_module
from lab_migrate.idiomatic.reach import reached
from lab_migrate.idiomatic.roles import nodes_of


def say_others(keeping: Keeping) -> None:
    """Attributes of what comes from outside, and what modules count."""
    names = keeping.places.names
    outside = {*names.captured, *keeping.places.fixed} - {"self", *keeping.roles.optimizers}
    said: set[str] = set()
    for frame, node in nodes_of(keeping.nest):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
            continue
        name, owner = frame.canonical(node), frame.canonical(node.value)
        parts = owner.split(".") if ":" not in owner else []
        heads = {".".join(parts[: at + 1]) for at in range(len(parts))}
        known = keeping.graph.types(keeping.base.function, ast.parse(owner, mode="eval").body) if parts else ()
        is_objects = bool(known) and not any(is_module(keeping, cls) for cls in known)
        if heads & outside and not is_objects and owner != "self" and name not in said:
            said.add(name)
            keeping.lose(name, "the loop gives it another value")
    _say_counted(keeping)


def _say_counted(keeping: Keeping) -> None:
    """Attributes that methods of modules change from what they were: no buffers, parameters or modules."""

    def does(node: ast.AST, within: Function) -> bool:
        cls = within.cls
        if cls is None or within.name == "__init__" or not within.parameters or not is_module(keeping, cls):
            return False
        this = within.parameters[0]
        changed = _counts(node) or changed_in_place(node)
        name = dotted(changed) if changed is not None else ""
        attribute = name.removeprefix(f"{this}.")
        if name.startswith(f"{this}.") and "." not in attribute and not _is_held(attribute, cls, keeping):
            said = f"{cls.name}.{attribute}"
            if said not in keeping.seen:
                keeping.seen.add(said)
                keeping.lose(said, "a module's own, and in no state_dict")
        return False

    loops = [keeping.nest.train, *([keeping.nest.validation] if keeping.nest.validation is not None else [])]
    parts = [(item.frame, [item.node]) for item in keeping.nest.items]
    for frame, body in [*parts, *((loop.frame, loop.body) for loop in loops)]:
        reached(body, frame, keeping.graph, does)


def _counts(node: ast.AST) -> ast.expr | None:
    """The target of `self.n += 1` and `self.n = self.n + 1`."""
    if isinstance(node, ast.AugAssign):
        return node.target
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Attribute):
        name = dotted(node.targets[0])
        reads = any(isinstance(one, ast.Attribute) and dotted(one) == name for one in ast.walk(node.value))
        return node.targets[0] if name and reads else None
    return None


def _is_held(attribute: str, cls: Class, keeping: Keeping) -> bool:
    """Whether a module's `state_dict` has it, as far as can be told: buffers, parameters, and modules."""
    lineage = keeping.graph.lineage(cls)
    for one in lineage:
        for method in one.methods.values():
            for node in method.own:
                if isinstance(node, ast.Call) and dotted(node.func).endswith(("register_buffer", "register_parameter")):
                    first = node.args[0] if node.args else None
                    if not isinstance(first, ast.Constant) or first.value == attribute:
                        return True
    made = [value for one in lineage for _, value in one.attributes.get(attribute, [])]
    calls = (dotted(value.func) for value in made if isinstance(value, ast.Call))
    return any(
        call.rpartition(".")[2] in ("Parameter", "ModuleList", "ModuleDict") or call.startswith("nn.") for call in calls
    )
