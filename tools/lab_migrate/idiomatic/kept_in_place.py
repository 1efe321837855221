"""Tensors, arrays and their like that the loop changes in their place, which no name shows.

bank[i] = out.detach()                          a tensor that torch makes goes on; of an array it is said
center.mul_(0.9).add_(out.mean(0), alpha=0.1)
for s, p in zip(slow, model.parameters()): s.lerp_(p, 0.1)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.outside import changed_outside
from lab_migrate.idiomatic.roles import nodes_of

#: Methods that give a tensor of the same kind.
_SAME = frozenset({"clone", "cpu", "cuda", "detach", "double", "float", "half", "long", "to"})


def keep_in_place(keeping: Keeping) -> None:
    """Keep them, or say what changes them; what models and optimizers hold is Lightning's."""
    held = {*keeping.roles.models, *keeping.roles.optimizers}
    names = keeping.places.names
    outside = {*names.captured, *keeping.places.fixed} - {"self"}
    loops = loops_over(keeping)
    for frame, node in nodes_of(keeping.nest):
        for changed, how in [*_changed(node, frame, loops), *_by_methods(node, frame, loops, keeping)]:
            name = frame.canonical(changed)
            head = name.partition(".")[0]
            in_script = keeping.base.is_script and head in keeping.base.bound - {*keeping.base.module.symbols.imports}
            if ":" in name or not (head in outside or in_script or name.startswith("self.")) or name in names.carried:
                continue
            theirs = any(name == one or name.startswith(f"{one}.") for one in held)
            if theirs or name in keeping.seen or keeping.is_made_within(name):
                continue
            keeping.seen.add(name)
            made = keeping.made(name)
            if made and all(_is_torchs(keeping, value) for value in made):
                key, text = keeping.key(name.rpartition(".")[2]), keeping.text(name)
                keeping.keep(name, key, [f'checkpoint["{key}"] = {text}'], f'{text}.copy_(checkpoint["{key}"])')
            else:
                keeping.lose(name, f"{how} changes it in its place")


def _changed(node: ast.AST, frame: Frame, loops: dict[str, list[ast.expr]]) -> Iterator[tuple[ast.expr, str]]:
    """What a call of `x.mul_()`, or an assignment to `x[i]`, changes, with what does."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        inner, how = node.value, "an assignment to its entries"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        method = node.func.attr
        if not method.endswith("_") or method.endswith("__") or method == "requires_grad_":
            return
        inner, how = node.func.value, f"{method}()"
    else:
        return
    while isinstance(inner, ast.Subscript) or (isinstance(inner, ast.Attribute) and inner.attr == "data"):
        inner = inner.value
    for one in loops.get(frame.canonical(inner), [inner]):
        yield one, how


def _by_methods(
    node: ast.AST, frame: Frame, loops: dict[str, list[ast.expr]], keeping: Keeping
) -> Iterator[tuple[ast.expr, str]]:
    """What `for meter in meters: meter.update(loss)` changes: a list of objects that change themselves."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    sources = loops.get(frame.canonical(node.func.value), [])
    for target in keeping.graph.targets(frame.function, node.func) if sources else ():
        if any(name.startswith(f"{target.cls.name}.") for name in changed_outside(target, keeping.graph) if target.cls):
            yield from ((one, f"{target.qualified}()") for one in sources)


def loops_over(keeping: Keeping) -> dict[str, list[ast.expr]]:
    """What names of loops inside the batches stand for: of `for s, p in zip(slow, fast)` each for its own."""
    found: dict[str, list[ast.expr]] = {}
    for frame, node in nodes_of(keeping.nest):
        for target, source in _pairs(node) if isinstance(node, ast.For) else ():
            if frame.canonical(target):
                found.setdefault(frame.canonical(target), []).append(_root(source))
    return found


def _pairs(loop: ast.For) -> list[tuple[ast.expr, ast.expr]]:
    match loop:
        case ast.For(ast.Tuple(targets), ast.Call(ast.Name("zip"), sources)) if len(targets) == len(sources):
            return list(zip(targets, sources, strict=True))
    return [(one, loop.iter) for one in ast.walk(loop.target) if isinstance(one, ast.Name)]


def _root(node: ast.expr) -> ast.expr:
    """`average` of `average.state_dict().values()`, and of `enumerate(average)`."""
    while isinstance(node, ast.Call | ast.Subscript):
        if isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node.func, ast.Attribute):
            node = node.func.value
        elif node.args:
            node = node.args[0]
        else:
            break
    return node


def _is_torchs(keeping: Keeping, value: ast.expr) -> bool:
    """Whether it is a tensor that torch makes, and that no graph leads to: `torch.zeros(3).to(device)`."""
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _SAME:
        value = value.func.value
    if not isinstance(value, ast.Call) or any(word.arg == "requires_grad" for word in value.keywords):
        return False
    head, _, rest = dotted(value.func).partition(".")
    return keeping.base.module.symbols.imports.get(head, "") == "torch" and bool(rest) and "." not in rest
