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
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Class, Function, dotted, own_nodes
from lab_migrate.idiomatic.beginnings import CONTAINERS, container_of, is_filled, is_float, is_int, is_plain
from lab_migrate.idiomatic.checkpoint_hooks import Kept, attributes_of
from lab_migrate.idiomatic.configure import schedules_of
from lab_migrate.idiomatic.filling import changed_by_others, changed_in_place
from lab_migrate.idiomatic.generators import KEYS, Generators, generators_of
from lab_migrate.idiomatic.hooks import Hooks
from lab_migrate.idiomatic.made import made_by
from lab_migrate.idiomatic.makings import makings_of
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.objects import changed_by_methods, changing
from lab_migrate.idiomatic.places import Places
from lab_migrate.idiomatic.plain import Kind, Values
from lab_migrate.idiomatic.reach import reached
from lab_migrate.idiomatic.roles import Roles, nodes_of

#: What Lightning keeps under these keys itself.
_LIGHTNINGS = {
    "epoch", "global_step", "state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers", "hparams_name",
    "hyper_parameters", "datamodule_hyper_parameters", "MixedPrecision", *KEYS,
}  # fmt: skip
#: Methods by which an object of somebody else's goes on.
_GOES_ON = {"step", "update", "update_parameters", "apply_shadow"}


def kept_of(nest: Nest, roles: Roles, hooks: Hooks, places: Places, graph: CallGraph) -> Kept:
    """Read it off the names that outlive an epoch and the objects that the hooks step."""
    return _Reader(nest, roles, hooks, places, graph).read()


class _Reader:
    def __init__(self, nest: Nest, roles: Roles, hooks: Hooks, places: Places, graph: CallGraph) -> None:
        self.nest, self.roles, self.places, self.graph = nest, roles, places, graph
        self.base = nest.base
        self.found = Kept()
        self.seen: set[str] = set()
        #: What a condition makes, and may be None.
        self.maybe: set[str] = set()
        self.values = Values(nest, graph)
        automatic = hooks.automatic
        self.is_manual = automatic is None
        self.zeroes = automatic is not None and automatic.zero is not None
        scaler = automatic.precision.scaler if automatic is not None and automatic.precision is not None else ""
        self.lightnings = {*roles.optimizers, *roles.models, *schedules_of(hooks), scaler, *places.fixed}
        self.generators: Generators = generators_of(nest, roles, graph)

    def read(self) -> Kept:
        for name in self.places.names.initial:
            self._value(name, self.places.names.carried[name], self._assigned(name))
        self._globals()
        for frame, node in nodes_of(self.nest):
            for given, changer in changed_by_others(node, frame, self.graph):
                self._filled(frame.canonical(given), f"{changer} changes it")
        for frame, node in nodes_of(self.nest):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                self._attribute(frame.canonical(node))
            elif (changed := changed_in_place(node)) is not None:
                self._filled(frame.canonical(changed))
            if isinstance(node, ast.Name | ast.Attribute):
                self._object(frame.canonical(node))
        self._owner()
        for frame, node in nodes_of(self.nest):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _GOES_ON:
                self._unknown(frame.canonical(node.func.value))
        if self.is_manual and not any(_zeroes(node) for node in self.nest.train.body):
            self.found.lost.append("the gradients of batches that wait for the next epoch's step")
        if self.zeroes:
            self.found.lost.append("the zeroed gradients of parameters that a batch does not use")
        if self.nest.steps is not None and self.nest.train.is_counted and not self.nest.train.index:
            self.found.lost.append(f"the place in {ast.unparse(self.nest.train.loader)}")
        self.found.lost += self.generators.lost
        for key, (saved, loaded) in self.generators.lines.items():
            self.found.keep(key, saved, loaded)
        return self.found

    def _globals(self) -> None:
        """Names of the file that the loop, or a function that it calls, gives other values."""
        stored = {node.id for _, node in nodes_of(self.nest) if isinstance(node, ast.Name)
                  and isinstance(node.ctx, ast.Store)}  # fmt: skip
        ours = self.places.shared & stored
        for name in sorted(ours):
            self._value(name, name, self.base.module.symbols.top.assigned.get(name, []), f"global {name}")

        def does(node: ast.AST, within: Function) -> bool:
            self._global_filled(node, within)
            if isinstance(node, ast.Global) and not any(within is frame.function for frame in self.nest.frames):
                assigned = names_in(within.body).assigned
                for name in node.names:
                    if name in assigned and name not in ours and within.name != "<module>":
                        ours.add(name)
                        self._lose(name, f"a global name that {within.qualified}() changes")
            return False

        parts = [(item.frame, [item.node]) for item in self.nest.items]
        loops = [self.nest.train, *([self.nest.validation] if self.nest.validation is not None else [])]
        for frame, body in [*parts, *((loop.frame, loop.body) for loop in loops)]:
            reached(body, frame, self.graph, does)

    def _global_filled(self, node: ast.AST, within: Function) -> None:
        """A list or dictionary of a file that a function changes in its place."""
        changed = changed_in_place(node)
        if not isinstance(changed, ast.Name) or any(within is frame.function for frame in self.nest.frames):
            return
        top, name = within.module.symbols.top, changed.id
        if within is top or name in within.assigned or name in within.parameters or within.parent not in (None, top):
            return
        if any(container_of(value) for value in top.assigned.get(name, [])) and name not in self.seen:
            self.seen.add(name)
            self._lose(name, f"{within.qualified}() changes it")

    def _value(self, name: str, key: str, values: list[ast.expr], declared: str = "") -> None:
        """A name or attribute that the loop gives other values; `declared` stands above what gives it one."""
        later = self._made(name)
        if values and all(map(is_plain, values)) and not any(self._is_object(value) for value in later):
            text = self._text(name)
            kind = self.values.assigned(name)
            saved = text
            if kind is not Kind.PLAIN and any(map(is_float, values)):
                saved = f"float({text})"
            elif (number := self.generators.numpy) and self._may_be_numpys(kind, values):
                saved = f"{text}.item() if isinstance({text}, {number}.generic) else {text}"
            key = self._key(key)
            loaded = [*([declared] if declared else []), f'{text} = checkpoint["{key}"]']
            self.found.keep(key, f'checkpoint["{key}"] = {saved}', loaded)
        elif name not in self.found.lost:
            self._lose(name, "what it is given is no plain value")

    def _may_be_numpys(self, kind: Kind, values: list[ast.expr]) -> bool:
        """Whether what begins as a whole number, or as nothing, may become a number of numpy's."""
        imported = "numpy" in self.base.module.symbols.imports.values()
        return kind is Kind.NUMBER or (kind is Kind.UNKNOWN and imported and all(map(is_int, values)))

    def _assigned(self, name: str) -> list[ast.expr]:
        inside = {id(node) for node in ast.walk(self.nest.epochs)}
        values = [value for value in self.base.function.assigned.get(name, []) if id(value) not in inside]
        node = self.base.function.node
        if isinstance(node, ast.FunctionDef) and name in self.base.function.parameters:
            listed = [*node.args.posonlyargs, *node.args.args]
            defaults = dict(zip([arg.arg for arg in listed[::-1]], node.args.defaults[::-1], strict=False))
            values.append(defaults.get(name, ast.Name(name, ast.Load())))
        return values

    def _attribute(self, name: str) -> None:
        """`self.best = …` in a loop that a method of the legacy class has."""
        cls, attribute = self.base.function.cls, name.removeprefix("self.")
        if cls is None or not name.startswith("self.") or name in self.seen or name in self.lightnings:
            return
        made = [value for owner, value in cls.attributes.get(attribute, []) if owner.name == "__init__"]
        if made and "." not in attribute:
            self.seen.add(name)
            self._value(name, attribute, made)

    def _filled(self, name: str, why: str = "") -> None:
        """A list or dictionary that comes from outside and that the loop fills, or somebody else: `why` says so."""
        if not name or ":" in name or name in self.seen or name in self.places.names.carried:
            return
        made = self._made(name)
        again = {id(node) for node in ast.walk(self.nest.epochs)}
        cls = self.base.function.cls
        if cls is not None and name.startswith("self."):
            owners = cls.attributes.get(name.removeprefix("self."), [])
            again |= {id(value) for owner, value in owners if owner.name != "__init__"}
        # One that each epoch begins anew is none that outlives it.
        if any(id(value) in again for value in made):
            return
        containers = {container_of(value) for value in made}
        if not containers - {""}:
            return
        self.seen.add(name)
        if why:
            self._lose(name, why)
            return
        kinds = {self.values.entries(name), *(self.values.kind(value, self.base) for value in made if is_filled(value))}
        container = containers.pop() if len(containers) == 1 else ""
        text, key, number = self._text(name), self._key(name.rpartition(".")[2]), self.generators.numpy
        if container == "list" and Kind.UNKNOWN not in kinds and Kind.NUMBER in kinds and number:
            entries = f"    value.item() if isinstance(value, {number}.generic) else value for value in {text}"
            self.found.keep(key, [f'checkpoint["{key}"] = [', entries, "]"], f'{text}[:] = checkpoint["{key}"]')
            return
        if not container or kinds != {Kind.PLAIN}:
            self._lose(name, "it may hold more than numbers and tensors")
            return
        saves, loads = CONTAINERS[container]
        saved = f'checkpoint["{key}"] = {saves.format(text=text)}'
        self.found.keep(key, saved, [line.format(text=text, saved=f'checkpoint["{key}"]') for line in loads])

    def _object(self, name: str) -> None:
        """A schedule, scaler or average with a `state_dict`, or an object of the project's that changes itself."""
        if not name or ":" in name or name in self.seen or name in self.lightnings:
            return
        choices = [choice for value in self._made(name) for choice in _choices(value)]
        calls = [choice for choice in choices if isinstance(choice, ast.Call)]
        if len(calls) < len(choices) or any(self._is_conditional(name, call) for call in calls):
            self.maybe.add(name)
        if len(calls) > 1 and all(_has_state(self._full(name, call)) for call in calls):
            calls = calls[:1]
        if len(calls) != 1:
            makings = makings_of(name, self.nest, self.graph)
            calls = [makings[0].call] if len({making.maker for making in makings}) == 1 else []
        if len(calls) != 1 or name in self.places.names.carried or is_plain(calls[0]):
            return
        self.seen.add(name)
        maker = self._full(name, calls[0])
        is_part = name in self.places.names.captured
        is_schedule = name in self.roles.schedules and not self.graph.types(self.base.function, calls[0])
        if _has_state(maker) or is_schedule:
            if not (maker.endswith("AveragedModel") and is_part):
                self._state(name)
        elif maker == "copy.deepcopy" and calls[0].args and self._copies_model(calls[0]):
            if not is_part:
                self._state(name)
        else:
            self._own(name, is_part)

    def _unknown(self, name: str) -> None:
        """What steps or is updated in the loop, and is made where nobody can see it."""
        if not name or ":" in name or name in self.seen or name in self.lightnings or name in self.found.lost:
            return
        if name in self.places.names.carried or self._made(name) or name in self.base.module.symbols.imports:
            return
        if name in self.places.names.captured or (name in self.base.function.parameters):
            self.seen.add(name)
            self._lose(name, "where it is made cannot be told")

    def _state(self, name: str) -> None:
        key, text = self._key(name.rpartition(".")[2]), self._text(name)
        saved = f'checkpoint["{key}"] = {text}.state_dict()'
        self._keep(name, key, [saved], f'{text}.load_state_dict(checkpoint["{key}"])')

    def _keep(self, name: str, key: str, saved: list[str], loaded: str) -> None:
        """Where the object may be None, if it is not."""
        text = self._text(name)
        asked = [f"if {text} is not None:"] if name in self.maybe else []
        indent = "    " if asked else ""
        self.found.keep(key, [*asked, *(indent + line for line in saved)], [*asked, indent + loaded])

    def _is_conditional(self, name: str, made: ast.Call) -> bool:
        """Whether the call is under an `if` that the epochs are not under, so that None may stand in its place."""
        cls, attribute = self.base.function.cls, name.removeprefix("self.")
        owners = [self.base.function]
        if cls is not None and name.startswith("self."):
            owners += [owner for owner, _ in cls.attributes.get(attribute, [])]
        conditions = (node for owner in owners for node in owner.own if isinstance(node, ast.If))
        parts = (list(ast.walk(condition)) for condition in conditions)
        return any(
            any(part is made for part in inside) and not any(part is self.nest.epochs for part in inside)
            for inside in parts
        )

    def _key(self, key: str) -> str:
        while key in _LIGHTNINGS or key in self.found.saved:
            key += "_"
        return key

    def _own(self, name: str, is_part: bool) -> None:
        classes = self.graph.types(self.base.function, ast.parse(name, mode="eval").body)
        if any(self._is_module(cls) for cls in classes):
            if not is_part:
                self._state(name)
            return
        changes = changing(name, classes, self.nest, self.graph, self.values) if name != "self" else None
        if changes is None:
            return
        methods = [
            self.graph.find_method(cls, method) for cls in classes for method in ("state_dict", "load_state_dict")
        ]
        number = self.generators.numpy if changes.numbers else ""
        if all(methods):
            self._state(name)
        elif changes.why or (changes.numbers and not number):
            self._lose(name, changes.why or "what it holds may be numpy's")
        else:
            key, text = self._key(name.rpartition(".")[2]), self._text(name)
            self._keep(name, key, *attributes_of(text, list(changes.attributes), key, number))

    def _owner(self) -> None:
        """What methods of the legacy class that stay there change of it."""
        if "self" not in self.places.names.captured:
            return
        kept: list[str] = []
        numbers = False
        for attribute, kind in changed_by_methods(self.nest, self.graph, self.values).items():
            name = f"self.{attribute}"
            if name in self.seen or name in self.lightnings or name in self.places.names.carried:
                continue
            self.seen.add(name)
            if kind is Kind.UNKNOWN or (kind is Kind.NUMBER and not self.generators.numpy):
                self._lose(
                    name, "code that stays in the legacy class or elsewhere may give it more than numbers and tensors"
                )
                continue
            kept.append(attribute)
            numbers = numbers or kind is Kind.NUMBER
        if kept:
            text, key = self._text("self"), self._key("owner")
            self.found.keep(key, *attributes_of(text, kept, key, self.generators.numpy if numbers else ""))

    def _lose(self, name: str, why: str) -> None:
        self.found.lost.append(f"{name} ({why})")

    def _is_module(self, cls: Class) -> bool:
        return any(base.rpartition(".")[2] == "Module" for one in self.graph.lineage(cls) for base in one.bases)

    def _copies_model(self, call: ast.Call) -> bool:
        return any(self.base.canonical(node) in self.roles.models for node in ast.walk(call) if dotted(node))

    def _is_object(self, value: ast.expr) -> bool:
        """A model, a copy of one, an iterator or an object of the project's: none that a checkpoint holds."""
        if self.base.canonical(value) in self.roles.models:
            return True
        if not isinstance(value, ast.Call):
            return False
        copied = dotted(value.func).endswith("deepcopy")
        return (
            dotted(value.func) in ("iter", "open")
            or (copied and any(self.base.canonical(arg) in self.roles.models for arg in value.args))
            or bool(self.graph.types(self.base.function, value))
        )

    def _made(self, name: str) -> list[ast.expr]:
        cls, attribute = self.base.function.cls, name.removeprefix("self.")
        if cls is not None and name.startswith("self."):
            return [value for _, value in cls.attributes.get(attribute, [])]
        if name in self.base.function.assigned:
            return self.base.function.assigned[name]
        made = made_by(name, self.base)
        if made is None and name not in self.base.bound:
            return self.base.module.symbols.top.assigned.get(name, [])
        return [made.call] if made is not None else []

    def _full(self, name: str, call: ast.Call) -> str:
        """The full name of what an object is made by."""
        made = next((one.maker for one in makings_of(name, self.nest, self.graph) if one.call is call), "")
        head, dot, rest = dotted(call.func).partition(".")
        return made or f"{self.base.module.symbols.imports.get(head, head)}{dot}{rest}"

    def _text(self, name: str) -> str:
        return self.places.said(self.base, ast.parse(name, mode="eval").body) or name


def _zeroes(node: ast.stmt) -> bool:
    """Whether a statement of a batch zeroes gradients whatever happens."""
    return not isinstance(node, ast.If | ast.For | ast.While | ast.Try) and any(
        event.kind == ZERO for event in events_in(own_nodes([node]))
    )


def _choices(value: ast.expr) -> list[ast.expr]:
    """What a value may be: both of `EMA(model) if args.ema else None`."""
    if isinstance(value, ast.IfExp):
        return [*_choices(value.body), *_choices(value.orelse)]
    return [value]


def _has_state(maker: str) -> bool:
    """Whether what it makes is one of torch's objects that have a `state_dict`."""
    return maker.startswith("torch.optim.") or maker.endswith("GradScaler")
