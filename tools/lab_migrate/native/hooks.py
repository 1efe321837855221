"""A hook of Lab's protocol, the project's own or one of Lab's, as a callback of Lightning's.

Its methods are rewritten one by one. What they ask of Lab's trainer has to be told from their source: the number of
steps, model, objective, logging, stopping; anything else is refused, with its line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import libcst as cst
import libcst.matchers as m

from lab_bridge.config.schema import Builder, Schema
from lab_bridge.config.sources.modules import dotted
from lab_migrate.native.draws import Draws
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.given import drawless_calls
from lab_migrate.native.hook_classes import hook_classes, looks_ahead_of_step, without_classes
from lab_migrate.native.hook_dataclasses import DATACLASS, is_field, is_plain_dataclass, names_dataclass
from lab_migrate.native.hook_helpers import helpers_of
from lab_migrate.native.hook_methods import METHODS, Method, refused, require_told
from lab_migrate.native.rates import FUNCTION, LIVE
from lab_migrate.native.saved import Renamed, labs_files
from lab_migrate.native.source_names import block_of, imports_of, text_of

__all__ = ["OwnHook", "own_hook"]


@attrs.frozen
class OwnHook:
    """A hook's classes as those of a callback, its own last, the expression that makes it, and what their files need.

    `given` are import lines for what it is made with, `labs` the full names of what of that is Lab's.

    `asks` are what it takes of the LightningModule beside the model: its `objective`, `metrics` of the last loss,
    `evaluated` of the last evaluation, behind which it may ask for the `model`, the `norm` of a step's gradients; and
    of the callbacks the `average` and the `rates`, also `rates before` a step, `rates of parts` where there are several
    optimizers, or `rates of all` groups together; or the `groups`, whose rates it sets; `checkpoint`, whether
    it writes one behind an evaluation.
    """

    name: str
    code: Sequence[str]
    made: str
    imports: Sequence[str]
    given: Sequence[str]
    labs: Sequence[str]
    asks: frozenset[str]
    logs: bool
    has_state: bool


@attrs.frozen
class _Source:
    """A class as it stands in its file."""

    builder: Builder
    module: cst.Module
    whole: cst.ClassDef
    tree: ast.Module
    definition: ast.ClassDef

    @property
    def methods(self) -> dict[str, ast.FunctionDef]:
        """Its own."""
        return {one.name: one for one in self.definition.body if isinstance(one, ast.FunctionDef)}


def own_hook(hook: Any, schema: Schema, batches: str | None, draws: Draws) -> OwnHook:
    """Rewrite a hook's class; `batches` is the setting of how many batches a step takes, None for one.

    Raises `NotNativeError` where its source needs more of Lab than can be told.
    """
    builder = schema.builder_of(hook)
    assert builder is not None
    if builder.function:
        raise refused(builder, builder.place.line or 0, "is no class at the top of its file")
    sources = [_source(one) for one in hook_classes(builder, draws.sources)]
    for one in sources:
        _require_plain(one, draws)
    methods = {name: node for one in sources for name, node in one.methods.items()}
    hidden = [(one, node) for one in sources for node in one.methods.values() if methods[node.name] is not node]
    # What a class further up has under another's name is looked at, too.
    methods |= {f"{one.builder.target}.{node.name}": node for one, node in hidden}
    has_state = {"state", "load_state"} <= set(methods)
    helpers = helpers_of(methods, METHODS)
    told: list[Method] = []
    code: list[str] = []
    imports: list[str] = []
    for one in sources:
        quiet = drawless_calls(hook, schema, draws, methods, one.builder.target.rpartition(".")[0])
        found = {
            name: require_told(one.builder, name, node, methods, quiet, helpers) for name, node in one.methods.items()
        }
        told += found.values()
        names = frozenset(key.rpartition(".")[2] for key in helpers)
        code.append(_rewritten(one, found, batches, has_state, names, is_first=one is sources[0]))
        lines, labs = imports_of(one.tree, one.builder, code[-1])
        if labs:
            raise refused(one.builder, one.definition.lineno, f"uses {labs[0]}")
        imports += without_classes(lines, [other.builder for other in sources], draws.sources)
    spelled = Expressions(schema)
    made = spelled.of(hook)
    written = "\n".join(code)
    return OwnHook(
        builder.target.rpartition(".")[2],
        code,
        made,
        imports,
        without_classes(spelled.imports, [builder], draws.sources),
        [target for target in spelled.lab if target != builder.target],
        frozenset(asked for one in told for asked in one.asks)
        | ({"objective"} if "pl_module.objective" in written else set())
        | ({"average"} if "average_of(trainer)" in written else set())
        | ({"rates"} if f"{FUNCTION}(trainer)" in written else set())
        | ({"rates of parts"} if f"{FUNCTION}(trainer, " in written else set())
        | ({"rates of all"} if any(_asks_hyper(one.definition) for one in sources) else set())
        | ({"rates before"} if looks_ahead_of_step(builder, draws.sources) else set()),
        any(one.logs for one in told),
        has_state,
    )


def _require_plain(source: _Source, draws: Draws) -> None:
    """A callback has no decorators but that of a dataclass: gin's only make a class known."""
    module = draws.sources.module(source.builder.target.rpartition(".")[0])
    for one in source.definition.decorator_list if module is not None else ():
        name = dotted(one.func if isinstance(one, ast.Call) else one)
        meant = draws.sources.resolve(module, name) if module is not None else ""
        if meant == DATACLASS and is_plain_dataclass(one):
            continue
        if not isinstance(meant, str) or not meant.startswith("gin."):
            raise refused(source.builder, one.lineno, f"has the decorator @{ast.unparse(one)}")
    for file in labs_files(source.definition):
        raise refused(source.builder, file.lineno, f"looks for checkpoints of Lab's, {ast.unparse(file)}")


def _asks_hyper(definition: ast.ClassDef) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == "hyper" for node in ast.walk(definition))


def _source(builder: Builder) -> _Source:
    module = cst.parse_module(text_of(builder))
    name = builder.target.rpartition(".")[2]
    tree = ast.parse(module.code)
    [definition] = [one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name]
    for one in definition.body:
        calls = not isinstance(one, ast.FunctionDef) and any(isinstance(part, ast.Call) for part in ast.walk(one))
        calls = calls and not (is_field(one) and any(names_dataclass(part) for part in definition.decorator_list))
        if calls or not isinstance(one, ast.FunctionDef | ast.Assign | ast.AnnAssign | ast.Pass | ast.Expr):
            raise refused(builder, one.lineno, f"has {ast.unparse(one).splitlines()[0]} in its class")
    [whole] = [one for one in module.body if isinstance(one, cst.ClassDef) and one.name.value == name]
    return _Source(builder, module, whole, tree, definition)


def _rewritten(
    source: _Source,
    found: dict[str, Method],
    batches: str | None,
    has_state: bool,
    helpers: frozenset[str],
    is_first: bool,
) -> str:
    parts: list[Any] = []
    for one in source.whole.body.body:
        if not isinstance(one, cst.FunctionDef):
            parts.append(one)
            continue
        name = one.name.value
        method = cst.ensure_type(one.visit(_AskingForState()), cst.FunctionDef) if has_state else one
        if name in METHODS:
            method = _method(method, found[name], batches, helpers)
        elif name in helpers:
            method = _helper(method, found[name], batches, helpers)
        elif has_state and name in ("state", "load_state"):
            method = method.with_changes(name=cst.Name(f"{name}_dict"))
        parts.append(method)
    as_data = [
        kept.with_changes(leading_lines=[])
        for kept, one in zip(source.whole.decorators, source.definition.decorator_list, strict=True)
        if names_dataclass(one)
    ]
    callback = source.whole.with_changes(
        decorators=as_data,
        leading_lines=[],
        lines_after_decorators=[],
        body=source.whole.body.with_changes(body=parts),
    )
    if is_first:
        callback = callback.with_changes(bases=[cst.Arg(cst.parse_expression("L.Callback"))])
    written = cst.ensure_type(callback.visit(Renamed()), cst.ClassDef)
    return source.module.with_changes(header=[], footer=[], body=[written]).code.strip("\n")


class _AskingForState(cst.CSTTransformer):
    """`super().state()`, and `self.state()`, under Lightning's name."""

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:  # noqa: N802
        """`super().state_dict()`."""
        name = original_node.attr.value
        owner = m.Call(m.Name("super")) | m.Name("self")
        if m.matches(original_node.value, owner) and name in ("state", "load_state"):
            return updated_node.with_changes(attr=cst.Name(f"{name}_dict"))
        return updated_node


def _helper(one: cst.FunctionDef, told: Method, batches: str | None, helpers: frozenset[str]) -> cst.FunctionDef:
    """A method that Lab's trainer is handed to is handed Lightning's, and the module."""
    rewriting = _Rewriting(told, one.name.value, batches is not None, helpers)
    body = cst.ensure_type(block_of(one.body).visit(rewriting), cst.IndentedBlock)
    parameters: list[cst.Param] = []
    for parameter in one.params.params:
        if parameter.name.value != told.trainer:
            parameters.append(parameter)
            continue
        for name, kind in (("trainer", "L.Trainer"), ("pl_module", "L.LightningModule")):
            annotation = cst.Annotation(cst.parse_expression(kind))
            parameters.append(cst.Param(cst.Name(name), annotation, comma=cst.MaybeSentinel.DEFAULT))
    return one.with_changes(params=one.params.with_changes(params=parameters), body=body)


def _method(one: cst.FunctionDef, told: Method, batches: str | None, helpers: frozenset[str]) -> cst.FunctionDef:
    """A hook's method under Lightning's name."""
    form = METHODS[one.name.value]
    signature = "self, trainer: L.Trainer, pl_module: L.LightningModule"
    body = cst.ensure_type(
        block_of(one.body).visit(_Rewriting(told, one.name.value, batches is not None, helpers)), cst.IndentedBlock
    )
    docs = [part for part in body.body[:1] if m.matches(part, m.SimpleStatementLine([m.Expr(m.SimpleString())]))]
    before: list[str] = []
    if form.within and batches is not None:
        signature += f", {'outputs: Any, ' if form.metrics else ''}batch: Any, batch_idx: int"
        before.append(f"if {form.within.replace('COUNT', f'pl_module.config.{batches}')}:\n    return")
    elif form.within:
        signature += ", *_: Any"
    before += [f"{name} = pl_module.{asked}" for name, asked in told.named.items()]
    head = f"def {form.name}({signature}) -> None:\n    pass\n"
    made = cst.ensure_type(cst.parse_statement(head), cst.FunctionDef).with_changes(decorators=one.decorators)
    statements = [*docs, *map(cst.parse_statement, before), *body.body[len(docs) :]]
    return made.with_changes(body=body.with_changes(body=statements), leading_lines=one.leading_lines)


class _Rewriting(cst.CSTTransformer):
    """What is asked of Lab's trainer is asked of Lightning's, or of the module."""

    def __init__(self, told: Method, name: str, numbered: bool, helpers: frozenset[str]) -> None:
        self.trainer, self.name, self.numbered, self.helpers = told.trainer, name, numbered, helpers
        self.sets_rates = told.has_groups

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> Any:  # noqa: N802
        """`trainer.steps = trainer.step` ends the training behind this step."""
        if not m.matches(original_node.targets[0].target, m.Attribute(m.Name(self.trainer), m.Name("steps"))):
            return updated_node
        # should_stop would evaluate once more.
        ended = cst.parse_expression("trainer.fit_loop.epoch_loop.max_steps")
        return updated_node.with_changes(targets=[cst.AssignTarget(cst.ensure_type(ended, cst.Attribute))])

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> Any:  # noqa: N802
        """`trainer.log(metrics)`, and `super().after_step(trainer, metrics)`."""
        here = m.Attribute(m.Call(m.Name("super")) | m.Name("self"))
        if m.matches(original_node.func, here):
            called = cst.ensure_type(original_node.func, cst.Attribute).attr.value
            if called in self.helpers:
                return updated_node.with_changes(args=list(self._handed(updated_node.args)))
        asking = m.Attribute(m.Call(m.Name("super")), m.Name(self.name))
        if (
            self.name in METHODS and m.matches(original_node.func, asking) and original_node.args
        ):  # whose arguments have been looked at
            form = METHODS[self.name]
            rest = ["outputs"] if form.metrics else []
            given = [*rest, "batch", "batch_idx"] if self.numbered else ["*_"]
            arguments = ", ".join(["trainer", "pl_module", *(given if form.within else [])])
            return cst.parse_expression(f"super().{form.name}({arguments})")
        if m.matches(original_node.func, m.Attribute(m.Name(self.trainer), m.Name("log"))):
            metrics = updated_node.args[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            step = cst.Arg(cst.parse_expression("trainer.global_step"))
            return cst.Call(cst.parse_expression("trainer.logger.log_metrics"), [metrics, step])
        if m.matches(original_node.func, m.Attribute(m.Name(self.trainer), m.Name("save"))):
            return updated_node.with_changes(func=cst.parse_expression("trainer.save_checkpoint"))
        return updated_node

    def _handed(self, arguments: Sequence[cst.Arg]) -> Iterator[cst.Arg]:
        """Lightning's trainer, and the module, in the place of Lab's."""
        for one in arguments:
            if not m.matches(one.value, m.Name(self.trainer)):
                yield one
                continue
            for name in ("trainer", "pl_module"):
                keyword = cst.Name(name) if one.keyword is not None else None
                equal = one.equal if one.keyword is not None else cst.MaybeSentinel.DEFAULT
                yield cst.Arg(cst.Name(name), keyword, equal)

    def leave_Subscript(self, original_node: cst.Subscript, updated_node: cst.Subscript) -> Any:  # noqa: N802
        """`trainer.optimizer.hyper["lr"]`."""
        hyper = m.Attribute(m.Attribute(m.Name(self.trainer), m.Name("optimizer")), m.Name("hyper"))
        if m.matches(original_node.value, hyper):
            return updated_node.with_changes(value=cst.parse_expression(f"{FUNCTION}(trainer)[0]"))
        factor = m.SubscriptElement(m.Index(m.SimpleString("'multiplier'") | m.SimpleString('"multiplier"')))
        if self.sets_rates and m.matches(original_node, m.Subscript(m.Name(), [factor])):
            group = cst.ensure_type(original_node.value, cst.Name).value
            return cst.parse_expression(f'{group}.get("multiplier", 1.0)')  # groups of all parameters have none
        return updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> Any:  # noqa: N802
        """`trainer.step` and the others."""
        if m.matches(
            original_node, m.Attribute(m.Attribute(m.Name(self.trainer), m.Name("optimizer")), m.Name("groups"))
        ):
            return cst.parse_expression(LIVE if self.sets_rates else f"{FUNCTION}(trainer)")
        if m.matches(
            original_node, m.Attribute(m.Attribute(m.Name(self.trainer), m.Name("optimizer")), m.Name("last_norm"))
        ):
            return cst.parse_expression("pl_module.gradient_norm")
        part = m.Subscript(m.Attribute(m.Name(self.trainer), m.Name("optimizer")))
        if m.matches(original_node, m.Attribute(part, m.Name("groups"))):
            index = cst.ensure_type(cst.ensure_type(updated_node.value, cst.Subscript).slice[0].slice, cst.Index)
            return cst.Call(cst.Name(FUNCTION), [cst.Arg(cst.Name("trainer")), cst.Arg(index.value)])
        if m.matches(original_node, m.Attribute(m.Name(self.trainer))):
            said = {
                "step": "trainer.global_step",
                "steps": "trainer.max_steps",
                "model": "pl_module.model",
                "objective": "pl_module.objective",
                "ema": "average_of(trainer)",
                "run_dir": "Path(trainer.default_root_dir)",
                "device": "pl_module.device.type",  # a string, as Lab has it
                "seed": "pl_module.config.seed",
            }.get(original_node.attr.value)
            if said is not None:
                return cst.parse_expression(said)
        return updated_node
