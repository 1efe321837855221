"""The LightningModule's source, and the lines that take the epoch loop's place."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable

from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.hooks import (
    BEFORE_STEP,
    CLIP,
    EPOCH_END,
    EPOCH_START,
    ORDER,
    VALIDATION_END,
    VALIDATION_START,
    ZERO,
    Hooks,
)
from lab_migrate.idiomatic.mentions import targets_of
from lab_migrate.idiomatic.moves import Moves
from lab_migrate.idiomatic.names import TAIL, TRAIN, VALIDATE, Names, names_of
from lab_migrate.idiomatic.nest import Batches, Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.roles import Made, Roles, made_by
from lab_migrate.idiomatic.text import Replace, moved, rewritten

_SIGNATURES = {
    EPOCH_START: "self", EPOCH_END: "self", VALIDATION_START: "self", VALIDATION_END: "self",
    BEFORE_STEP: "self, optimizer",
    CLIP: "self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None",
    ZERO: "self, epoch, batch_idx, optimizer",
    TRAIN: "self, {batch}, batch_idx", TAIL: "self, outputs, {batch}, batch_idx", VALIDATE: "self, {batch}, batch_idx",
}  # fmt: skip
WIDTH = 110


class Writer:
    """One nest as a LightningModule. `name` is the class's; `module` how the file knows `lightning`."""

    def __init__(self, nest: Nest, roles: Roles, hooks: Hooks, name: str, module: str) -> None:
        self.nest, self.roles, self.hooks = nest, roles, hooks
        self.name, self.lightning = name, module
        self.base = nest.base
        self.unit = _unit(nest)
        self.backwards = self._plain_backwards()
        self.moved = [made for made in self._configurers() if self._moves_into_configure(made)]
        self.fixed = self._fixed()
        extra = [made.statement.value for made in self.moved]
        given = self._given()
        taken = {self._attribute(name) for name in roles.models}
        self.names: Names = names_of(nest, hooks.items, given, set(self.fixed), taken, extra)

    # ---- what has a place

    def _fixed(self) -> dict[str, str]:
        """Canonical names and what stands for them in a hook."""
        fixed = {name: f"self.{self._attribute(name)}" for name in self.roles.models}
        if self.roles.wrapper is not None:
            (name,) = self.roles.optimizers
            fixed[name] = name if self.base.is_script else f"self.{self._attribute(name)}"
        elif self.hooks.automatic is not None:
            fixed |= dict.fromkeys(self.roles.optimizers, "self.optimizers()")
            stepping = [*self.hooks.epoch_schedules, *self.hooks.automatic.schedules]
            if len(stepping) == 1:
                fixed |= dict.fromkeys(stepping, "self.lr_schedulers()")
        else:
            fixed |= {name: name.rpartition(".")[2] for name in self.roles.optimizers}
        fixed |= dict.fromkeys(self.roles.devices, "self.device")
        fixed[self._loader(self.nest.train)] = "self.trainer.train_dataloader"
        if self.nest.validation is not None:
            fixed.setdefault(self._loader(self.nest.validation), "self.trainer.val_dataloaders")
        fixed[self.base.canonical(self.nest.epoch)] = self._epoch_text() or self.nest.epoch
        for loop in self.loops():
            if loop.index and loop.start == 0 and not self._used_outside(loop, loop.index):
                fixed[loop.frame.canonical(loop.index)] = "batch_idx"
        return {name: text for name, text in fixed.items() if name}

    def loops(self) -> list[Batches]:
        """The batches' loops, training first."""
        return [self.nest.train, *([self.nest.validation] if self.nest.validation else [])]

    def _loader(self, loop: Batches) -> str:
        name = loop.frame.canonical(loop.loader)
        if not name or ":" in name:
            raise NotIdiomaticError(
                "LM304", loop.frame.module.path, loop.node, "its loader is made inside the epoch",
                "make the loader before the epochs, and convert again",
            )  # fmt: skip
        return name

    def _epoch_text(self) -> str:
        first = self.nest.first
        if first is None or (isinstance(first, ast.Constant) and first.value == 0):
            return "self.current_epoch"
        return ""

    def _used_outside(self, loop: Batches, name: str) -> bool:
        inside = {id(node) for node in ast.walk(loop.node)}
        return any(
            isinstance(node, ast.Name) and node.id == name and id(node) not in inside
            for node in own_nodes([*(item.node for item in self.nest.items if item.frame is loop.frame)])
        )

    def _attribute(self, canonical: str) -> str:
        from lab_migrate.idiomatic.reserved import RESERVED

        last = canonical.rpartition(":")[2].rpartition(".")[2]
        return f"{last}_" if last in RESERVED else last

    def _plain_backwards(self) -> set[int]:
        """Backward passes that Lightning can run in the legacy step's place."""
        calls = [reach.event.node for reach in self.nest.training.backward if reach.direct]
        return {id(call) for call in calls if isinstance(call, ast.Call) and not call.args and not call.keywords}

    # ---- configure_optimizers

    def _configurers(self) -> list[Made]:
        names = [*self.roles.optimizers, *self._schedules()]
        return [self.roles.made[name] for name in names if name in self.roles.made]

    def _schedules(self) -> list[str]:
        """Schedules that Lightning steps."""
        if self.hooks.automatic is None:
            return []
        return [*self.hooks.automatic.schedules, *self.hooks.epoch_schedules]

    def _moves_into_configure(self, made: Made) -> bool:
        """Whether an optimizer or schedule can as well be made when training begins."""
        target = made.statement.targets[0]
        if self.roles.wrapper is not None and dotted(target) in self.roles.optimizers:
            return False
        if not isinstance(target, ast.Name) or made.owner is not self.base.function:
            return False
        if not self._is_plain(made.statement):
            return False
        inside = {id(node) for node in own_nodes([self.nest.epochs])}
        ours = {id(node) for made_ in self._configurers() for node in ast.walk(made_.statement)}
        needs = names_in([made.statement.value]).read
        for node in self.base.function.own:
            if not isinstance(node, ast.Name) or id(node) in inside or id(node) in ours:
                continue
            if node.id == target.id:
                return False
            late = node.lineno > made.statement.lineno and isinstance(node.ctx, ast.Store)
            if late and node.id in needs:
                return False
        return not (self.base.is_script and self._read_by_functions(target.id))

    def _is_plain(self, statement: ast.stmt) -> bool:
        """A statement of the function's own body, or of `if __name__ == "__main__":`."""
        body = self.base.function.body
        mains = [node for node in body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)]
        return any(statement in suite for suite in [body, *(node.body for node in mains)])

    def _read_by_functions(self, name: str) -> bool:
        taken = {id(frame.function.node) for frame in self.nest.frames}
        return any(
            name in (names := names_in(function.body)).read | names.captured and name not in function.parameters
            for function in self.base.module.symbols.functions
            if id(function.node) not in taken and not isinstance(function.node, ast.Module)
        )

    # ---- names

    def _given(self) -> dict[str, list[str]]:
        given: dict[str, list[str]] = {}
        for hook, loop in ((TRAIN, self.nest.train), (TAIL, self.nest.train), (VALIDATE, self.nest.validation)):
            if loop is None or (hook == TAIL and not self.hooks.items.get(TAIL)):
                continue
            given[hook] = targets_of(loop.frame, loop.target)
            if loop.index and loop.frame.canonical(loop.index) not in self.fixed:
                given[hook].append(loop.frame.canonical(loop.index))
        return given

    def replace(self, frame: Frame, moves: Moves | None = None) -> Replace:
        """What stands for an expression of this frame in the LightningModule."""
        module = frame.module

        def text(node: ast.expr) -> str:
            return rewritten(module.source(node), said)

        def said(node: ast.expr) -> str | None:
            if moves is not None and (inner := moves.inside(node)) is not None:
                return text(inner) if hasattr(inner, "lineno") else None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cuda":
                return f"{text(node.func.value)}.to(self.device)"
            if id(node) in self.backwards and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                return f"self.manual_backward({text(node.func.value)})"
            if isinstance(node, ast.Constant):
                return None
            return self._said(frame, node)

        return said

    def _said(self, frame: Frame, node: ast.expr) -> str | None:
        name = dotted(node)
        if not name:
            return None
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
        for kind in (self.names.captured, self.names.carried) if hasattr(self, "names") else ():
            if canonical in kind:
                return f"self.{kind[canonical]}"
        return None

    # ---- the class

    def source(self) -> str:
        """The class, at the left margin."""
        configured = self._configure()
        parts = [f"class {self.name}({self.lightning}.LightningModule):", f'{self.unit}"""{self._docstring()}"""', ""]
        parts += [self._init()]
        for hook in ORDER:
            text = self._hook(hook)
            if text:
                parts += ["", text]
        if self.hooks.keeps_mode:
            line = "pass  # the model was never put into evaluation mode"
            parts += ["", self._method("on_validation_model_eval", "self", [line])]
        elif self._validates_with_others():
            (model,) = self.roles.models
            parts += ["", self._method("on_validation_model_eval", "self", [f"{self.fixed[model]}.eval()"])]
        if self.nest.validation is not None and self.hooks.automatic is None:
            line = "pass  # gradients may wait for the next epoch's step"
            parts += ["", self._method("on_validation_model_zero_grad", "self", [line])]
        parts += ["", configured]
        return "\n".join(part.rstrip("\n") for part in parts) + "\n"

    def _validates_with_others(self) -> bool:
        """Whether validation calls something that came in, and may be a module with a mode of its own."""
        if self.nest.validation is None or len(self.roles.models) != 1:
            return False
        called = {
            self.nest.validation.frame.canonical(node.func)
            for node in own_nodes(self.nest.validation.node.body)
            if isinstance(node, ast.Call)
        }
        for name in called & set(self.names.captured):
            made = made_by(name, self.base)
            maker = dotted(made.call.func).rpartition(".")[2] if made is not None else ""
            nested = any(one.name == name for one in self.base.module.symbols.functions)
            if not maker.endswith("Loss") and not nested:
                return True
        return False

    def _docstring(self) -> str:
        what = "training and validation" if self.nest.validation else "training"
        named = self.name.removeprefix("Lit")
        return f"The {what} of {named}." if named != "Model" else f"The {what} of the model."

    def _init(self) -> str:
        parameters = list(dict.fromkeys([*map(self._attribute, self.roles.models), *self._captured_parameters()]))
        lines = ["super().__init__()"]
        if self.hooks.automatic is None:
            lines.append("self.automatic_optimization = False")
        lines += [f"self.{name} = {name}" for name in parameters]
        for name, statement in self.names.initial.items():
            attribute = self.names.carried[name]
            if statement is not None and self._is_literal(statement.value):
                lines.append(f"self.{attribute} = {self.base.module.source(statement.value)}")
            elif attribute not in parameters:
                parameters.append(attribute)
                lines.append(f"self.{attribute} = {attribute}")
        return self._method("__init__", ", ".join(["self", *parameters]), lines)

    def _captured_parameters(self) -> list[str]:
        return list(self.names.captured.values())

    def arguments(self) -> list[str]:
        """What the class is made with, in the base frame."""
        found = {self._attribute(name): name for name in self.roles.models}
        found |= {attribute: name for name, attribute in self.names.captured.items()}
        for name, statement in self.names.initial.items():
            if statement is None or not self._is_literal(statement.value):
                found.setdefault(self.names.carried[name], name)
        return list(found.values())

    def _is_literal(self, value: ast.expr) -> bool:
        if isinstance(value, ast.List | ast.Dict | ast.Set):
            return ast.unparse(value) in ("[]", "{}")
        if isinstance(value, ast.UnaryOp):
            return isinstance(value.operand, ast.Constant)
        return isinstance(value, ast.Constant)

    def _hook(self, hook: str) -> str:
        items = self.hooks.items.get(hook, [])
        if not items and hook not in (TRAIN, VALIDATE):
            return ""
        if hook == VALIDATE and self.nest.validation is None:
            return ""
        indent = self.unit * 2
        lines = [f"{indent}{line}\n" for line in self._prelude(hook)]
        body = "".join(lines) + self._body(hook, items, indent)
        if hook in (CLIP, ZERO):
            body = body.replace("self.optimizers()", "optimizer")
        if hook == TRAIN and self.hooks.automatic is not None:
            body += f"{indent}return {self._result()}\n"
        if not body.strip():
            return ""
        signature = _SIGNATURES[hook].format(batch=self._batch_name(hook))
        return f"{self.unit}def {hook}({signature}):\n{body}"

    def _batch_name(self, hook: str) -> str:
        loop = self.nest.validation if hook == VALIDATE else self.nest.train
        assert loop is not None
        target = loop.target
        if isinstance(target, ast.Name) and loop.frame.canonical(target.id) not in self.names.carried:
            return target.id
        return "batch"

    def _prelude(self, hook: str) -> list[str]:
        lines: list[str] = []
        used = self._used(hook)
        epoch = self.base.canonical(self.nest.epoch)
        if epoch in used and not self._epoch_text():
            assert self.nest.first is not None
            first = rewritten(self.base.module.source(self.nest.first), self.replace(self.base))
            lines.append(f"{self.nest.epoch} = self.current_epoch + {first}")
        own = self.hooks.automatic is None and self.roles.wrapper is None
        if own and hook != VALIDATE and used & set(self.roles.optimizers):
            every = ", ".join(self.fixed[name] for name in self.roles.optimizers)
            lines.append(f"{every} = self.optimizers({self._raw()})")
        if hook in (TRAIN, TAIL, VALIDATE):
            loop = self.nest.validation if hook == VALIDATE else self.nest.train
            assert loop is not None
            index = loop.frame.canonical(loop.index)
            carried = index in self.names.carried and hook != TAIL
            local = index in used and index not in self.names.carried
            if loop.index and index not in self.fixed and (carried or local):
                text = self._said(loop.frame, ast.Name(loop.index, ast.Load())) or loop.index
                lines.append(f"{text} = batch_idx" + (f" + {loop.start}" if loop.start else ""))
            elif loop.index and loop.start and index in used and index in self.fixed:
                lines.append(f"{loop.index} = batch_idx + {loop.start}")
            target = loop.target
            needed = set(targets_of(loop.frame, target))
            unpacks = self._batch_name(hook) == "batch" and not (isinstance(target, ast.Name) and target.id == "batch")
            if unpacks and (hook != TAIL or needed & used):
                source = loop.frame.module.source(target)
                source = source[1:-1] if _wrapped(target, source) else source
                lines.append(f"{rewritten(source, self.replace(loop.frame))} = batch")
        if hook == TAIL and self.names.passed:
            lines += [f'{self._local(name)} = outputs["{self._local(name)}"]' for name in self.names.passed]
        return lines

    def _raw(self) -> str:
        calls = [reach.event.node for reach in self.nest.training.step if reach.direct]
        plain = all(getattr(call.func, "attr", "") == "step" for call in calls if isinstance(call, ast.Call))
        return "" if plain else "use_pl_optimizer=False"

    def _local(self, canonical: str) -> str:
        return canonical.rpartition(":")[2]

    def _used(self, hook: str) -> set[str]:
        found: set[str] = set()
        for item in self.hooks.items.get(hook, []):
            for frame, node in self._nodes(item):
                name = frame.canonical(node)
                while name:
                    found.add(name)
                    name = name.rpartition(".")[0]
                head = dotted(node).partition(".")[0]
                if head in frame.arguments and not frame.canonical(head) and frame.base is not None:
                    found |= {frame.base.canonical(one) for one in ast.walk(frame.arguments[head]) if dotted(one)}
        return found

    def _nodes(self, item: Item) -> Iterable[tuple[Frame, ast.AST]]:
        if item.result is not None and item.base is not None:
            assert item.value is not None
            yield from ((item.base, node) for node in ast.walk(item.result))
            yield from ((item.frame, node) for node in ast.walk(item.value))
        else:
            yield from ((item.frame, node) for node in ast.walk(item.node) if id(node) not in self.hooks.dropped)

    def _body(self, hook: str, items: list[Item], indent: str) -> str:
        text = ""
        group: list[Item] = []
        for item in [*items, None]:
            if item is not None and item.result is None and (not group or item.frame is group[-1].frame):
                group.append(item)
                continue
            text += self._group(hook, group, indent)
            group = []
            if item is not None and item.result is not None:
                text += self._assigned(item, indent)
            elif item is not None:
                group = [item]
        return text

    def _group(self, hook: str, group: list[Item], indent: str) -> str:
        if not group:
            return ""
        frame = group[0].frame
        moves = self.hooks.train_moves if hook in (TRAIN, TAIL) else None
        moves = self.hooks.validation_moves if hook == VALIDATE else moves
        suite = _suite_of(self.nest, frame, group[0].node)
        wanted = {id(item.node) for item in group}
        first = min(suite.index(item.node) for item in group)
        floor = (suite[first - 1].end_lineno or 0) if first else _line_above(frame, group[0].node)
        left_out = {id(node) for node in suite if id(node) not in wanted}
        chosen = [node for node in suite[first:] if id(node) in wanted or id(node) in self.hooks.dropped]
        last = max(chosen.index(item.node) for item in group)
        return moved(
            frame.module,
            chosen[: last + 1],
            self.replace(frame, moves),
            indent,
            self.hooks.dropped | left_out,
            floor,
            self.hooks.instead,
        )

    def _assigned(self, item: Item, indent: str) -> str:
        assert item.result is not None
        assert item.base is not None
        assert item.value is not None
        left = rewritten(item.base.module.source(item.result), self.replace(item.base))
        right = rewritten(item.frame.module.source(item.value), self.replace(item.frame))
        return f"{indent}{left} = {right}\n" if left != right else ""

    def _result(self) -> str:
        assert self.hooks.automatic is not None
        loss = self.hooks.automatic.loss
        text = rewritten(self.nest.train.frame.module.source(loss), self.replace(self.nest.train.frame))
        passed = [self._local(name) for name in self.names.passed]
        if not passed:
            return text
        pairs = [f'"loss": {text}', *(f'"{name}": {name}' for name in passed if name != "loss" or text != "loss")]
        return "{" + ", ".join(pairs) + "}"

    # ---- optimizers

    def _configure(self) -> str:
        lines: list[str] = []
        values: dict[str, str] = {}
        replace = self._in_configure()
        schedules = self._schedules()
        for name in [*self.roles.optimizers, *schedules]:
            made = self.roles.made.get(name)
            if made is not None and any(made is one for one in self.moved):
                text = self._in_text(made, replace)
                if len(self.roles.optimizers) + len(schedules) == 1:
                    return self._method("configure_optimizers", "self", [f"return {text}"])
                lines.append(f"{name.rpartition('.')[2]} = {text}")
                values[name] = name.rpartition(".")[2]
            else:
                values[name] = self._place_for_configure(name)
                if self.roles.wrapper is not None and name in self.roles.optimizers:
                    values[name] += f".{self.roles.wrapper.inner}"
        optimizers = [values[name] for name in self.roles.optimizers]
        if len(optimizers) > 1:
            lines.append(f"return {', '.join(optimizers)}")
        elif not schedules:
            lines.append(f"return {optimizers[0]}")
        else:
            assert self.hooks.automatic is not None
            configured = [
                values[name] if name in self.hooks.epoch_schedules
                else f'{{"scheduler": {values[name]}, "interval": "step"}}'
                for name in schedules
            ]  # fmt: skip
            lines.append(f"return [{optimizers[0]}], [{', '.join(configured)}]")
        return self._method("configure_optimizers", "self", lines)

    def _place_for_configure(self, name: str) -> str:
        if self.base.is_script and ":" not in name and "." not in name:
            return name
        attribute = self.names.captured.setdefault(name, self._attribute(name))
        return f"self.{attribute}"

    def _in_configure(self) -> Replace:
        inner = self.replace(self.base)
        local = set(self.roles.optimizers)

        def said(node: ast.expr) -> str | None:
            name = self.base.canonical(node) if dotted(node) else ""
            if name in local and any(self.roles.made.get(name) is made for made in self.moved):
                return name.rpartition(".")[2]
            if name in local:
                return self._place_for_configure(name)
            return inner(node)

        return said

    def _in_text(self, made: Made, replace: Replace) -> str:
        text = rewritten(self.base.module.source(made.statement.value), replace)
        lines = text.split("\n")
        if len(lines) == 1:
            return text
        rest = textwrap.dedent("\n".join(lines[1:]))
        closing = rest.split("\n")[-1].strip() in (")", "])", "),")
        more = self.unit * (2 if closing else 3)
        body = [f"{more}{line}" if line.strip() else "" for line in rest.split("\n")]
        return "\n".join([lines[0], *body])

    def _method(self, name: str, signature: str, lines: list[str]) -> str:
        body = "\n".join(f"{self.unit * 2}{line}" for line in lines)
        head = f"{self.unit}def {name}({signature}):"
        if len(head) > WIDTH:
            inner = textwrap.fill(signature, WIDTH - len(self.unit) * 2)
            head = f"{self.unit}def {name}(\n{textwrap.indent(inner, self.unit * 2)}\n{self.unit}):"
        return f"{head}\n{body}"


def _unit(nest: Nest) -> str:
    body = nest.epochs.body[0]
    line = nest.base.module.lines[body.lineno - 1].decode()
    around = nest.base.module.lines[nest.epochs.lineno - 1].decode()
    deep, shallow = (text[: len(text) - len(text.lstrip(" \t"))] for text in (line, around))
    return deep[len(shallow) :] if body.lineno != nest.epochs.lineno and deep.startswith(shallow) else "    "


def _suite_of(nest: Nest, frame: Frame, node: ast.stmt) -> list[ast.stmt]:
    """The list of statements that a statement stands in."""
    for outer in ast.walk(frame.function.node):
        for name in ("body", "orelse", "finalbody"):
            suite = getattr(outer, name, None)
            if isinstance(suite, list) and any(one is node for one in suite):
                return suite
    raise AssertionError(f"{frame.module.path}:{node.lineno}: a statement of no suite")


def _line_above(frame: Frame, node: ast.stmt) -> int:
    """The line above a statement and the comments right above it."""
    line = node.lineno - 1
    while line >= 1 and frame.module.lines[line - 1].lstrip().startswith(b"#"):
        line -= 1
    return line


def _wrapped(target: ast.expr, source: str) -> bool:
    return isinstance(target, ast.Tuple) and source.startswith("(") and source.endswith(")")
