"""What the readers of a nest's kept state share: what is kept so far, what a name is made by, how it is written."""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.checkpoint_hooks import Kept
from lab_migrate.idiomatic.configure import schedules_of
from lab_migrate.idiomatic.generators import KEYS, Generators, generators_of
from lab_migrate.idiomatic.hooks import Hooks
from lab_migrate.idiomatic.made import made_by
from lab_migrate.idiomatic.makings import makings_of
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.places import Places
from lab_migrate.idiomatic.plain import Values
from lab_migrate.idiomatic.roles import Roles

#: What Lightning keeps under these keys itself.
_LIGHTNINGS = {
    "epoch", "global_step", "state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers", "hparams_name",
    "hyper_parameters", "datamodule_hyper_parameters", "MixedPrecision", *KEYS,
}  # fmt: skip


class Keeping:
    """What was decided so far.

    `found` are the lines, `seen` the names that were decided, `kept` the objects that are kept, `maybe` those that may
    be None.
    """

    def __init__(self, nest: Nest, roles: Roles, hooks: Hooks, places: Places, graph: CallGraph) -> None:
        self.nest, self.roles, self.places, self.graph = nest, roles, places, graph
        self.base = nest.base
        self.found = Kept()
        self.seen: set[str] = set()
        self.kept: set[str] = set()
        #: Objects of which some attributes are kept, those that are changed by their names.
        self.in_part: set[str] = set()
        #: What a condition makes, and may be None.
        self.maybe: set[str] = set()
        self.values = Values(nest, graph)
        cls = self.base.function.cls
        #: The legacy class, whose method trains, and those that it is built on.
        self.lineage = graph.lineage(cls) if cls is not None else []
        automatic = hooks.automatic
        self.is_manual = automatic is None
        self.zeroes = automatic is not None and automatic.zero is not None
        scaler = automatic.precision.scaler if automatic is not None and automatic.precision is not None else ""
        self.lightnings = {*roles.optimizers, *roles.models, *schedules_of(hooks), scaler, *places.fixed}
        self.generators: Generators = generators_of(nest, roles, graph)

    def key(self, key: str) -> str:
        """A key of the checkpoint that nobody has yet."""
        while key in _LIGHTNINGS or key in self.found.saved:
            key += "_"
        return key

    def lose(self, name: str, why: str) -> None:
        """Begins anew in a resumed training, which is said."""
        self.found.lost.append(f"{name} ({why})")

    def made(self, name: str) -> list[ast.expr]:
        """What a name of the base frame is given, wherever that stands."""
        if self.base.function.cls is not None and name.startswith("self."):
            return [value for _, value in self.given_by_methods(name)]
        if name in self.base.function.assigned:
            return self.base.function.assigned[name]
        made = made_by(name, self.base)
        if made is None and name not in self.base.bound:
            return self.base.module.symbols.top.assigned.get(name, [])
        return [made.call] if made is not None else []

    def given_by_methods(self, name: str) -> list[tuple[Function, ast.expr]]:
        """What methods of the legacy class, and of those that it is built on, give an attribute: `self.best`."""
        attribute = name.removeprefix("self.")
        return [pair for one in self.lineage for pair in one.attributes.get(attribute, [])]

    def is_made_within(self, name: str) -> bool:
        """Whether an epoch makes it anew: in the epochs themselves, or in a method that they call and that moves."""
        inside = {id(node) for node in ast.walk(self.nest.epochs)}
        cls = self.base.function.cls
        if cls is not None and name.startswith("self."):
            moved = [frame.function for frame in self.nest.frames if frame is not self.base]
            inside |= {id(value) for owner, value in self.given_by_methods(name) if any(owner is one for one in moved)}
        return any(id(value) in inside for value in self.made(name))

    def full(self, name: str, call: ast.Call) -> str:
        """The full name of what an object is made by."""
        made = next((one.maker for one in makings_of(name, self.nest, self.graph) if one.call is call), "")
        head, dot, rest = dotted(call.func).partition(".")
        return made or f"{self.base.module.symbols.imports.get(head, head)}{dot}{rest}"

    def text(self, name: str) -> str:
        """What stands for a name in the LightningModule."""
        return self.places.said(self.base, ast.parse(name, mode="eval").body) or name

    def keep(self, name: str, key: str, saved: list[str], loaded: str) -> None:
        """Lines for an object; where it may be None, they ask."""
        self.kept.add(name)
        text = self.text(name)
        asked = [f"if {text} is not None:"] if name in self.maybe else []
        indent = "    " if asked else ""
        self.found.keep(key, [*asked, *(indent + line for line in saved)], [*asked, indent + loaded])

    def keep_state(self, name: str) -> None:
        """An object with a `state_dict`."""
        key, text = self.key(name.rpartition(".")[2]), self.text(name)
        saved = f'checkpoint["{key}"] = {text}.state_dict()'
        self.keep(name, key, [saved], f'{text}.load_state_dict(checkpoint["{key}"])')
