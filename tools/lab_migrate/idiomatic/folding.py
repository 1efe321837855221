"""Code for one value of a name: what only that value decides is decided, the rest stays as it is written.

if phase == "train": A        A (for "train"), B (for "val")
else: B
f"{phase} loss {loss:.3f}"    f"train loss {loss:.3f}"
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import libcst as cst

__all__ = ["UNKNOWN", "constant_of", "folded"]

#: What `constant_of` says of an expression that is no constant.
UNKNOWN = object()
_METHODS = {"capitalize", "lower", "title", "upper"}
_GRADIENTS = "set_grad_enabled"


def constant_of(node: cst.BaseExpression, known: Mapping[str, Any]) -> Any:
    """The value of an expression where the names in `known` tell it, else `UNKNOWN`."""
    if isinstance(node, cst.Name):
        return {"True": True, "False": False, "None": None}.get(node.value, known.get(node.value, UNKNOWN))
    if isinstance(node, cst.SimpleString):
        return node.evaluated_value
    if isinstance(node, cst.Integer):
        return node.evaluated_value
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
        value = constant_of(node.expression, known)
        return UNKNOWN if value is UNKNOWN else not value
    if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
        return _compared(node, known)
    if isinstance(node, cst.BooleanOperation):
        left, right = constant_of(node.left, known), constant_of(node.right, known)
        decides = isinstance(node.operator, cst.Or)
        if left is not UNKNOWN and (bool(left) is decides or right is not UNKNOWN):
            return left if bool(left) is decides else right
    return UNKNOWN


def _compared(node: cst.Comparison, known: Mapping[str, Any]) -> Any:
    target = node.comparisons[0]
    left = constant_of(node.left, known)
    if isinstance(target.operator, cst.In | cst.NotIn):
        if left is UNKNOWN or not isinstance(target.comparator, cst.List | cst.Tuple | cst.Set):
            return UNKNOWN
        values = [constant_of(one.value, known) for one in target.comparator.elements]
        if UNKNOWN in values:
            return UNKNOWN
        return (left in values) is isinstance(target.operator, cst.In)
    right = constant_of(target.comparator, known)
    if left is UNKNOWN or right is UNKNOWN or not isinstance(target.operator, cst.Equal | cst.NotEqual | cst.Is):
        return UNKNOWN
    return (left == right) is not isinstance(target.operator, cst.NotEqual)


def literal(value: Any, quote: str = '"') -> cst.BaseExpression:
    """A constant's expression."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        plain = quote == '"' or '"' in value or "'" in value or "\\" in text
        return cst.SimpleString(text if plain else f"'{value}'")
    return cst.parse_expression(repr(value))


def folded(
    statements: Sequence[cst.BaseStatement], known: Mapping[str, Any], quote: str = '"'
) -> list[cst.BaseStatement]:
    """A copy of statements in which the names in `known` have their values, which are written in these quotes."""
    return _Folding(known, quote).body(statements)


class _Folding(cst.CSTTransformer):
    """Puts values in the place of names, in a copy of some statements."""

    def __init__(self, known: Mapping[str, Any], quote: str) -> None:
        super().__init__()
        self.known, self.quote = known, quote
        self._around: list[str] = []

    def body(self, statements: Sequence[cst.BaseStatement]) -> list[cst.BaseStatement]:
        """The statements for these values."""
        found: list[cst.BaseStatement] = []
        for node in statements:
            done = node.visit(self)
            if isinstance(done, cst.FlattenSentinel):
                found += [one for one in done if isinstance(one, cst.BaseStatement)]
            elif isinstance(done, cst.BaseStatement):
                found.append(done)
        return found

    # What only looks like a name.
    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:  # noqa: N802
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:  # noqa: N802
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_Param(self, original_node: cst.Param, updated_node: cst.Param) -> cst.Param:  # noqa: N802
        return updated_node.with_changes(name=original_node.name)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:  # noqa: N802
        if updated_node.value not in self.known:
            return updated_node
        made = literal(self.known[updated_node.value], self.quote)
        return made.with_changes(lpar=updated_node.lpar, rpar=updated_node.rpar)

    def leave_Comparison(  # noqa: N802
        self, original_node: cst.Comparison, updated_node: cst.Comparison
    ) -> cst.BaseExpression:
        return self._decided(original_node, updated_node)

    def leave_UnaryOperation(  # noqa: N802
        self, original_node: cst.UnaryOperation, updated_node: cst.UnaryOperation
    ) -> cst.BaseExpression:
        return self._decided(original_node, updated_node)

    def leave_BooleanOperation(  # noqa: N802
        self, original_node: cst.BooleanOperation, updated_node: cst.BooleanOperation
    ) -> cst.BaseExpression:
        value = constant_of(original_node, self.known)
        if value is not UNKNOWN:
            return literal(value, self.quote)
        if constant_of(original_node.left, self.known) is not UNKNOWN:
            return updated_node.right
        return updated_node

    def leave_IfExp(self, original_node: cst.IfExp, updated_node: cst.IfExp) -> cst.BaseExpression:  # noqa: N802
        value = constant_of(original_node.test, self.known)
        if value is UNKNOWN:
            return updated_node
        chosen = updated_node.body if value else updated_node.orelse
        return chosen if chosen.lpar else chosen.with_changes(lpar=updated_node.lpar, rpar=updated_node.rpar)

    def leave_BinaryOperation(  # noqa: N802
        self, original_node: cst.BinaryOperation, updated_node: cst.BinaryOperation
    ) -> cst.BaseExpression:
        left, right = updated_node.left, updated_node.right
        changed = left is not original_node.left or right is not original_node.right
        if changed and isinstance(updated_node.operator, cst.Add):
            values = [constant_of(one, {}) for one in (left, right)]
            if all(isinstance(value, str) for value in values):
                return literal("".join(values), self.quote).with_changes(lpar=updated_node.lpar, rpar=updated_node.rpar)
        return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:  # noqa: N802
        func = original_node.func
        if isinstance(func, cst.Attribute) and isinstance(func.value, cst.Name) and not original_node.args:
            value = self.known.get(func.value.value)
            if isinstance(value, str) and func.attr.value in _METHODS:
                return literal(getattr(value, func.attr.value)(), self.quote)
        return updated_node

    def visit_FormattedString(self, node: cst.FormattedString) -> None:  # noqa: N802
        # Python before 3.12 has no quotes of one kind within each other.
        self._around.append(self.quote)
        self.quote = "'" if '"' in node.start else '"'

    def leave_FormattedString(  # noqa: N802
        self, original_node: cst.FormattedString, updated_node: cst.FormattedString
    ) -> cst.BaseExpression:
        self.quote = self._around.pop()
        parts: list[cst.BaseFormattedStringContent] = []
        for was, now in zip(original_node.parts, updated_node.parts, strict=True):
            text = self._text(was) if isinstance(was, cst.FormattedStringExpression) else None
            plain = text is not None and not {"{", "}", "\\", "\n", '"', "'"} & set(text)
            parts.append(cst.FormattedStringText(text) if plain and text is not None else now)
        if any(isinstance(part, cst.FormattedStringExpression) for part in parts):
            return updated_node.with_changes(parts=parts)
        text = "".join(part.value for part in parts if isinstance(part, cst.FormattedStringText))
        if "{" in text or "}" in text:
            return updated_node.with_changes(parts=parts)
        start = original_node.start.replace("f", "").replace("F", "")
        return cst.SimpleString(f"{start}{text}{original_node.end}", lpar=updated_node.lpar, rpar=updated_node.rpar)

    def _text(self, part: cst.FormattedStringExpression) -> str | None:
        if part.conversion or part.format_spec or part.equal:
            return None
        value = constant_of(part.expression, self.known)
        if value is UNKNOWN and isinstance(part.expression, cst.Call):
            folded = part.expression.visit(self)
            value = folded.evaluated_value if isinstance(folded, cst.SimpleString) else UNKNOWN
        return value if isinstance(value, str) else None

    def visit_If(self, node: cst.If) -> bool:  # noqa: N802
        return False  # by hand, branch by branch

    def leave_If(  # noqa: N802
        self, original_node: cst.If, updated_node: cst.If
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement] | cst.RemovalSentinel:
        done = self._branches(original_node)
        if isinstance(done, cst.If):
            return done
        if not done:
            return cst.RemoveFromParent()
        return cst.FlattenSentinel(_led(done, original_node.leading_lines))

    def _branches(self, node: cst.If) -> cst.If | list[cst.BaseStatement]:
        """What is left of an `if`: the statements of the branch that is taken, where that is known."""
        test = _without_true(node.test, self.known)
        value = constant_of(test, self.known)
        orelse = node.orelse
        if value is not UNKNOWN:
            if value:
                return self.body(_statements(node.body))
            if orelse is None:
                return []
            return self._branches(orelse) if isinstance(orelse, cst.If) else self.body(_statements(orelse.body))
        body = self._suite(node.body)
        made = test.visit(self)
        assert isinstance(made, cst.BaseExpression)
        kept: cst.If | cst.Else | None = None
        if isinstance(orelse, cst.If):
            rest = self._branches(orelse)
            if isinstance(rest, cst.If):
                kept = rest
            elif rest:
                kept = cst.Else(body=cst.IndentedBlock(rest))
        elif orelse is not None:
            inner = self.body(_statements(orelse.body))
            kept = orelse.with_changes(body=_block(orelse.body, inner)) if inner else None
        return node.with_changes(test=made, body=body, orelse=kept)

    def leave_With(  # noqa: N802
        self, original_node: cst.With, updated_node: cst.With
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        call = original_node.items[0].item
        alone = len(original_node.items) == 1 and original_node.items[0].asname is None
        if (
            not alone
            or not isinstance(call, cst.Call)
            or len(call.args) != 1
            or not isinstance(call.func, cst.Attribute)
        ):
            return updated_node
        value = constant_of(call.args[0].value, self.known)
        if call.func.attr.value != _GRADIENTS or value is UNKNOWN:
            return updated_node
        if value:
            return cst.FlattenSentinel(_led(list(_statements(updated_node.body)), updated_node.leading_lines))
        made = cst.Call(call.func.with_changes(attr=cst.Name("no_grad")))
        return updated_node.with_changes(items=[updated_node.items[0].with_changes(item=made)])

    def leave_IndentedBlock(  # noqa: N802
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.BaseSuite:
        return updated_node if updated_node.body else _block(updated_node, [])

    def _suite(self, suite: cst.BaseSuite) -> cst.BaseSuite:
        return _block(suite, self.body(_statements(suite)))

    def _decided(self, original: cst.BaseExpression, updated: cst.BaseExpression) -> cst.BaseExpression:
        value = constant_of(original, self.known)
        return updated if value is UNKNOWN else literal(value, self.quote)


def _without_true(test: cst.BaseExpression, known: Mapping[str, Any]) -> cst.BaseExpression:
    """`a and phase == "val"` is `a` where it only decides a branch."""
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
        left, right = _without_true(test.left, known), _without_true(test.right, known)
        for one, other in ((left, right), (right, left)):
            value = constant_of(one, known)
            if value is not UNKNOWN and value:
                return other.with_changes(lpar=test.lpar, rpar=test.rpar) if test.lpar else other
        if constant_of(left, known) is UNKNOWN and constant_of(right, known) is not UNKNOWN and _is_plain(left):
            return right  # false, and what stands before it does nothing
    return test


def _is_plain(node: cst.BaseExpression) -> bool:
    """Whether an expression only looks at names and numbers."""
    if isinstance(node, cst.Comparison):
        return _is_plain(node.left) and all(_is_plain(one.comparator) for one in node.comparisons)
    if isinstance(node, cst.BooleanOperation | cst.BinaryOperation):
        return _is_plain(node.left) and _is_plain(node.right)
    if isinstance(node, cst.UnaryOperation):
        return _is_plain(node.expression)
    if isinstance(node, cst.Attribute):
        return _is_plain(node.value)
    return isinstance(node, cst.Name | cst.Integer | cst.Float | cst.SimpleString)


def _statements(suite: cst.BaseSuite) -> Sequence[cst.BaseStatement]:
    if isinstance(suite, cst.IndentedBlock):
        return suite.body
    assert isinstance(suite, cst.SimpleStatementSuite)
    return [cst.SimpleStatementLine(suite.body)]


def _block(suite: cst.BaseSuite, statements: Sequence[cst.BaseStatement]) -> cst.IndentedBlock:
    body = statements or [cst.SimpleStatementLine([cst.Pass()])]
    return suite.with_changes(body=body) if isinstance(suite, cst.IndentedBlock) else cst.IndentedBlock(body)


def _led(statements: list[cst.BaseStatement], lines: Sequence[cst.EmptyLine]) -> list[cst.BaseStatement]:
    """Statements with the lines above what they stood in."""
    first, *rest = statements
    return [first.with_changes(leading_lines=[*lines, *first.leading_lines]), *rest]  # type: ignore[attr-defined]
