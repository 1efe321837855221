"""The `update` of one of Lab's optimizers, or of one that a project built on them, as the `step` of one of torch's."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import libcst as cst
import libcst.matchers as m

from lab_bridge.config.schema import Builder
from lab_migrate.native.given import assigned
from lab_migrate.native.handed_settings import UnlikeError, handed_settings
from lab_migrate.native.labs import is_labs
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.source_names import bases_of, block_of, imports_of, text_of

__all__ = ["StepCode", "step_code"]

BASE = "legacy_lab.optim.optimizer.Optimizer"
_STEPS = m.BinaryOperation(m.Attribute(m.Name("self"), m.Name("steps")), m.Add(), m.Integer("1"))


@attrs.frozen
class StepCode:
    """What an optimizer class is written from.

    `body` stands inside of `step`; `counts` is whether groups count their updates; `imports` are lines that the body
    needs; `fixed` hyperparameters that the class sets itself.
    """

    doc: str
    body: Sequence[str]
    counts: bool
    slots: bool
    imports: Sequence[str]
    fixed: dict[str, Any]


def step_code(builder: Builder) -> StepCode:
    """Read it off the class's source. Raises `NotNativeError` for an update that needs more of Lab than its groups."""
    module = cst.parse_module(text_of(builder))
    name = builder.target.rpartition(".")[2]
    found = next((node for node in module.body if isinstance(node, cst.ClassDef) and node.name.value == name), None)
    if found is None:
        raise _refused(builder, "is not defined at the top of its file")
    tree = ast.parse(module.code)
    if not is_labs(builder) and not _is_on_lab(tree, name):
        raise _refused(builder, "is not built on legacy_lab.optim.optimizer.Optimizer directly")
    methods = {part.name.value: part for part in found.body.body if isinstance(part, cst.FunctionDef)}
    others = sorted(set(methods) - {"__init__", "update"})
    if "update" not in methods:
        raise _refused(builder, "has no update of its own")
    if others:
        raise _refused(builder, f"has {', '.join(others)} beside update")
    _require_plain(builder, tree, name)
    kept = _kept(tree, name)
    rewritten, lines = _rewritten(builder, methods["update"], _Rewriting(builder, kept))
    if "steps" in rewritten.left or (rewritten.counts and _counts_elsewhere(lines, rewritten.step)):
        rewritten, lines = _rewritten(builder, methods["update"], _Rewriting(builder, kept, is_asked_ahead=True))
    if rewritten.left:
        raise _refused(builder, f"uses self.{sorted(rewritten.left)[0]} in its update")
    if rewritten.names & _names(ast.parse("\n".join(lines))):
        raise _refused(builder, "looks at the parameters' names in its update")
    imports, labs = imports_of(tree, builder, "\n".join(lines))
    if labs and not is_labs(builder):
        raise _refused(builder, f"uses {labs[0]} in its update")
    return StepCode(
        _doc(module, found),
        lines,
        rewritten.counts,
        rewritten.slots,
        imports,
        _fixed(builder, tree),
    )


def _require_plain(builder: Builder, tree: ast.Module, name: str) -> None:
    """One of torch's has no decorators: gin's only make a class known, and its step has no gradients anyway."""
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    (update,) = [one for one in found.body if isinstance(one, ast.FunctionDef) and one.name == "update"]
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "gin"]
    gins = {alias.asname or alias.name for node in imported for alias in node.names}
    for one in found.decorator_list:
        called = ast.unparse(one.func if isinstance(one, ast.Call) else one)
        if called not in gins and not called.startswith("gin."):
            raise _refused(builder, f"has the decorator @{ast.unparse(one)}")
    for one in update.decorator_list:
        if ast.unparse(one) != "torch.no_grad()":
            raise _refused(builder, f"has the decorator @{ast.unparse(one)} on its update")


def _rewritten(builder: Builder, update: cst.FunctionDef, rewriting: _Rewriting) -> tuple[_Rewriting, list[str]]:
    """The lines of an update's body, without its docstring."""
    body = cst.ensure_type(block_of(update.body).visit(rewriting), cst.IndentedBlock)
    statements: list[Any] = [one for one in body.body if not _is_docstring(one)]
    lines = textwrap.dedent(cst.Module(body=statements).code).strip("\n").splitlines()
    if rewriting.is_asked_ahead and rewriting.counts:
        if any(isinstance(node, ast.Return) for node in ast.walk(ast.parse("\n".join(lines)))):
            raise _refused(builder, "returns from its update, which counts updates")
        lines += ["for group in self.param_groups:", '    group["updates"] += 1']
    return rewriting, lines


def _counts_elsewhere(lines: Sequence[str], count: str) -> bool:
    """Whether the count of updates is looked at outside of the one loop over the groups."""
    body = ast.parse("\n".join(lines)).body
    outside = ast.Module([one for one in body if not isinstance(one, ast.For)], [])
    return count in _names(outside) or sum(isinstance(one, ast.For) for one in body) != 1


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _kept(tree: ast.Module, name: str) -> set[str]:
    """Attributes that are never anything but the argument of their name: torch has such a setting in `defaults`."""
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    init = next((one for one in found.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    if init is None:
        return set()
    pairs = {pair for node in init.body for pair in assigned(node)}
    arguments = {one.arg for one in (*init.args.args, *init.args.kwonlyargs)} - set(_stored(init))
    stored = [*_stored(found)]
    return {one for one in arguments if (f"self.{one}", one) in pairs and stored.count(f"self.{one}") == 1}


def _stored(tree: ast.AST) -> Iterator[str]:
    """What is given values, or taken away."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            yield ast.unparse(node)


class _Rewriting(cst.CSTTransformer):
    """Groups become torch's, slots state, the count of updates a group's own.

    What is `kept` of settings lies in torch's `defaults`. Where the count `is_asked_ahead` of the groups' loop, or in
    several, all groups count behind the update.
    """

    def __init__(self, builder: Builder, kept: set[str], is_asked_ahead: bool = False) -> None:
        self.builder, self.left, self.names = builder, set[str](), set[str]()
        self.kept, self.is_asked_ahead = kept, is_asked_ahead
        self.counts = self.slots = False
        self.step = "step"

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.For:  # noqa: N802
        """`for name, parameter in zip(group["names"], group["params"])` needs no names; each group counts."""
        if m.matches(original_node.iter, m.Call(m.Name("zip"))):
            calls = cst.ensure_type(updated_node.iter, cst.Call)
            keys = [_key(argument.value) for argument in calls.args if argument.keyword is None]
            target = updated_node.target
            if keys == ["names", "params"] and isinstance(target, cst.Tuple) and len(target.elements) == 2:
                name, parameter = (element.value for element in target.elements)
                self.names.add(cst.ensure_type(name, cst.Name).value)
                return updated_node.with_changes(target=parameter, iter=calls.args[1].value)
        is_over_groups = m.matches(updated_node.iter, m.Attribute(m.Name("self"), m.Name("param_groups")))
        if is_over_groups and self.counts and not self.is_asked_ahead:
            group = cst.ensure_type(updated_node.target, cst.Name).value
            lines = [f'{group}["updates"] += 1', f'{self.step} = {group}["updates"]']
            block = cst.ensure_type(updated_node.body, cst.IndentedBlock)
            counted = [cst.parse_statement(line) for line in lines]
            return updated_node.with_changes(body=block.with_changes(body=[*counted, *block.body]))
        return updated_node

    def visit_Assign(self, node: cst.Assign) -> bool:  # noqa: N802
        """`step = self.steps + 1` names the count."""
        if m.matches(node.value, _STEPS) and m.matches(node.targets[0].target, m.Name()):
            self.step = cst.ensure_type(node.targets[0].target, cst.Name).value
        return True

    def leave_SimpleStatementLine(  # noqa: N802
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Any:
        """The line that names the count goes: each group's loop names it."""
        if m.matches(original_node, m.SimpleStatementLine([m.Assign(value=_STEPS)])) and not self.is_asked_ahead:
            return cst.RemoveFromParent()
        return updated_node

    def visit_BinaryOperation(self, node: cst.BinaryOperation) -> bool:  # noqa: N802
        """`self.steps + 1` is no other use of `self.steps`."""
        if m.matches(node, _STEPS):
            self.counts = True
        return self.is_asked_ahead or not m.matches(node, _STEPS)

    def leave_BinaryOperation(self, original_node: cst.BinaryOperation, updated_node: cst.BinaryOperation) -> Any:  # noqa: N802
        """The count of this update."""
        replaced = m.matches(original_node, _STEPS) and not self.is_asked_ahead
        return cst.Name(self.step) if replaced else updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:  # noqa: N802
        """`self.slot(name, parameter, "m")` asks the parameter's state."""
        if not m.matches(original_node.func, m.Attribute(m.Name("self"), m.Name("slot"))):
            return updated_node
        self.slots = True
        self.left.discard("slot")
        rest = updated_node.args[1:]
        return updated_node.with_changes(func=cst.parse_expression("self.slots"), args=rest)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> Any:  # noqa: N802
        """What else is asked of Lab's optimizer is noted."""
        name = original_node.attr.value
        if m.matches(original_node.value, m.Name("self")) and name in self.kept:
            return cst.parse_expression(f'self.defaults["{name}"]')
        if m.matches(original_node, m.Attribute(m.Name("self"), m.Name("steps"))) and self.is_asked_ahead:
            self.counts = True
            return cst.parse_expression('self.param_groups[0]["updates"]')
        if m.matches(original_node, m.Attribute(m.Name("self"), m.Name("groups"))):
            return updated_node.with_changes(attr=cst.Name("param_groups"))
        if m.matches(original_node.value, m.Name("self")):
            self.left.add(original_node.attr.value)
        return updated_node


def _is_on_lab(tree: ast.Module, name: str) -> bool:
    """Whether a class's only base is Lab's base of optimizers: whatever else it derived from could change its step."""
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    return bases_of(tree, found) == [BASE]


def _key(node: cst.BaseExpression) -> str:
    """`params` of `group["params"]`."""
    if isinstance(node, cst.Subscript) and isinstance(node.slice[0].slice, cst.Index):
        inner = node.slice[0].slice.value
        return str(inner.evaluated_value) if isinstance(inner, cst.SimpleString) else ""
    return ""


def _is_docstring(node: cst.BaseStatement) -> bool:
    return m.matches(node, m.SimpleStatementLine([m.Expr(m.SimpleString() | m.ConcatenatedString())]))


def _doc(module: cst.Module, found: cst.ClassDef) -> str:
    first = found.body.body[0]
    if isinstance(first, cst.SimpleStatementLine) and _is_docstring(first):
        return "    " + module.code_for_node(first).strip()
    return f'    """{found.name.value}."""'


def _fixed(builder: Builder, tree: ast.Module) -> dict[str, Any]:
    """Hyperparameters that `__init__` gives Lab's base other than under their own name."""
    name = builder.target.rpartition(".")[2]
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    init = next((one for one in found.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    if init is None:
        return {}
    try:
        return handed_settings(init)
    except UnlikeError as error:
        raise _refused(builder, str(error)) from error


def _refused(builder: Builder, what: str) -> NotNativeError:
    return NotNativeError(
        "LM405", f"the optimizer {builder.name} {what}, which has no native form",
        "write it as a torch.optim.Optimizer after the conversion, or stay at level L2", builder.place,
    )  # fmt: skip
