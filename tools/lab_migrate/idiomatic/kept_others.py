"""What no `state_dict` holds of modules and of others' objects, and nothing here could keep: it is said.

model.drop.p = 0.1 * epoch       an attribute that the loop gives another value
self.steps += 1                  a number of a module's own, counted in its `forward`
seen.append(…)                   in a closure, such as a hook of a module's
engine.make_private(optimizer=…) an object that may count the steps, by a hook
"""

from __future__ import annotations

import ast
import re

from lab_migrate.analysis.symbols import Class, Function, dotted, own_nodes
from lab_migrate.idiomatic.filling import changed_in_place
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.outside import counts
from lab_migrate.idiomatic.reach import reached_in
from lab_migrate.idiomatic.roles import nodes_of
from lab_migrate.idiomatic.trained import trained

#: Ends of the names of torch's optimizers.
_OPTIMIZERS = ("Optimizer", "SGD", "Adam", "AdamW", "RMSprop", "Adagrad")


def say_others(keeping: Keeping) -> None:
    """Attributes of what comes from outside, and what modules count."""
    names = keeping.places.names
    outside = {*names.captured, *keeping.places.fixed} - {"self"}
    said: set[str] = set()
    for frame, node in nodes_of(keeping.nest):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
            continue
        holder: ast.expr = node.value
        while isinstance(holder, ast.Subscript) or (isinstance(holder, ast.Attribute) and not frame.canonical(holder)):
            holder = holder.value  # what holds the list that the object is in
        owner = frame.canonical(holder)
        name = frame.canonical(node) or ast.unparse(node)
        parts = owner.split(".") if owner and ":" not in owner else []
        heads = {".".join(parts[: at + 1]) for at in range(len(parts))}
        known = keeping.graph.types(keeping.base.function, ast.parse(owner, mode="eval").body) if parts else ()
        is_objects = bool(known) and holder is node.value and not any(keeping.graph.is_module(cls) for cls in known)
        theirs = owner in keeping.roles.optimizers and node.attr in ("param_groups", "state")
        if not heads & outside and not _outlives(keeping, owner):
            continue
        if is_objects and owner.count(".") > 1:
            is_objects = owner in keeping.kept  # what an object holds of others is not followed everywhere
        if not is_objects and not theirs and owner != "self" and name not in said:
            said.add(name)
            keeping.lose(name, "the loop gives it another value")
    _say_trained(keeping)
    _say_closures(keeping)
    _say_counted(keeping)
    _say_given(keeping)


def _outlives(keeping: Keeping, owner: str) -> bool:
    """Whether an owner of attributes is a script's, a class or function of the file, or held by the legacy object."""
    symbols, head = keeping.base.module.symbols, owner.partition(".")[0]
    defined = {one.name for one in symbols.classes} | {one.name for one in symbols.functions} | set(symbols.imports)
    if keeping.is_made_within(owner):
        return False
    is_files = head in symbols.top.assigned and head not in keeping.base.bound
    in_script = is_files or (keeping.base.is_script and bool(keeping.made(owner)))
    return in_script or owner.startswith("self.") or (head in defined and head not in keeping.base.bound - defined)


def _say_trained(keeping: Keeping) -> None:
    """`log_sigma = nn.Parameter(…)` of a script's or an object's: the LightningModule does not have it."""
    roles = keeping.roles
    for name in sorted(trained(keeping.nest, roles.optimizers, keeping.graph) - {*roles.models}):
        values = keeping.made(name)
        own = any(isinstance(value, ast.Call) and dotted(value.func).endswith("Parameter") for value in values)
        own = own or any("requires_grad" in ast.unparse(value) for value in values)
        if own and name not in keeping.places.names.captured:
            keeping.seen.add(name)
            keeping.lose(name, "the optimizer trains it, and no module has it")


def _say_closures(keeping: Keeping) -> None:
    """What functions made before the epochs change of the names around them."""
    base = keeping.base
    inside = {id(node) for node in own_nodes([keeping.nest.epochs])}
    moved = {id(frame.function.node) for frame in keeping.nest.frames}
    made = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for one in base.function.own:
        # A function of the file's own is found where it is called; a lambda is not.
        if not isinstance(one, made[-1:] if base.is_script else made) or id(one) in inside or id(one) in moved:
            continue
        for node in ast.walk(one):
            changed = changed_in_place(node)
            name = changed.id if isinstance(changed, ast.Name) else ""
            names = [name] if name in base.bound else [*node.names] if isinstance(node, ast.Nonlocal) else []
            for name in names:
                if name not in keeping.seen:
                    keeping.seen.add(name)
                    keeping.lose(name, "a closure changes it")


def _say_given(keeping: Keeping) -> None:
    """Objects that are handed the optimizer before the epochs, and asked for something later: hooks may count."""
    base, roles = keeping.base, keeping.roles
    inside = {id(node) for node in own_nodes([keeping.nest.epochs])}
    asked = {frame.canonical(node) for frame, node in nodes_of(keeping.nest) if dotted(node)}
    asked -= {*roles.schedules, *roles.optimizers, *roles.models, *base.module.symbols.imports}
    said: set[str] = set()
    for node in base.function.own:
        if id(node) in inside or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name = dotted(node.func.value)
        given = [*node.args, *(word.value for word in node.keywords)]
        if name not in asked - said or not any(base.canonical(one) in roles.optimizers for one in given):
            continue
        lines = [line for saved in keeping.found.saved.values() for line in saved]
        if not any(re.search(rf"\b{re.escape(name)}\b", line) for line in lines):
            said.add(name)
            keeping.lose(name, "it was given the optimizer, and may count its steps")


def _say_counted(keeping: Keeping) -> None:
    """Attributes that methods of modules change from what they were: no buffers, parameters or modules."""

    def does(node: ast.AST, within: Function) -> bool:
        cls = within.cls
        if cls is None or within.name == "__init__" or not within.parameters:
            return False
        is_optimizer = any(base.endswith(_OPTIMIZERS) for one in keeping.graph.lineage(cls) for base in one.bases)
        if not keeping.graph.is_module(cls) and not is_optimizer:
            return False
        this = within.parameters[0]
        changed = counts(node) or changed_in_place(node)
        name = dotted(changed) if changed is not None else ""
        attribute = name.removeprefix(f"{this}.")
        if name.startswith(f"{this}.") and "." not in attribute and not _is_held(attribute, cls, keeping):
            said = f"{cls.name}.{attribute}"
            if said not in keeping.seen:
                keeping.seen.add(said)
                keeping.lose(said, f"{'an optimizer' if is_optimizer else 'a module'}'s own, and in no state_dict")
        return False

    reached_in(keeping.nest, keeping.graph, does)


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
