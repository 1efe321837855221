"""Loaders of the project's that Lab shows its trainer (`attach`): all that they may ask it for is its step."""

from __future__ import annotations

import ast

from lab_bridge.config.places import Place
from lab_bridge.config.schema import Builder
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.source_names import text_of

__all__ = ["require_step_reader"]


def require_step_reader(builder: Builder) -> None:
    """Raise `NotNativeError`, with the line, where it is more, or cannot be told."""
    tree = ast.parse(text_of(builder))
    name = builder.target.rpartition(".")[2]
    definition = next((one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name), None)
    if definition is None or [ast.unparse(base) for base in definition.bases] not in ([], ["object"]):
        raise _refused(builder, builder.place.line, "is built on another class, which may ask it for anything")
    methods = {one.name: one for one in definition.body if isinstance(one, ast.FunctionDef)}
    attach = methods.get("attach")
    if attach is None:
        raise _refused(builder, definition.lineno, "has no attach that can be read")
    body = attach.body[1:] if ast.get_docstring(attach) else attach.body
    kept = ""
    match body:
        case [ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=kept)], value=ast.Name(id=given))] if (
            len(attach.args.args) == 2 and given == attach.args.args[1].arg
        ):
            pass
        case _:
            raise _refused(builder, attach.lineno, "does more in attach than keep it")
    parents = {child: parent for parent in ast.walk(definition) for child in ast.iter_child_nodes(parent)}
    for node in ast.walk(definition):
        if isinstance(node, ast.Attribute) and node.attr == kept and not _is_harmless(node, parents, attach):
            raise _refused(builder, node.lineno, f"asks it for more than its step: {ast.unparse(parents[node])}")
        if isinstance(node, ast.Name) and node.id in ("getattr", "setattr", "vars"):
            raise _refused(builder, node.lineno, f"may ask it for anything by {node.id}")


def _is_harmless(node: ast.Attribute, parents: dict[ast.AST, ast.AST], attach: ast.FunctionDef) -> bool:
    """`self.trainer.step`, `self.trainer is None`, `self.trainer = None`, and what stands in `attach`."""
    match parents[node]:
        case ast.Attribute(attr="step", ctx=ast.Load()):
            return True
        case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return left is node
        case ast.Assign(value=ast.Constant(value=None)) | ast.AnnAssign(value=ast.Constant(value=None)):
            return True
        case statement:
            return statement in attach.body


def _refused(builder: Builder, line: int, what: str) -> NotNativeError:
    return NotNativeError(
        "LM405", f"the loader {builder.name} is shown Lab's trainer (attach), and {what}",
        "have it ask for trainer.step only, or stay at level L2", Place(builder.place.file, line),
    )  # fmt: skip
