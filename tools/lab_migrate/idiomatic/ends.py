"""Where a `break` or `return` among a batch's lines ends the whole training: `self.trainer.should_stop = True`.

    while True:                                     for epoch in range(n):
        for batch in loader:                            for batch in loader:
            …                                               …
            if step >= n:                                   if step >= n:
                break                                           return
        if step >= n:
            break

Of a `break` it is sure only where what follows the batches breaks again, on the same condition.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.idiomatic.epochs import opposite
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.mentions import flow_of
from lab_migrate.idiomatic.nest import Nest, in_inner_loop

__all__ = ["leaves", "stops_of"]

#: What says that a comparison is false of what says so of another one: `step == n` tells that `step < n` is over.
_TELL: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.GtE: (ast.GtE, ast.Gt, ast.Eq), ast.LtE: (ast.LtE, ast.Lt, ast.Eq),
}  # fmt: skip


def stops_of(nest: Nest, elsewhere: Collection[str]) -> frozenset[int]:
    """The jumps, by their `id`, that end the training; `elsewhere` is what code changes that stays where it is."""
    body = nest.train.body
    jumps = [node for node in own_nodes(body) if isinstance(node, ast.Break | ast.Return)
             and not (isinstance(node, ast.Break) and in_inner_loop(body, node))]  # fmt: skip
    if nest.steps is not None:
        return frozenset(id(node) for node in jumps if isinstance(node, ast.Break))
    ends = list(_ends(nest, elsewhere))
    found = set()
    for node in jumps:
        if isinstance(node, ast.Return):
            if node.value is None and _is_all(nest):
                found.add(id(node))
        elif (test := _condition(body, node)) is not None and any(_tells(test, nest.train.frame, end) for end in ends):
            found.add(id(node))
    return frozenset(found)


def leaves(node: ast.stmt, nest: Nest) -> bool:
    """Whether a statement of a batch may end the training."""
    return any(id(one) in nest.stops for one in own_nodes([node]))


def _ends(nest: Nest, elsewhere: Collection[str]) -> Iterator[str]:
    """Conditions that end the training after the batches, by the names that they have there, as at the last batch."""
    between: list[Item] = []
    if nest.validation is not None:
        between = [*nest.between, *(Item(nest.validation.frame, node) for node in nest.validation.body)]
    for item in nest.after:
        node = item.node
        breaks = isinstance(node, ast.If) and isinstance(node.body[-1], ast.Break) and item.line is None
        if breaks and item.frame is nest.base and _is_untouched(node.test, between, nest, elsewhere):  # type: ignore[attr-defined]
            yield ast.unparse(node.test)  # type: ignore[attr-defined]
        between.append(item)
    theirs = [item for item in between if item.line is None]
    if nest.test is not None and _is_untouched(nest.test, theirs, nest, elsewhere):
        yield ast.unparse(opposite(nest.test))


def _is_untouched(test: ast.expr, items: list[Item], nest: Nest, elsewhere: Collection[str]) -> bool:
    """Whether some statements leave what a condition reads as it is, and so does what they call."""
    if any(isinstance(node, ast.Call | ast.Subscript | ast.NamedExpr | ast.Await) for node in ast.walk(test)):
        return False
    stored = {name.partition(".")[0] for name in flow_of(items).stored} | set(elsewhere)
    stored |= {f".{node.attr}" for item in items for node in own_nodes([item.node]) if isinstance(node, ast.Attribute)
               and not isinstance(node.ctx, ast.Load)}  # fmt: skip
    names = {nest.base.canonical(node) for node in ast.walk(test) if isinstance(node, ast.Name)}
    return not stored & (names | {f".{node.attr}" for node in ast.walk(test) if isinstance(node, ast.Attribute)})


def _condition(body: list[ast.stmt], jump: ast.AST) -> ast.expr | None:
    """The condition of the innermost `if` whose body ends with a jump."""
    for node in own_nodes(body):
        if isinstance(node, ast.If) and node.body[-1] is jump:
            return node.test
    return None


def _tells(test: ast.expr, frame: Frame, end: str) -> bool:
    """Whether a condition tells that another one holds, too."""
    said = frame.in_base(test)
    if not said:
        return False
    found, wanted = ast.parse(said, mode="eval").body, ast.parse(end, mode="eval").body
    if ast.unparse(found) == ast.unparse(wanted):
        return True
    if not isinstance(found, ast.Compare) or not isinstance(wanted, ast.Compare):
        return False
    if len(found.ops) != 1 or len(wanted.ops) != 1 or ast.unparse(found.left) != ast.unparse(wanted.left):
        return False
    same = ast.unparse(found.comparators[0]) == ast.unparse(wanted.comparators[0])
    return same and isinstance(found.ops[0], _TELL.get(type(wanted.ops[0]), ()))


def _is_all(nest: Nest) -> bool:
    """Whether the function ends with the batches: nothing that a `return` would pass over."""
    is_last = nest.base.function.body[-1] is nest.epochs and not nest.base.is_script
    # The last line of an epoch, which asks whether to go on, is none of the program's.
    after = [item for item in nest.after if item.line is None]
    return is_last and nest.train.frame is nest.base and nest.validation is None and not after
