"""What an expression of a Python config stands for."""

from __future__ import annotations

import abc
import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab_bridge.config.places import Place
from lab_bridge.config.python.conversion import at, entries_of, items_of, known, made_of, plain, short, true
from lab_bridge.config.python.operators import FUNCTIONS, NotPlainError, binary, compared, unary
from lab_bridge.config.python.values import Function, Group, List, Made, Named, Plain, Unknown, Value

if TYPE_CHECKING:
    from lab_bridge.config.python.program import Program

Scope = dict[str, Value]


class Expressions(abc.ABC):
    """Expressions of one file, in one scope."""

    def __init__(self, program: Program, path: Path, scope: Scope) -> None:
        self.program, self.path, self.scope = program, path, scope

    def value(self, node: ast.expr) -> Value:
        """What an expression stands for."""
        try:
            return self._value(node)
        except (NotPlainError, RecursionError):
            return Unknown(short(node), self.place(node))

    @abc.abstractmethod
    def call(self, node: ast.Call) -> Value:
        """What a call returns. Raises `NotPlainError`."""

    @abc.abstractmethod
    def assign(self, target: ast.expr, value: Value, statement: ast.stmt | None) -> None:
        """Bind a target; `statement` is where a comment about it may stand."""

    def _value(self, node: ast.expr) -> Value:
        place = self.place(node)
        match node:
            case ast.Constant(value=value):
                if value is ... or isinstance(value, bytes):
                    raise NotPlainError
                return Plain(value, place)
            case ast.Name(id=name):
                return self._name(name, node)
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return List(self.spread(items), type(node).__name__.lower(), place)
            case ast.Dict(keys=keys, values=values):
                return self._dict(keys, values, place)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript(value=owner, slice=index):
                return self._item(self.value(owner), index, node)
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self.value(left), self.value(right), place)
            case ast.UnaryOp(op=op, operand=operand):
                return made_of(unary(op, plain(self.value(operand))), place)
            case ast.BoolOp(op=op, values=values):
                return self._bool(op, values)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return made_of(compared(op, plain(self.value(left)), plain(self.value(right))), place)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if true(known(self.value(test))) else orelse)
            case ast.JoinedStr(values=parts):
                return Plain("".join(self._formatted(part) for part in parts), place)
            case ast.ListComp(elt=item, generators=[loop]) | ast.GeneratorExp(elt=item, generators=[loop]):
                return List(self._comprehended(item, loop), "list", place)
            case ast.Call():
                return self.call(node)
            case ast.Lambda():
                return Function(node, self.scope, "lambda", place)
        raise NotPlainError

    def _name(self, name: str, node: ast.expr) -> Value:
        found = self.scope.get(name)
        if found is not None:
            return found
        if name in FUNCTIONS or name in ("dict", "list", "tuple", "set", "zip", "enumerate"):
            return Named(name, self.place(node))
        raise NotPlainError

    def _attribute(self, node: ast.Attribute) -> Value:
        owner = self.value(node.value)
        if isinstance(owner, Named):
            if f"{owner.path}.{node.attr}" in ("math.pi", "math.inf", "numpy.pi", "numpy.inf"):
                return made_of(float("inf") if node.attr == "inf" else 3.141592653589793, self.place(node))
            return Named(f"{owner.path}.{node.attr}", self.place(node))
        if isinstance(owner, Group) and node.attr in owner.entries:
            return owner.entries[node.attr]
        if isinstance(owner, Made) and node.attr in owner.arguments:
            return owner.arguments[node.attr]
        raise NotPlainError

    def _item(self, owner: Value, index: ast.expr, node: ast.expr) -> Value:
        if isinstance(index, ast.Slice) and isinstance(owner, List | Plain):
            bounds = (index.lower, index.upper, index.step)
            cut = slice(*(None if part is None else plain(self.value(part)) for part in bounds))
            if isinstance(owner, List):
                return List(owner.items[cut], owner.kind, self.place(node))
            return made_of(owner.value[cut], self.place(node))
        key = self.key(index)
        try:
            if isinstance(owner, Group):
                return owner.entries[key]
            if isinstance(owner, Made):
                return owner.arguments[str(key)]
            if isinstance(owner, List) and isinstance(key, int):
                return owner.items[key]
            if isinstance(owner, Plain):
                return made_of(owner.value[key], self.place(node))
        except (LookupError, TypeError) as error:
            raise NotPlainError from error
        raise NotPlainError

    def _binary(self, op: ast.operator, left: Value, right: Value, place: Place) -> Value:
        if isinstance(left, List) and isinstance(right, List) and isinstance(op, ast.Add):
            return List([*left.items, *right.items], left.kind, place)
        times = right.value if isinstance(right, Plain) else None
        if isinstance(left, List) and isinstance(op, ast.Mult) and isinstance(times, int) and times < 1000:
            return List(left.items * times, left.kind, place)
        return made_of(binary(op, plain(left), plain(right)), place)

    def _bool(self, op: ast.boolop, values: list[ast.expr]) -> Value:
        made = known(self.value(values[0]))
        for following in values[1:]:
            if true(made) != isinstance(op, ast.And):
                return made
            made = known(self.value(following))
        return made

    def _formatted(self, part: ast.expr) -> str:
        if isinstance(part, ast.Constant):
            return str(part.value)
        if isinstance(part, ast.FormattedValue):
            inner = plain(self.value(part.value))
            shown = repr(inner) if part.conversion == ord("r") else str(inner) if part.conversion >= 0 else inner
            return format(shown, self._formatted(part.format_spec) if part.format_spec is not None else "")
        if isinstance(part, ast.JoinedStr):
            return "".join(self._formatted(inner) for inner in part.values)
        raise NotPlainError

    def _comprehended(self, item: ast.expr, loop: ast.comprehension) -> list[Value]:
        kept = dict(self.scope)
        made = []
        for value in items_of(known(self.value(loop.iter))):
            self.program.step()
            self.assign(loop.target, value, None)
            if all(true(known(self.value(test))) for test in loop.ifs):
                made.append(self.value(item))
        self.scope.clear()
        self.scope.update(kept)
        return made

    def spread(self, items: list[ast.expr]) -> list[Value]:
        """Elements or arguments, starred ones unpacked."""
        made: list[Value] = []
        for item in items:
            if isinstance(item, ast.Starred):
                made += items_of(self.value(item.value))
            else:
                made.append(self.value(item))
        return made

    def _dict(self, keys: list[ast.expr | None], values: list[ast.expr], place: Place) -> Group:
        entries: dict[Any, Value] = {}
        for key, value in zip(keys, values, strict=True):
            made = self.value(value)
            if key is None:
                entries |= entries_of(made)
            else:
                entries[self.key(key)] = at(made, self.place(key))
        return Group(entries, "dict", place)

    def key(self, node: ast.expr) -> Any:
        """The key or attribute an index stands for. Raises `NotPlainError`."""
        key = plain(self.value(node))
        return tuple(key) if isinstance(key, list) else key

    def place(self, node: ast.AST) -> Place:
        """Where a node stands."""
        return Place(str(self.path), getattr(node, "lineno", 0))
