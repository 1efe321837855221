"""Calls in loops over what is written out: `for kind in (A, B): gin.configurable(kind)`, once for each turn."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["in_loops"]


def in_loops(tree: ast.Module) -> Iterator[ast.Call]:
    """The calls, with what the loop's names stand for in their places; of other loops none."""
    lists = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    }
    for target, listed, inner in _loops(tree):
        for turn in _turns(target, listed, lists):
            for call in (part for one in inner for part in ast.walk(one) if isinstance(part, ast.Call)):
                if any(isinstance(part, ast.Name) and part.id in turn for part in ast.walk(call)):
                    yield ast.fix_missing_locations(_Putting(turn).visit(copy.deepcopy(call)))


def _loops(tree: ast.Module) -> Iterator[tuple[ast.expr, ast.expr, Sequence[ast.AST]]]:
    """Target, what it goes through, and body of each `for`; of a comprehension if it has one, without a condition."""
    for node in ast.walk(tree):
        match node:
            case ast.For(target=target, iter=listed, body=body):
                yield target, listed, body
            case (
                ast.ListComp(elt=made, generators=[ast.comprehension(target, listed, [])])
                | ast.SetComp(elt=made, generators=[ast.comprehension(target, listed, [])])
                | ast.GeneratorExp(elt=made, generators=[ast.comprehension(target, listed, [])])
            ):
                yield target, listed, [made]


def _turns(target: ast.expr, listed: ast.expr, lists: Mapping[str, ast.expr]) -> Iterator[dict[str, ast.expr]]:
    """What the names of a loop stand for, turn by turn."""
    if isinstance(listed, ast.Name):
        listed = lists.get(listed.id, listed)
    pairs = False
    match listed:
        case ast.Call(func=ast.Attribute(value=of, attr="items" | "values" | "keys" as asked), args=[]):
            of = lists.get(of.id, of) if isinstance(of, ast.Name) else of
            if not isinstance(of, ast.Dict) or None in of.keys:
                return
            pairs = asked == "items"
            turns = [ast.Tuple([key, value]) for key, value in zip(of.keys, of.values, strict=True) if key is not None]
            found: list[ast.expr] = list(turns) if pairs else [one.elts[asked == "values"] for one in turns]
        case ast.Tuple(elts=found) | ast.List(elts=found) | ast.Set(elts=found):
            pass
        case _:
            return
    for value in found:
        match target, value:
            case ast.Name(id=name), _ if not isinstance(value, ast.Starred):
                yield {name: value}
            case ast.Tuple(elts=names), ast.Tuple(elts=values) if len(names) == len(values):
                if all(isinstance(one, ast.Name) for one in names):
                    yield {one.id: part for one, part in zip(names, values, strict=True) if isinstance(one, ast.Name)}


class _Putting(ast.NodeTransformer):
    """Values in the places of names; `getattr(optim, "SGD")` is `optim.SGD`."""

    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Its value."""
        return copy.deepcopy(self.values.get(node.id, node))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """An attribute that is asked for by its name."""
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[owner, ast.Constant(value=str(name))]):
                return ast.Attribute(owner, name, ast.Load())
        return node
