"""A hook of Lab's protocol, the project's own or one of Lab's, as a callback of Lightning's.

Its methods are rewritten one by one. What they ask of Lab's trainer has to be told from their source: the number of
steps, model, objective, logging, stopping; anything else is refused, with its line.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import attrs
import libcst as cst
import libcst.matchers as m

from lab_bridge.config.schema import Schema
from lab_migrate.native.draws import Draws
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.given import drawless_calls
from lab_migrate.native.hook_methods import METHODS, Method, refused, require_told
from lab_migrate.native.rates import FUNCTION
from lab_migrate.native.source_names import bases_of, block_of, imports_of, text_of

__all__ = ["OwnHook", "own_hook"]

BASES = ("legacy_lab.train.hooks.Hook",)


@attrs.frozen
class OwnHook:
    """A hook's class as a callback's, the expression that makes it, and what its file needs.

    `given` are import lines for what it is made with, `labs` the full names of what of that is Lab's.

    `asks` are what it takes of the LightningModule beside the model: its `objective`, `metrics` of the last loss,
    `evaluated` of the last evaluation; and of the callbacks the `average` and the `rates`.
    """

    name: str
    code: str
    made: str
    imports: Sequence[str]
    given: Sequence[str]
    labs: Sequence[str]
    asks: frozenset[str]
    logs: bool
    has_state: bool


def own_hook(hook: Any, schema: Schema, batches: str | None, draws: Draws) -> OwnHook:
    """Rewrite a hook's class; `batches` is the setting of how many batches a step takes, None for one.

    Raises `NotNativeError` where its source needs more of Lab than can be told.
    """
    builder = schema.builder_of(hook)
    assert builder is not None
    module = cst.parse_module(text_of(builder))
    name = builder.target.rpartition(".")[2]
    tree = ast.parse(module.code)
    definition = next((one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name), None)
    if definition is None or builder.function:
        raise refused(builder, builder.place.line, "is no class at the top of its file")
    if bases_of(tree, definition) != list(BASES):
        raise refused(builder, definition.lineno, "is not built on legacy_lab.train.hooks.Hook directly")
    for one in definition.body:
        calls = not isinstance(one, ast.FunctionDef) and any(isinstance(part, ast.Call) for part in ast.walk(one))
        if calls or not isinstance(one, ast.FunctionDef | ast.Assign | ast.AnnAssign | ast.Pass | ast.Expr):
            raise refused(builder, one.lineno, f"has {ast.unparse(one).splitlines()[0]} in its class")
    methods = {one.name: one for one in definition.body if isinstance(one, ast.FunctionDef)}
    quiet = drawless_calls(hook, schema, draws, methods)
    found = {name: require_told(builder, name, node, methods, quiet) for name, node in methods.items()}
    has_state = {"state", "load_state"} <= set(methods)
    [whole] = [one for one in module.body if isinstance(one, cst.ClassDef) and one.name.value == name]
    code = _rewritten(module, whole, found, batches, has_state)
    imports, labs = imports_of(tree, builder, code)
    itself = f"from {builder.target.rpartition('.')[0]} import {name}"
    if labs:
        raise refused(builder, definition.lineno, f"uses {labs[0]}")
    spelled = Expressions(schema)
    made = spelled.of(hook)
    return OwnHook(
        name,
        code,
        made,
        [line for line in imports if line != itself],
        [line for line in spelled.imports if line != itself],
        [target for target in spelled.lab if target != builder.target],
        frozenset(asked for one in found.values() for asked in one.asks)
        | ({"objective"} if "pl_module.objective" in code else set())
        | ({"average"} if "average_of(trainer)" in code else set())
        | ({"rates"} if f"{FUNCTION}(trainer)" in code else set()),
        any(one.logs for one in found.values()),
        has_state,
    )


def _rewritten(
    module: cst.Module, whole: cst.ClassDef, found: dict[str, Method], batches: str | None, has_state: bool
) -> str:
    parts: list[Any] = []
    for one in whole.body.body:
        if isinstance(one, cst.FunctionDef) and one.name.value in METHODS:
            parts.append(_method(module, one, found[one.name.value], batches))
        elif isinstance(one, cst.FunctionDef) and has_state and one.name.value in ("state", "load_state"):
            parts.append(one.with_changes(name=cst.Name(f"{one.name.value}_dict")))
        else:
            parts.append(one)
    callback = whole.with_changes(
        decorators=[],
        leading_lines=[],
        lines_after_decorators=[],
        bases=[cst.Arg(cst.parse_expression("L.Callback"))],
        body=whole.body.with_changes(body=parts),
    )
    return module.with_changes(header=[], footer=[], body=[callback]).code.strip("\n")


def _method(module: cst.Module, one: cst.FunctionDef, told: Method, batches: str | None) -> cst.FunctionDef:
    """A hook's method under Lightning's name."""
    form = METHODS[one.name.value]
    signature = "self, trainer: L.Trainer, pl_module: L.LightningModule"
    body = cst.ensure_type(block_of(one.body).visit(_Rewriting(told)), cst.IndentedBlock)
    docs = [part for part in body.body[:1] if m.matches(part, m.SimpleStatementLine([m.Expr(m.SimpleString())]))]
    before: list[str] = []
    if form.within and batches is not None:
        signature += f", {'outputs: Any, ' if form.metrics else ''}batch: Any, batch_idx: int"
        before.append(f"if {form.within.replace('COUNT', f'pl_module.config.{batches}')}:\n    return")
    elif form.within:
        signature += ", *_: Any"
    before += [f"{name} = pl_module.{asked}" for name, asked in told.named.items()]
    head = f"def {form.name}({signature}) -> None:\n    pass\n"
    made = cst.ensure_type(cst.parse_statement(head), cst.FunctionDef)
    statements = [*docs, *map(cst.parse_statement, before), *body.body[len(docs) :]]
    return made.with_changes(body=body.with_changes(body=statements), leading_lines=one.leading_lines)


class _Rewriting(cst.CSTTransformer):
    """What is asked of Lab's trainer is asked of Lightning's, or of the module."""

    def __init__(self, told: Method) -> None:
        self.trainer = told.trainer

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> Any:  # noqa: N802
        """`trainer.steps = trainer.step` ends the training behind this step."""
        if not m.matches(original_node.targets[0].target, m.Attribute(m.Name(self.trainer), m.Name("steps"))):
            return updated_node
        # should_stop would evaluate once more.
        ended = cst.parse_expression("trainer.fit_loop.epoch_loop.max_steps")
        return updated_node.with_changes(targets=[cst.AssignTarget(cst.ensure_type(ended, cst.Attribute))])

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> Any:  # noqa: N802
        """`trainer.log(metrics)`."""
        if m.matches(original_node.func, m.Attribute(m.Name(self.trainer), m.Name("log"))):
            metrics = updated_node.args[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            step = cst.Arg(cst.parse_expression("trainer.global_step"))
            return cst.Call(cst.parse_expression("trainer.logger.log_metrics"), [metrics, step])
        return updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> Any:  # noqa: N802
        """`trainer.step` and the others."""
        if m.matches(
            original_node, m.Attribute(m.Attribute(m.Name(self.trainer), m.Name("optimizer")), m.Name("groups"))
        ):
            return cst.parse_expression(f"{FUNCTION}(trainer)")
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
