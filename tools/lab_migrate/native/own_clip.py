"""A project's own way of clipping, built on Lab's base, as a class without Lab."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import attrs
import libcst as cst
import libcst.matchers as m

from lab_bridge.config.places import Place
from lab_bridge.config.schema import Builder, Schema
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.hook_methods import may_draw
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.source_names import bases_of, block_of, imports_of, text_of

__all__ = ["OwnClip", "own_clip"]

BASES = {"legacy_lab.optim.clipping.Clip", "legacy_lab.optim.clipping.clip.Clip"}
#: What Lab's base keeps: the bound comes with each call, the reach is the optimizer's.
BASE = ("limit", "reach")
CALL = "def __call__(self, {parameters}: Sequence[tuple[str, nn.Parameter]], {limit}: float) -> Any:\n    pass\n"


@attrs.frozen
class OwnClip:
    """The class's code, the expression that makes it, and what its file needs."""

    name: str
    code: str
    made: str
    imports: Sequence[str]


def own_clip(clip: Any, schema: Schema) -> OwnClip:
    """Rewrite a class. Raises `NotNativeError` for one that needs more of Lab than the base's bound."""
    builder = schema.builder_of(clip)
    assert builder is not None
    module = cst.parse_module(text_of(builder))
    tree, name = ast.parse(module.code), builder.target.rpartition(".")[2]
    found = [one for one in module.body if isinstance(one, cst.ClassDef) and one.name.value == name]
    if not found or builder.function:
        raise _refused(builder, "is no class at the top of its file")
    (definition,) = [one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name]
    if len(definition.bases) != 1 or bases_of(tree, definition)[0] not in BASES:
        raise _refused(builder, "is not built on legacy_lab.optim.clipping.Clip directly")
    _require_plain(builder, definition)
    parts = [part for part in map(_rewritten, found[0].body.body) if part is not None]
    whole = found[0].with_changes(
        bases=[], lpar=cst.MaybeSentinel.DEFAULT, rpar=cst.MaybeSentinel.DEFAULT, decorators=[], leading_lines=[],
        body=found[0].body.with_changes(body=parts),
    )  # fmt: skip
    code = module.with_changes(header=[], footer=[], body=[whole]).code.strip("\n")
    left = _left(ast.parse(code))
    if left:
        raise _refused(builder, f"uses {left}", definition.lineno)
    imports, labs = imports_of(tree, builder, code)
    if labs:
        raise _refused(builder, f"uses {labs[0]}", definition.lineno)
    spelled = Expressions(schema)
    given = {one.name: getattr(clip, one.name) for one in builder.parameters if one.name not in BASE}
    arguments = ", ".join(f"{name}={spelled.of(value)}" for name, value in given.items())
    if spelled.lab or spelled.imports:
        raise _refused(builder, f"is given an object: {arguments}")
    return OwnClip(name, code, f"{name}({arguments})", imports)


def _require_plain(builder: Builder, definition: ast.ClassDef) -> None:
    """The bound is a setting, which `__init__` gives the base as it is; and nothing is drawn there."""
    if builder.parameter("limit") is None:
        raise _refused(builder, "has no limit", definition.lineno)
    for method in definition.body:
        if not isinstance(method, ast.FunctionDef) or method.name != "__init__":
            continue
        for call in (node for node in ast.walk(method) if isinstance(node, ast.Call)):
            if may_draw(call):
                raise _refused(builder, f"calls {ast.unparse(call.func)} when it is made: it may draw", call.lineno)
            if ast.unparse(call.func) == "super().__init__":
                given = [ast.unparse(one) for one in call.args] + [ast.unparse(one.value) for one in call.keywords]
                if given not in (["limit"], ["limit", "reach"]):
                    raise _refused(builder, f"computes its bound: {ast.unparse(call)}", call.lineno)


def _rewritten(part: Any) -> Any:
    """A method without the bound and the reach that the base kept; None for one of which nothing is left."""
    if not isinstance(part, cst.FunctionDef):
        return part
    if part.name.value == "__call__" and len(part.params.params) == 3:
        names = [one.name.value for one in part.params.params[1:]]
        head = cst.parse_statement(CALL.format(parameters=names[0], limit=names[1]))
        return cst.ensure_type(head, cst.FunctionDef).with_changes(body=part.body, leading_lines=part.leading_lines)
    if part.name.value != "__init__":
        return part
    kept = [one for one in part.params.params if one.name.value not in BASE]
    kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    body = block_of(part.body)
    base = m.SimpleStatementLine([m.Expr(m.Call(m.Attribute(m.Call(m.Name("super")), m.Name("__init__"))))])
    lines = [one for one in body.body if not m.matches(one, base)]
    if not lines:
        return None
    return part.with_changes(params=part.params.with_changes(params=kept), body=body.with_changes(body=lines))


def _left(tree: ast.Module) -> str | None:
    """What a class still needs of the base, or of the parameters that went."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {f"self.{name}" for name in BASE}:
            return ast.unparse(node)
        if isinstance(node, ast.Name) and node.id == "super":
            return "super"
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            used = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)} & set(BASE)
            if used:
                return f"its {sorted(used)[0]} in __init__"
    return None


def _refused(builder: Builder, what: str, line: int | None = None) -> NotNativeError:
    return NotNativeError(
        "LM405", f"gradients are clipped by {builder.name}, which {what}",
        "write it in configure_gradient_clipping after the conversion, and drop it from the config before",
        Place(builder.place.file, builder.place.line if line is None else line),
    )  # fmt: skip
