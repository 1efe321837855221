"""The source of the LightningModule's hooks: the legacy statements, with what they need before them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.hooks import (
    BEFORE_STEP,
    CLIP,
    EPOCH_END,
    EPOCH_START,
    VALIDATION_END,
    VALIDATION_START,
    ZERO,
    Hooks,
)
from lab_migrate.idiomatic.mentions import flow_of, targets_of
from lab_migrate.idiomatic.names import TAIL, TRAIN, VALIDATE
from lab_migrate.idiomatic.nest import Nest, Steps
from lab_migrate.idiomatic.places import Places
from lab_migrate.idiomatic.raw import RAW, steps_raw
from lab_migrate.idiomatic.roles import Roles
from lab_migrate.idiomatic.text import moved, rewritten

_SIGNATURES = {
    EPOCH_START: "self", EPOCH_END: "self", VALIDATION_START: "self", VALIDATION_END: "self",
    BEFORE_STEP: "self, optimizer",
    CLIP: "self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None",
    ZERO: "self, epoch, batch_idx, optimizer",
    TRAIN: "self, {batch}, batch_idx", VALIDATE: "self, {batch}, batch_idx",
    TAIL: "self, {outputs}, {batch}, batch_idx",
}  # fmt: skip


class Bodies:
    """The hooks of one nest."""

    def __init__(self, nest: Nest, roles: Roles, hooks: Hooks, places: Places, unit: str) -> None:
        self.nest, self.roles, self.hooks, self.places = nest, roles, hooks, places
        self.base, self.unit = nest.base, unit

    def hook(self, hook: str) -> str:
        """One method; empty where nothing goes there."""
        items = self.hooks.items.get(hook, [])
        if not items and hook not in (TRAIN, VALIDATE):
            return ""
        if hook == VALIDATE and self.nest.validation is None:
            return ""
        indent = self.unit * 2
        lines = [f"{indent}{line}\n" for line in self._prelude(hook)]
        body = "".join(lines) + self._body(hook, items, indent)
        if hook in (CLIP, ZERO):
            body = body.replace("self.optimizers()", "optimizer").replace(RAW, "optimizer")
        if hook == TRAIN and self.hooks.automatic is not None:
            body += f"{indent}return {self._result()}\n"
        if not body.strip():
            return ""
        signature = _SIGNATURES[hook].format(batch=self._batch_name(hook), outputs=self._outputs())
        return f"{self.unit}def {hook}({signature}):\n{body}"

    def _batch_name(self, hook: str) -> str:
        loop = self.nest.validation if hook == VALIDATE else self.nest.train
        assert loop is not None
        target = loop.target
        if isinstance(target, ast.Name) and loop.frame.canonical(target.id) not in self.places.names.carried:
            return target.id
        return "batch"

    def _prelude(self, hook: str) -> list[str]:
        lines: list[str] = []
        shared = sorted(flow_of(self.hooks.items.get(hook, [])).stored & self.places.shared)
        if shared:
            lines.append(f"global {', '.join(shared)}")
        used = self._used(hook)
        epoch = self.base.canonical(self.nest.epoch)
        if epoch in used and not self.places.epoch_text():
            assert self.nest.first is not None
            first = rewritten(self.base.module.source(self.nest.first), self.places.replace(self.base))
            lines.append(f"{self.nest.epoch} = self.current_epoch + {first}")
        own = self.hooks.automatic is None and self.roles.wrapper is None
        raw = steps_raw(self.nest, self.roles)
        if own and hook != VALIDATE and used & set(self.roles.optimizers) and (raw or self._wraps(hook)):
            every = ", ".join(self.places.fixed[name] for name in self.roles.optimizers)
            lines.append(f"{every} = {RAW if raw else 'self.optimizers()'}")
        steps = self.nest.steps
        if steps is not None and steps.counter and hook in (TRAIN, TAIL):
            carried = steps.counter in self.places.names.carried
            if hook == TRAIN if carried else steps.counter in used:
                lines.append(f"{self._counter(steps)} = {self._steps_done(steps, hook)}")
        if hook in (TRAIN, TAIL, VALIDATE):
            loop = self.nest.validation if hook == VALIDATE else self.nest.train
            assert loop is not None
            index = loop.frame.canonical(loop.index)
            carried = index in self.places.names.carried and hook != TAIL
            local = index in used and index not in self.places.names.carried
            if loop.index and index not in self.places.fixed and (carried or local):
                text = self.places.said(loop.frame, ast.Name(loop.index, ast.Load())) or loop.index
                lines.append(f"{text} = batch_idx" + (f" + {loop.start}" if loop.start else ""))
            elif loop.index and loop.start and index in used and index in self.places.fixed:
                lines.append(f"{loop.index} = batch_idx + {loop.start}")
            target = loop.target
            needed = set(targets_of(loop.frame, target))
            # Under its own name the batch is the hook's parameter, unless it outlives the hook.
            carried = isinstance(target, ast.Name) and loop.frame.canonical(target.id) in self.places.names.carried
            unpacks = self._batch_name(hook) == "batch" and (carried or not _is_called_batch(target))
            # Where the loop only counts, nothing was written that would name a batch.
            unpacks = unpacks and hasattr(target, "lineno")
            if unpacks and (hook != TAIL or (needed & used and not self.places.rebinds)):
                source = _unwrapped(loop.frame.module.source(target), target)
                lines.append(f"{rewritten(source, self.places.replace(loop.frame))} = batch")
        if hook == TAIL and self.places.names.passed:
            lines += [f'{self._local(name)} = {self._outputs()}["{key}"]' for name, key in self._passed().items()]
        return lines

    def _counter(self, steps: Steps) -> str:
        return self.places.said(self.base, ast.Name(steps.counter, ast.Load())) or steps.counter

    def _steps_done(self, steps: Steps, hook: str) -> str:
        """The number of the step that a batch belongs to: Lightning has counted it by the end of the batch."""
        first = (
            ""
            if steps.first is None
            else rewritten(self.base.module.source(steps.first), self.places.replace(self.base))
        )
        first = "" if first == "0" else f" + {first}"
        return f"self.global_step{first if steps.first is not None else ''}{' - 1' if hook == TAIL else ''}"

    def _outputs(self) -> str:
        """What `on_train_batch_end` calls the result of the step: a name that the legacy code does not have there."""
        used = {self._local(name) for name in self._used(TAIL)}
        return next(name for name in ("outputs", "results", "step_results") if name not in used)

    def _wraps(self, hook: str) -> bool:
        """Whether a hook needs Lightning's wrapper of an optimizer."""
        nodes = (node for item in self.hooks.items.get(hook, []) for _, node in self._nodes(item))
        return any(id(node) in self.places.raw.wrapped for node in nodes)

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
        if item.line is not None:
            mentioned = [*item.line.reads, *([item.line.binds] if item.line.binds is not None else [])]
            yield from ((item.frame, node) for one in mentioned for node in ast.walk(one))
        elif item.result is not None and item.base is not None:
            assert item.value is not None
            yield from ((item.base, node) for node in ast.walk(item.result))
            yield from ((item.frame, node) for node in ast.walk(item.value))
        else:
            yield from ((item.frame, node) for node in ast.walk(item.node) if id(node) not in self.hooks.dropped)

    def _body(self, hook: str, items: list[Item], indent: str) -> str:
        text = ""
        group: list[Item] = []
        for item in [*items, None]:
            own = item is None or item.result is not None or item.line is not None
            if item is not None and not own and (not group or self._beside(item, group[-1])):
                group.append(item)
                continue
            if text and group and _blank_above(group[0]):
                text += "\n"
            text += self._group(hook, group, indent)
            group = []
            if item is not None and item.line is not None:
                said = item.line.text(self.places.replace(item.frame)).replace("\t", self.unit)
                text += "".join(f"{indent}{line}\n" for line in said.splitlines())
            elif item is not None and item.result is not None:
                text += self._assigned(item, indent)
            elif item is not None:
                group = [item]
        return text

    def _beside(self, item: Item, other: Item) -> bool:
        """Whether two items stand in one suite."""
        same = item.frame is other.frame
        return same and any(one is other.node for one in _suite_of(self.nest, item.frame, item.node))

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
        dropped = self.hooks.dropped - (wanted if hook in (CLIP, ZERO) else set())
        chosen = [node for node in suite[first:] if id(node) in wanted or id(node) in dropped]
        last = max(chosen.index(item.node) for item in group)
        replace = self.places.replace(frame, moves)
        mean = self.hooks.automatic.mean if self.hooks.automatic is not None else None
        readers = mean.readers if mean is not None and hook == TRAIN else ()
        return moved(
            frame.module,
            chosen[: last + 1],
            replace,
            indent,
            dropped | left_out,
            floor,
            self.hooks.instead,
            {id(node): self.places.divided(frame, replace) for node in readers},
        )

    def _assigned(self, item: Item, indent: str) -> str:
        assert item.result is not None
        assert item.base is not None
        assert item.value is not None
        left = rewritten(item.base.module.source(item.result), self.places.replace(item.base))
        right = rewritten(item.frame.module.source(item.value), self.places.replace(item.frame))
        return f"{indent}{left} = {right}\n" if left != right else ""

    def _passed(self) -> dict[str, str]:
        """Names that `training_step` hands on, with their keys.

        `loss` is Lightning's, which divides it where batches are accumulated, as the legacy code does its own.
        """
        batch = self.hooks.automatic
        assert batch is not None
        name = batch.loss.id if isinstance(batch.loss, ast.Name) else ""
        if batch.accumulation is None:
            own = name if name == "loss" else ""
        else:
            own = name if batch.mean.name == name else ""
        keys = {name: self._local(name) for name in self.places.names.passed}
        taken = {name: "batch_loss" if key == "loss" else key for name, key in keys.items()}
        return {name: "loss" if own and keys[name] == own else key for name, key in taken.items()}

    def _result(self) -> str:
        assert self.hooks.automatic is not None
        loss = self.hooks.automatic.loss
        text = rewritten(self.nest.train.frame.module.source(loss), self.places.replace(self.nest.train.frame))
        passed = self._passed()
        if not set(passed.values()) - {"loss"}:
            return text
        pairs = [f'"loss": {text}', *(f'"{key}": {self._local(name)}' for name, key in passed.items() if key != "loss")]
        return "{" + ", ".join(pairs) + "}"


def _suite_of(nest: Nest, frame: Frame, node: ast.stmt) -> list[ast.stmt]:
    """The list of statements that a statement stands in."""
    for outer in ast.walk(frame.function.node):
        for name in ("body", "orelse", "finalbody"):
            suite = getattr(outer, name, None)
            if isinstance(suite, list):
                read: list[ast.stmt] = [nest.read_as.get(id(one)) or one for one in suite]
                if any(one is node for one in read):
                    return read
    raise AssertionError(f"{frame.module.path}:{node.lineno}: a statement of no suite")


def _line_above(frame: Frame, node: ast.stmt) -> int:
    """The line above a statement and the comments right above it."""
    line = node.lineno - 1
    while line >= 1 and frame.module.lines[line - 1].lstrip().startswith(b"#"):
        line -= 1
    return line


def _blank_above(item: Item) -> bool:
    """Whether a blank line sets a statement, with the comments above it, off from what comes before."""
    line = _line_above(item.frame, item.node)
    return line >= 1 and not item.frame.module.lines[line - 1].strip()


def _is_called_batch(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "batch"


def _unwrapped(source: str, target: ast.expr) -> str:
    """A target without brackets of its own, in one line unless comments or texts stand in it."""
    if not isinstance(target, ast.Tuple) or len(target.elts) < 2:
        return source
    first = target.elts[0]
    wrapped = (first.lineno, first.col_offset) != (target.lineno, target.col_offset)
    if "\n" in source and not set(source) & set("#'\""):
        source = " ".join(source.split()).replace("( ", "(").replace(", )", ")").replace(" )", ")")
    return source[1:-1] if wrapped and "\n" not in source else source
