"""The LightningModule's source."""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.bodies import Bodies
from lab_migrate.idiomatic.checkpoint_hooks import Kept
from lab_migrate.idiomatic.configure import Configure, moved_makers
from lab_migrate.idiomatic.datamodule import DataModule
from lab_migrate.idiomatic.hooks import ORDER, Hooks
from lab_migrate.idiomatic.kept import kept_of
from lab_migrate.idiomatic.layout import is_literal, method, unit_of
from lab_migrate.idiomatic.makings import makings_of
from lab_migrate.idiomatic.names import Names
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.places import Places
from lab_migrate.idiomatic.replaced import refuse_replaced
from lab_migrate.idiomatic.roles import Roles


class Writer:
    """One nest as a LightningModule. `name` is the class's, `what` that of the class that it trains, if that is known;
    `module` is how the file knows `lightning`.

    `data` is the LightningDataModule beside it, where there is one.
    """

    def __init__(
        self,
        nest: Nest,
        roles: Roles,
        hooks: Hooks,
        name: str,
        what: str,
        module: str,
        graph: CallGraph,
        data: DataModule | None = None,
    ) -> None:
        self.nest, self.roles, self.hooks = nest, roles, hooks
        self.name, self.what, self.lightning, self.data = name, what, module, data
        self.base, self.graph = nest.base, graph
        self.unit = unit_of(nest)
        self.moved = moved_makers(nest, roles, hooks, graph)
        self.places = Places(nest, roles, hooks, self.moved)
        self.names: Names = self.places.names
        refuse_replaced(nest, self.places, graph)
        self.kept: Kept = kept_of(nest, roles, hooks, self.places, graph)

    def loops(self) -> list[Batches]:
        """The batches' loops, training first."""
        return self.places.loops()

    def source(self) -> str:
        """The classes, at the left margin."""
        configured = Configure(self.nest, self.roles, self.hooks, self.places, self.moved, self.unit).source()
        bodies = Bodies(self.nest, self.roles, self.hooks, self.places, self.unit)
        parts = [f"class {self.name}({self.lightning}.LightningModule):", f'{self.unit}"""{self._docstring()}"""', ""]
        parts += [self._init()]
        for hook in ORDER:
            text = bodies.hook(hook)
            if text:
                parts += ["", text]
        modes = self.hooks.modes
        if modes.never or modes.stay:
            why = "the model was never put into evaluation mode" if modes.never else "modes are set as before"
            parts += ["", method(self.unit, "on_validation_model_eval", "self", [f"pass  # {why}"])]
            if modes.stay:
                parts += ["", method(self.unit, "on_validation_model_train", "self", ["pass"])]
        elif self._validates_with_others():
            (model,) = self.roles.models
            parts += ["", method(self.unit, "on_validation_model_eval", "self", [f"{self.places.fixed[model]}.eval()"])]
        why = ""
        if self.hooks.automatic is None:
            why = "gradients may wait for the next epoch's step"
        elif self.hooks.automatic.zero is not None:
            why = "Lightning would set gradients to None"
        if self.nest.validation is not None and why:
            parts += ["", method(self.unit, "on_validation_model_zero_grad", "self", [f"pass  # {why}"])]
        if self.hooks.own_batches:
            line = "return batch  # of a class of its own"
            parts += ["", method(self.unit, "transfer_batch_to_device", "self, batch, device, dataloader_idx", [line])]
        for text in self.kept.source(self.unit):
            parts += ["", text]
        parts += ["", configured]
        text = "\n".join(part.rstrip("\n") for part in parts) + "\n"
        data = self.data.source(self.lightning, self.unit, self.nest) if self.data is not None else ""
        return f"{text}\n\n{data}" if data else text

    def _validates_with_others(self) -> bool:
        """Whether validation calls something that came in, and may be a module with a mode of its own."""
        if self.nest.validation is None or len(self.roles.models) != 1:
            return False
        called = {
            self.nest.validation.frame.canonical(node.func)
            for node in own_nodes(self.nest.validation.body)
            if isinstance(node, ast.Call)
        }
        for name in called & set(self.names.captured):
            makings = makings_of(name, self.nest, self.graph)
            are_losses = bool(makings) and all(making.maker.endswith("Loss") for making in makings)
            nested = any(one.name == name for one in self.base.module.symbols.functions)
            if not are_losses and not nested:
                return True
        return False

    def _docstring(self) -> str:
        what = "training and validation" if self.nest.validation else "training"
        return f"The {what} of {self.what or 'the model'}."

    def _init(self) -> str:
        parameters = list(dict.fromkeys([*map(self.places.attribute, self.roles.models), *self._captured_parameters()]))
        lines = ["super().__init__()"]
        if self.hooks.automatic is None:
            lines.append("self.automatic_optimization = False")
        lines += [f"self.{name} = {name}" for name in parameters]
        for name, statement in self.names.initial.items():
            attribute = self.names.carried[name]
            if statement is not None and is_literal(statement.value):
                lines.append(f"self.{attribute} = {self.base.module.source(statement.value)}")
            elif attribute not in parameters:
                parameters.append(attribute)
                lines.append(f"self.{attribute} = {attribute}")
        return method(self.unit, "__init__", ", ".join(["self", *parameters]), lines)

    def _captured_parameters(self) -> list[str]:
        return list(self.names.captured.values())

    def arguments(self) -> list[str]:
        """What the class is made with, in the base frame."""
        found = {self.places.attribute(name): name for name in self.roles.models}
        found |= {attribute: name for name, attribute in self.names.captured.items()}
        for name, statement in self.names.initial.items():
            if statement is None or not is_literal(statement.value):
                found.setdefault(self.names.carried[name], name)
        return list(found.values())
