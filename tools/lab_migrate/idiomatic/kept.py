"""What a checkpoint of Lightning's has to hold besides modules, optimizers and the schedules that Lightning steps.

Lightning saves those by itself. A best value, a counter, a list that the loop fills, an object of the project's that
counts, a schedule or a scaler that the legacy lines step, an average that is no part of the LightningModule, and the
generators would begin anew in a resumed training, in silence: `on_save_checkpoint` and `on_load_checkpoint` keep them.
What no plain value or `state_dict` holds is said, with the reason.
"""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.events import ZERO, events_in
from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.idiomatic.checkpoint_hooks import Kept
from lab_migrate.idiomatic.filling import changed_by_others, changed_in_place
from lab_migrate.idiomatic.hooks import EPOCH_START, Hooks
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.kept_called import say_called
from lab_migrate.idiomatic.kept_globals import keep_globals
from lab_migrate.idiomatic.kept_hooks import say_hooks
from lab_migrate.idiomatic.kept_in_place import keep_in_place
from lab_migrate.idiomatic.kept_makers import say_made
from lab_migrate.idiomatic.kept_modules import keep_modules
from lab_migrate.idiomatic.kept_objects import keep_object, keep_owner, keep_unknown
from lab_migrate.idiomatic.kept_others import say_others
from lab_migrate.idiomatic.kept_uses import say_used
from lab_migrate.idiomatic.kept_values import keep_attribute, keep_container, keep_value
from lab_migrate.idiomatic.mentions import flow_of
from lab_migrate.idiomatic.names import TRAIN, last_given
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.places import Places
from lab_migrate.idiomatic.roles import Roles, nodes_of
from lab_migrate.idiomatic.trained import trained

#: Methods by which an object of somebody else's goes on.
_GOES_ON = {"step", "update", "update_parameters", "apply_shadow"}


def kept_of(nest: Nest, roles: Roles, hooks: Hooks, places: Places, graph: CallGraph) -> Kept:
    """Read it off the names that outlive an epoch and the objects that the hooks step."""
    keeping = Keeping(nest, roles, hooks, places, graph)
    for name in keeping.places.names.initial:
        if not _is_given_anew(name, hooks):
            keep_value(keeping, name, keeping.places.names.carried[name], _assigned(keeping, name))
    keep_globals(keeping)
    for frame, node in nodes_of(keeping.nest):
        for given, changer in changed_by_others(node, frame, keeping.graph):
            keep_container(keeping, frame.canonical(given), f"{changer} changes it")
    for frame, node in nodes_of(keeping.nest):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            keep_attribute(keeping, frame.canonical(node))
    for frame, node in nodes_of(keeping.nest):
        if (changed := changed_in_place(node)) is not None:
            keep_container(keeping, frame.canonical(changed))
        if isinstance(node, ast.Name | ast.Attribute):
            keep_object(keeping, frame.canonical(node))
    keep_owner(keeping)
    for frame, node in nodes_of(keeping.nest):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _GOES_ON:
            keep_unknown(keeping, frame.canonical(node.func.value))
    keep_in_place(keeping)
    say_called(keeping)
    say_others(keeping)
    keep_modules(keeping)
    say_made(keeping)
    say_used(keeping)
    say_hooks(keeping)
    steps = keeping.nest.steps
    if steps is not None and steps.stop is not None and not keeping.nest.train.is_counted:
        why = "resumed from there with max_steps, Lightning ends the next epoch after one batch"
        keeping.lose("the end of an epoch", why)
    if keeping.zeroes or (keeping.is_manual and not _zeroes_all(keeping)):
        _keep_gradients(keeping)
    if keeping.nest.steps is not None and keeping.nest.train.is_counted and not keeping.nest.train.index:
        keeping.found.lost.append(f"the place in {ast.unparse(keeping.nest.train.loader)}")
    keeping.found.lost += keeping.generators.lost
    for key, (saved, loaded) in keeping.generators.lines.items():
        keeping.found.keep(key, saved, loaded)
    return keeping.found


def _keep_gradients(keeping: Keeping) -> None:
    """Those that wait for the next epoch's step, and zeros of parameters that a batch does not use."""
    key, names = keeping.key("gradients"), keeping.places.names
    while key in {*names.captured, *names.carried.values()}:
        key += "_"
    entries = "    name: p.grad for name, p in self.named_parameters() if p.grad is not None"
    keeping.found.keep(key, [f'checkpoint["{key}"] = {{', entries, "}"], f'self.{key} = checkpoint["{key}"]')
    keeping.found.started += [
        f'for name, grad in vars(self).pop("{key}", {{}}).items():  # Lightning begins with none',
        "    p = self.get_parameter(name)",
        "    p.grad = grad.to(p)",
    ]


def _is_given_anew(name: str, hooks: Hooks) -> bool:
    """Whether each batch gives a name its value before anything reads it, as a loss that is printed after the epoch."""
    step, before = flow_of(hooks.items[TRAIN]), flow_of(hooks.items.get(EPOCH_START, []))
    return name in step.sure and name not in step.exposed | before.exposed


def _assigned(keeping: Keeping, name: str) -> list[ast.expr]:
    if (last := last_given(name, keeping.nest)) is not None:
        return [last.value]
    inside = {id(node) for node in ast.walk(keeping.nest.epochs)}
    values = [value for value in keeping.base.function.assigned.get(name, []) if id(value) not in inside]
    node = keeping.base.function.node
    if isinstance(node, ast.FunctionDef) and name in keeping.base.function.parameters:
        listed = [*node.args.posonlyargs, *node.args.args]
        defaults = dict(zip([arg.arg for arg in listed[::-1]], node.args.defaults[::-1], strict=False))
        values.append(defaults.get(name, ast.Name(name, ast.Load())))
    return values


def _zeroes_all(keeping: Keeping) -> bool:
    """Whether each batch clears all optimizers, whatever happens, or all models, and they are all that trains.

    Zeros (`set_to_none=False`) stay where a batch has no gradient for them, and the optimizer's momentum goes on.
    """
    nest, roles = keeping.nest, keeping.roles
    always = [node for node in nest.train.body if not isinstance(node, ast.If | ast.For | ast.While | ast.Try)]
    events = events_in(own_nodes(always))
    zeroes = [event for event in events if event.kind == ZERO]
    if any(node.args or node.keywords for event in zeroes if isinstance(node := event.node, ast.Call)):
        return False
    zeroed = {nest.train.frame.canonical(event.receiver) for event in zeroes}
    if zeroed >= {*roles.optimizers}:
        return True
    return zeroed >= {*roles.models, *(trained(nest, roles.optimizers, keeping.graph) if roles.grow else ())}
