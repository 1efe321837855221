"""What a checkpoint of Lightning's has to hold besides modules, optimizers and the schedules that Lightning steps.

Lightning saves those by itself. A best value, a counter, a schedule or a scaler that the legacy lines step, an average
that is no part of the LightningModule, and the generator that shuffles would begin anew in a resumed training, in
silence: `on_save_checkpoint` and `on_load_checkpoint` keep them. What no plain value or `state_dict` holds is said.
"""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.events import ZERO, events_in
from lab_migrate.analysis.symbols import Class, dotted, own_nodes
from lab_migrate.idiomatic.configure import schedules_of
from lab_migrate.idiomatic.hooks import Hooks
from lab_migrate.idiomatic.layout import method
from lab_migrate.idiomatic.made import made_by
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.places import Places
from lab_migrate.idiomatic.roles import Roles, nodes_of

#: Where the generator of the CPU lies in a checkpoint.
RANDOM = "rng_state"
#: What Lightning keeps under these keys itself.
_LIGHTNINGS = {
    "epoch", "global_step", "state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers", "hparams_name",
    "hyper_parameters", "datamodule_hyper_parameters", "MixedPrecision", RANDOM,
}  # fmt: skip
_NUMBERS = {"float", "int", "len", "min", "max", "list", "dict", "set", "tuple", "bool", "str"}
_TENSORS = ("tensor", "zeros", "ones", "full", "state_dict", "item", "get")
_MUTATES = {"append", "extend", "insert", "add", "update", "pop", "popleft", "appendleft", "clear", "remove"}


@attrs.define(eq=False)
class Kept:
    """Keys of the checkpoint with what stands for them in a hook: plain `values`, and objects with a `state_dict`.

    `floats` are values that numpy may have computed, whose own type torch does not load with `weights_only=True`.
    `lost` are the legacy names of what begins anew.
    """

    values: dict[str, str] = attrs.field(factory=dict)
    states: dict[str, str] = attrs.field(factory=dict)
    floats: set[str] = attrs.field(factory=set)
    lost: list[str] = attrs.field(factory=list)
    random: bool = False

    def source(self, unit: str) -> list[str]:
        """The two hooks; none where Lightning's checkpoint has all."""
        saved = [
            f'checkpoint["{key}"] = {f"float({text})" if key in self.floats else text}'
            for key, text in self.values.items()
        ]
        saved += [f'checkpoint["{key}"] = {text}.state_dict()' for key, text in self.states.items()]
        loaded = [f'{text} = checkpoint["{key}"]' for key, text in self.values.items()]
        loaded += [f'{text}.load_state_dict(checkpoint["{key}"])' for key, text in self.states.items()]
        if self.random:
            saved.append(f'checkpoint["{RANDOM}"] = torch.get_rng_state()')
            loaded.append(f'torch.set_rng_state(checkpoint["{RANDOM}"].cpu())')
        if not saved:
            return []
        return [
            method(unit, "on_save_checkpoint", "self, checkpoint", saved),
            method(unit, "on_load_checkpoint", "self, checkpoint", loaded),
        ]


def kept_of(nest: Nest, roles: Roles, hooks: Hooks, places: Places, graph: CallGraph) -> Kept:
    """Read it off the names that outlive an epoch and the objects that the hooks step."""
    return _Reader(nest, roles, hooks, places, graph).read()


class _Reader:
    def __init__(self, nest: Nest, roles: Roles, hooks: Hooks, places: Places, graph: CallGraph) -> None:
        self.nest, self.roles, self.places, self.graph = nest, roles, places, graph
        self.base = nest.base
        self.found = Kept()
        self.seen: set[str] = set()
        automatic = hooks.automatic
        self.is_manual = automatic is None
        imports = self.base.module.symbols.imports
        self._numpys = {name for name, full in imports.items() if full.partition(".")[0] == "numpy"}
        scaler = automatic.precision.scaler if automatic is not None and automatic.precision is not None else ""
        self.lightnings = {*roles.optimizers, *roles.models, *schedules_of(hooks), scaler, *places.fixed}

    def read(self) -> Kept:
        for name in self.places.names.initial:
            self._value(name, self.places.names.carried[name], self._assigned(name))
        for frame, node in nodes_of(self.nest):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                self._attribute(frame.canonical(node))
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                self._filled(frame.canonical(node.value))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATES:
                inner = node.func.value
                self._filled(frame.canonical(inner.value if isinstance(inner, ast.Subscript) else inner))
            if isinstance(node, ast.Name | ast.Attribute):
                self._object(frame.canonical(node))
        if self.is_manual and not any(_zeroes(node) for node in self.nest.train.body):
            self.found.lost.append("the gradients of batches that wait for the next epoch's step")
        # In several processes each has its own generator, and one file the first one's.
        imports = self.base.module.symbols.imports
        self.found.random = self.roles.distributed is None and imports.get("torch") == "torch"
        return self.found

    def _value(self, name: str, key: str, values: list[ast.expr]) -> None:
        """A name or attribute that the loop gives other values."""
        later = self._made(name)
        if values and all(map(_is_plain, values)) and not any(self._is_object(value) for value in later):
            key = self._key(key)
            self.found.values[key] = self._text(name)
            if self._numpys and (any(map(_is_float, values)) or any(map(self._is_numpys, later))):
                self.found.floats.add(key)
        elif name not in self.found.lost:
            self.found.lost.append(name)

    def _is_numpys(self, value: ast.expr, far: int = 1) -> bool:
        """A number that numpy computes, there or where a name of it is assigned: `best = np.mean(losses)`."""
        if isinstance(value, ast.Call) and dotted(value.func) in ("int", "len", "float"):
            return False
        names = [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]
        made = [one for name in names for one in self.base.function.assigned.get(name, [])] if far else []
        return not self._numpys.isdisjoint(names) or any(self._is_numpys(one, far - 1) for one in made)

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

    def _filled(self, name: str) -> None:
        """A list or dictionary that comes from outside and that the loop fills; it is shared with what reads it."""
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
        if any(isinstance(value, ast.List | ast.Dict | ast.Set) for value in made):
            self.seen.add(name)
            self.found.lost.append(name)

    def _object(self, name: str) -> None:
        """A schedule, scaler or average with a `state_dict`, or an object of the project's that changes itself."""
        if not name or ":" in name or name in self.seen or name in self.lightnings:
            return
        made = [value for value in self._made(name) if isinstance(value, ast.Call)]
        if len(made) != 1 or name in self.places.names.carried or _is_plain(made[0]):
            return
        self.seen.add(name)
        maker = self._full(made[0].func)
        is_part = name in self.places.names.captured
        is_schedule = name in self.roles.schedules and not self.graph.types(self.base.function, made[0])
        if maker.startswith("torch.optim.") or maker.endswith("GradScaler") or is_schedule:
            if not (maker.endswith("AveragedModel") and is_part):
                self._state(name)
        elif maker == "copy.deepcopy" and made[0].args and self._copies_model(made[0]):
            if not is_part:
                self._state(name)
        else:
            self._own(name, is_part)

    def _state(self, name: str) -> None:
        self.found.states[self._key(name.rpartition(".")[2])] = self._text(name)

    def _key(self, key: str) -> str:
        while key in _LIGHTNINGS or key in self.found.values or key in self.found.states:
            key += "_"
        return key

    def _own(self, name: str, is_part: bool) -> None:
        classes = self.graph.types(self.base.function, ast.parse(name, mode="eval").body)
        if any(self._is_module(cls) for cls in classes):
            if not is_part:
                self._state(name)
        elif any(_changes_itself(cls) for cls in classes) and name != "self":
            self.found.lost.append(name)

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
        return [made.call] if made is not None else []

    def _full(self, func: ast.expr) -> str:
        head, dot, rest = dotted(func).partition(".")
        return f"{self.base.module.symbols.imports.get(head, head)}{dot}{rest}"

    def _text(self, name: str) -> str:
        return self.places.said(self.base, ast.parse(name, mode="eval").body) or name


def _changes_itself(cls: Class) -> bool:
    """Whether methods other than `__init__` assign attributes."""
    return any(
        isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and dotted(node).startswith("self.")
        for name, function in cls.methods.items()
        if name != "__init__"
        for node in function.own
    )


def _zeroes(node: ast.stmt) -> bool:
    """Whether a statement of a batch zeroes gradients whatever happens."""
    return not isinstance(node, ast.If | ast.For | ast.While | ast.Try) and any(
        event.kind == ZERO for event in events_in(own_nodes([node]))
    )


def _is_float(value: ast.expr) -> bool:
    """A number that is no counter."""
    inner = value.operand if isinstance(value, ast.UnaryOp) else value
    if isinstance(inner, ast.Constant):
        return isinstance(inner.value, float)
    return dotted(inner).lower().endswith("inf") or (isinstance(inner, ast.Call) and dotted(inner.func) == "float")


def _is_plain(value: ast.expr) -> bool:
    """A number, a text, a tensor, or a container of such: what a checkpoint holds."""
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return all(map(_is_plain, value.elts))
    if isinstance(value, ast.Dict):
        return all(map(_is_plain, value.values))
    if isinstance(value, ast.UnaryOp):
        return _is_plain(value.operand)
    if isinstance(value, ast.BinOp):
        return _is_plain(value.left) and _is_plain(value.right)
    if isinstance(value, ast.Call):
        last = dotted(value.func).rpartition(".")[2] or getattr(value.func, "attr", "")
        copied = last == "deepcopy" and len(value.args) == 1 and _is_plain(value.args[0])
        return copied or dotted(value.func) in _NUMBERS or last in _TENSORS
    if isinstance(value, ast.Attribute):
        return value.attr.lower() in ("inf", "infinity", "nan", "maxsize", "max") or "args" in dotted(value)
    return isinstance(value, ast.Constant | ast.Subscript)
