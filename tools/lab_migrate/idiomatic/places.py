"""What stands for each expression of the legacy code inside the LightningModule."""

from __future__ import annotations

import ast

from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.idiomatic.autocast import full_name
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.hooks import Hooks
from lab_migrate.idiomatic.made import Made
from lab_migrate.idiomatic.mentions import flow_of, targets_of
from lab_migrate.idiomatic.moves import Moves
from lab_migrate.idiomatic.names import TAIL, TRAIN, VALIDATE, Names, names_of, read_after_of
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.raw import raw_of
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.reserved import RESERVED
from lab_migrate.idiomatic.roles import Roles
from lab_migrate.idiomatic.short_names import short_names
from lab_migrate.idiomatic.text import Replace, rewritten


class Places:
    """The places of one nest's names. Raises `NotIdiomaticError` where one has no place.

    `fixed` are canonical names with what stands for them in a hook; `names` what becomes of all others.
    """

    def __init__(self, nest: Nest, roles: Roles, hooks: Hooks, moved: list[Made]) -> None:
        self.nest, self.roles, self.hooks, self.base = nest, roles, hooks, nest.base
        #: Names of the file that the functions declare `global`, and so do the hooks that assign them.
        self.shared: set[str] = set()
        if not nest.base.is_script:
            self.shared = {name for frame in nest.frames for name in names_in(frame.function.body).globals_}
        self.names = Names()
        self._attributes = {
            name: f"{short}_" if short in RESERVED else short for name, short in short_names(roles.models).items()
        }
        self.backwards = self._plain_backwards()
        self.raw = raw_of(nest, roles, automatic=hooks.automatic is not None)
        self.quotients = {id(node) for node in hooks.automatic.mean.quotients} if hooks.automatic else set()
        self.fixed = self._fixed()
        extra = [made.statement.value for made in moved]
        if nest.first is not None and not self.epoch_text():
            extra.append(nest.first)
        first = nest.steps.first if nest.steps is not None and nest.steps.counter else None
        extra += [first] if first is not None else []
        taken = {self.attribute(name) for name in roles.models}
        items = dict(hooks.items)
        if hooks.automatic is not None:
            # What training_step returns may be the only place of a name.
            items[TRAIN] = [*items[TRAIN], Item(nest.train.frame, ast.Expr(hooks.automatic.loss))]
        #: Whether a step gives its batch's own names other values (`x = x + noise`), which what follows it reads.
        self.rebinds = bool(flow_of(hooks.items[TRAIN]).stored & {*targets_of(nest.train.frame, nest.train.target)})
        self.names = names_of(nest, items, self._given(), set(self.fixed), taken, extra)

    def loops(self) -> list[Batches]:
        """The batches' loops, training first."""
        return [self.nest.train, *([self.nest.validation] if self.nest.validation else [])]

    def replace(self, frame: Frame, moves: Moves | None = None) -> Replace:
        """What stands for an expression of this frame in the LightningModule."""
        module = frame.module

        def text(node: ast.expr) -> str:
            return rewritten(module.source(node), said)

        def said(node: ast.expr) -> str | None:
            if moves is not None and (inner := moves.inside(node)) is not None:
                if not hasattr(inner, "lineno"):
                    return None
                # A generator shares its brackets with the call that it is the argument of.
                return f"({text(inner)})" if isinstance(node, ast.GeneratorExp) else text(inner)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cuda":
                return f"{text(node.func.value)}.to(self.device)"
            if id(node) in self.backwards and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                given = [text(one) for one in node.args]
                given += [f"{one.arg}={text(one.value)}" for one in node.keywords]
                return f"self.manual_backward({', '.join([text(node.func.value), *given])})"
            if isinstance(node, ast.Constant):
                return None
            if id(node) in self.quotients and isinstance(node, ast.BinOp):
                left = text(node.left)
                return f"({left})" if "\n" in left and not isinstance(node.left, ast.Call) else left
            return self.said(frame, node)

        return said

    def divided(self, frame: Frame, replace: Replace) -> Replace:
        """`replace` where the legacy loss is divided already, which the LightningModule's is not."""
        batch = self.hooks.automatic
        assert batch is not None
        assert batch.accumulation is not None
        name, count = batch.mean.name, rewritten(frame.module.source(batch.accumulation.count), replace)

        def said(node: ast.expr) -> str | None:
            text = replace(node)
            return f"({text or name} / {count})" if isinstance(node, ast.Name) and node.id == name else text

        return said

    def said(self, frame: Frame, node: ast.expr) -> str | None:
        """What stands for a name of this frame; None where it stays."""
        name = dotted(node)
        if not name:
            return self.fixed.get(frame.entry(node)) if isinstance(node, ast.Subscript) else None
        if (raw := self.raw.inside(node)) is not None:
            return "".join(raw)
        head, _, rest = name.partition(".")
        canonical = frame.canonical(name)
        if not canonical and head in frame.arguments and frame.base is not None:
            value = frame.arguments[head]
            text = rewritten(frame.module.source(value), self.replace(frame.base))
            text = text if isinstance(value, ast.Constant | ast.Call | ast.Subscript) else f"({text})"
            return f"{text}.{rest}" if rest else text
        prefix = canonical
        while prefix:
            found = self._place(prefix)
            if found is not None:
                return found + canonical[len(prefix) :]
            prefix = prefix.rpartition(".")[0]
        if canonical != name and ":" not in canonical:
            return canonical
        return None

    def _place(self, canonical: str) -> str | None:
        if canonical in self.fixed:
            return self.fixed[canonical]
        for kind in (self.names.captured, self.names.carried):
            if canonical in kind:
                return f"self.{kind[canonical]}"
        return None

    def attribute(self, canonical: str) -> str:
        """The attribute for what the base frame knows by this name."""
        if canonical not in self._attributes:
            others = {*self._attributes.values(), *self.names.captured.values(), *self.names.carried.values()}
            short = short_names([canonical])[canonical]
            if short in others:
                short = "_".join(part for part in canonical.rpartition(":")[2].split(".") if part != "self")
            while short in RESERVED or short in others:
                short += "_"
            self._attributes[canonical] = short
        return self._attributes[canonical]

    def epoch_text(self) -> str:
        """What stands for the epoch's number; empty where it is counted from another one."""
        first = self.nest.first
        if first is None or (isinstance(first, ast.Constant) and first.value == 0):
            return "self.current_epoch"
        return ""

    def _fixed(self) -> dict[str, str]:
        """Canonical names and what stands for them in a hook."""
        fixed = {name: f"self.{self.attribute(name)}" for name in self.roles.models}
        if self.roles.distributed is not None:
            model = self.roles.distributed.model
            fixed[f"{model}.module"] = fixed[model]
        if self.roles.wrapper is not None:
            (name,) = self.roles.optimizers
            fixed[name] = name if self.base.is_script else f"self.{self.attribute(name)}"
        elif self.hooks.automatic is not None:
            fixed |= dict.fromkeys(self.roles.optimizers, "self.optimizers()")
            stepping = [*self.hooks.epoch_schedules, *self.hooks.automatic.schedules]
            if len(stepping) == 1:
                fixed |= dict.fromkeys(stepping, "self.lr_schedulers()")
        else:
            fixed |= short_names(self.roles.optimizers, self.base.module.symbols.imports)
        fixed |= dict.fromkeys(self.roles.devices, "self.device")
        if not self.nest.train.is_counted and not self.nest.train.zipped:
            fixed[self._loader(self.nest.train)] = "self.trainer.train_dataloader"
        if self.nest.validation is not None:
            fixed.setdefault(self._loader(self.nest.validation), "self.trainer.val_dataloaders")
        fixed[self.base.canonical(self.nest.epoch)] = self.epoch_text() or self.nest.epoch
        for loop in self.loops():
            if loop.index and loop.start == 0 and not self._used_outside(loop, loop.index):
                fixed[loop.frame.canonical(loop.index)] = "batch_idx"
        return {name: text for name, text in fixed.items() if name}

    def loaders(self) -> set[str]:
        """The batches' loaders, by the names of the base frame."""
        return {self._loader(loop) for loop in self.loops() if not loop.is_counted and not loop.zipped}

    def _loader(self, loop: Batches) -> str:
        name = loop.frame.entry(loop.loader)
        if not name or ":" in name:
            raise NotIdiomaticError(
                "LM304", loop.frame.module.path, loop.node, "its loader is made inside the epoch",
                "make the loader before the epochs, and convert again",
            )  # fmt: skip
        return name

    def _used_outside(self, loop: Batches, name: str) -> bool:
        if loop.frame.canonical(name) in read_after_of(self.nest):
            return True
        inside = {id(node) for node in ast.walk(loop.node)}
        return any(
            isinstance(node, ast.Name) and node.id == name and id(node) not in inside
            for node in own_nodes([*(item.node for item in self.nest.items if item.frame is loop.frame)])
        )

    def _plain_backwards(self) -> set[int]:
        """Backward passes that Lightning can run in the legacy step's place, with what they are given."""
        calls = [reach.event.node for reach in self.nest.training.backward if reach.direct]
        return {
            id(call)
            for call in calls
            if isinstance(call, ast.Call)
            and not self._is_torchs(call)
            and not any(isinstance(one, ast.Starred) for one in call.args)
            and all(word.arg for word in call.keywords)
        }

    def _is_torchs(self, call: ast.Call) -> bool:
        """Whether it is `torch.autograd.backward(loss)`, which is no method of its loss."""
        return full_name(call.func, self.nest.train.frame).startswith("torch.autograd")

    def _given(self) -> dict[str, list[str]]:
        given: dict[str, list[str]] = {}
        for hook, loop in ((TRAIN, self.nest.train), (TAIL, self.nest.train), (VALIDATE, self.nest.validation)):
            if loop is None or (hook == TAIL and not self.hooks.items.get(TAIL)):
                continue
            given[hook] = [] if hook == TAIL and self.rebinds else targets_of(loop.frame, loop.target)
            given[hook] += [self.nest.steps.counter] if self.nest.steps is not None and self.nest.steps.counter else []
            if loop.index and loop.frame.canonical(loop.index) not in self.fixed:
                given[hook].append(loop.frame.canonical(loop.index))
        return given
