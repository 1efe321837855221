"""The edits that turn one loop into a function of its item and a call that runs it.

    for i, (x, y) in enumerate(loader):   # note      def training_step(item):   # note
        ...                                               nonlocal total
                                                          i, (x, y) = item
                                                          ...
                                                      outlined.fit(training_step, enumerate(loader))

The body's bytes stay where they are: the loop's header becomes the function's, so the indentation is the same.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Collection

import attrs

from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.sources import Module
from lab_migrate.analysis.symbols import Function, own_nodes
from lab_migrate.convert.rule import Edit
from lab_migrate.outline.carried import body_names, carried_names
from lab_migrate.outline.flow import Jumps, jumps_of
from lab_migrate.outline.suite import Suite

#: The name under which generated code knows `lab_adapters.outlined`, unless the file uses it.
RUNTIME = "outlined"
WIDTH = 100


@attrs.define(eq=False)
class Level:
    """One loop that is outlined. `inside` is the outlined loop around it in the same function, if any.

    `root` loops are run with `fit`; the others hand their iterations over with `yield from steps`.
    """

    function: Function
    loop: ast.For | ast.While
    root: bool
    inside: Level | None
    #: Every loop of this function that is outlined, by `id`.
    outlined: frozenset[int]
    name: str
    runtime: str
    #: Whether code of its body, before a loop inside, may read what the training changes (see `beginnings`).
    reads: bool
    #: An expression that is true where it trains, if another pass of it may only look (see `conditions`).
    trains: str
    carried: frozenset[str] = attrs.field(init=False)
    jumps: Jumps = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.jumps = jumps_of(self.loop.body, self.outlined)
        around = self.inside.loop.body if self.inside else self._scope_body
        carried = carried_names(self.loop, around, not isinstance(self.function.node, ast.Module))
        names = body_names(self.loop)
        if self.inside is not None:
            carried |= (names.assigned | names.deleted) & self.inside.carried
        self.carried = frozenset(carried | (self.tested & (names.assigned | names.deleted)))

    @property
    def module(self) -> Module:
        """The file."""
        return self.function.module

    @property
    def _suite(self) -> Suite:
        return Suite(self.module, self.loop)

    @property
    def _scope_body(self) -> list[ast.stmt]:
        return self.function.body

    @property
    def indent(self) -> str:
        """What stands before the loop on its line."""
        return self._suite.indent

    @property
    def tested(self) -> frozenset[str]:
        """Names that the condition of a `while` binds: `while (x := feed.get()) is not None`."""
        nodes = ast.walk(self.loop.test) if isinstance(self.loop, ast.While) else ()
        return frozenset(node.target.id for node in nodes if isinstance(node, ast.NamedExpr))

    @property
    def returns(self) -> bool:
        """Whether an iteration, or one of an outlined loop inside, may return from the function."""
        return bool(jumps_of(self.loop.body).returns)

    # ---- names

    def declared(self) -> tuple[list[str], list[str]]:
        """Names that the body declares `global`, and `nonlocal`, sorted."""
        return self._declared(self.carried)

    def _declared(self, names: Collection[str]) -> tuple[list[str], list[str]]:
        outer: set[str] = set()
        if isinstance(self.function.node, ast.Module):
            outer = set(names) if self.inside is None else set(names) & self.inside_globals()
        else:
            outer = set(names) & names_in(self.function.body).globals_
        return sorted(outer), sorted(set(names) - outer)

    def inside_globals(self) -> set[str]:
        """Names that the outlined loop around this one declares global."""
        return set(self.inside.declared()[0]) if self.inside is not None else set()

    def unbound(self) -> list[str]:
        """Nonlocal names that nothing else in the scope around binds, so that the scope must claim them."""
        _, wanted = self._declared(self.carried | self.tested)
        if not wanted:
            return []
        if self.inside is not None:
            bound = set(self.inside.carried) | names_in([self.inside.loop.target]).assigned if isinstance(
                self.inside.loop, ast.For
            ) else set(self.inside.carried)  # fmt: skip
            body = self.inside.loop.body
        else:
            node = self.function.node
            assert not isinstance(node, ast.Module)
            bound = set(self.function.parameters) | {arg.arg for arg in (node.args.vararg, node.args.kwarg) if arg}
            body = self.function.body
        bound |= _bound_outside(self.outlined, body)
        for other in own_nodes(body):  # a loop before this one has claimed what both assign
            if isinstance(other, ast.For | ast.While) and id(other) in self.outlined:
                bound |= names_in([other]).assigned if (other.end_lineno or 0) < self.loop.lineno else set()
        return [name for name in wanted if name not in bound]

    @property
    def parameter(self) -> str:
        """What the body's function calls its item."""
        names = body_names(self.loop)
        used = names.all
        if isinstance(self.loop, ast.While):
            return _fresh("_", used)
        kept = self.carried | names.globals_ | names.nonlocals
        if isinstance(self.loop.target, ast.Name) and self.loop.target.id not in kept:
            return self.loop.target.id
        return _fresh("item", used)

    # ---- edits

    def edits(self) -> list[Edit]:
        """Everything this loop needs; edits of loops inside come on top and never overlap."""
        return [self._header(), *self._prologue(), *self._jumps(), *self._annotations(), *self._supers(), *self._site()]

    def _header(self) -> Edit:
        start = self.module.start(self.loop)
        claims = "".join(f"{name}: object\n{self.indent}" for name in self.unbound())
        mark = f"@{self.runtime}.reads_models\n{self.indent}" if self.reads else ""
        return Edit(start, self._suite.colon + 1, f"{claims}{mark}def {self.name}({self.parameter}):")

    def _prologue(self) -> list[Edit]:
        lines = []
        for word, names in zip(("global", "nonlocal"), self.declared(), strict=True):
            if names:
                room = max(WIDTH - len(self._suite.body_indent) - len(word) - 1, 40)
                lines += [f"{word} {row.removesuffix(',')}" for row in textwrap.wrap(", ".join(names), room)]
        if isinstance(self.loop, ast.For) and not (
            isinstance(self.loop.target, ast.Name) and self.loop.target.id == self.parameter
        ):
            lines.append(f"{self.module.source(self.loop.target)} = {self.parameter}")
        if self.loop.body[0].lineno == self._suite.header_end_line:
            at = self.module.start(self.loop.body[0])
            head = "".join(f"\n{self._suite.body_indent}{line}" for line in [*lines, ""])
            return [Edit(at, at, head)]
        if not lines:
            return []
        at = self.module.offset(self._suite.header_end_line + 1, 0)
        return [Edit(at, at, "".join(f"{self._suite.body_indent}{line}{self._suite.newline}" for line in lines))]

    def _jumps(self) -> list[Edit]:
        found = [Edit(*self._suite.span(node), "return") for node in self.jumps.continues]
        found += [Edit(*self._suite.span(node), f"return {self.runtime}.BREAK") for node in self.jumps.breaks]
        for node in self.jumps.returns:
            if node.value is None:
                found.append(Edit(*self._suite.span(node), f"return {self.runtime}.Return()"))
                continue
            start, end = self._suite.span(node.value)
            double = _is_bare_tuple(node.value)
            found.append(Edit(start, start, f"{self.runtime}.Return({'(' if double else ''}"))
            found.append(Edit(end, end, "))" if double else ")"))
        return found

    def _annotations(self) -> list[Edit]:
        """A carried name cannot be annotated where it is declared: `x: int = 1` becomes `x = 1`."""
        found = []
        inside = [node for node in own_nodes(self.loop.body) if id(node) in self.outlined]
        theirs = {id(node) for loop in inside for node in own_nodes(getattr(loop, "body", []))}
        for node in own_nodes(self.loop.body):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and node.target.id in self.carried
                and id(node) not in theirs
            ):
                if node.value is None:
                    found.append(Edit(*self._suite.span(node), "pass"))
                else:
                    found.append(Edit(self.module.end(node.target), self.module.end(node.annotation), ""))
        return found

    def _supers(self) -> list[Edit]:
        """`super()` finds its class and instance by the function it stands in, so they are named."""
        first = self.function.parameters[0] if self.function.cls is not None and self.function.parameters else ""
        if not first or self.inside is not None:
            return []
        return [
            Edit(self.module.end(node) - 1, self.module.end(node) - 1, f"__class__, {first}")
            for node in own_nodes(self.loop.body)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "super"
            and not node.args
        ]

    def _site(self) -> list[Edit]:
        lines = self._condition()
        trains = f", trains={self.trains}" if self.trains else ""
        call = f"{self.runtime}.{'fit' if self.root else 'steps'}({self.name}, {self._items()}{trains})"
        if not self.root:
            call = f"yield from {call}"
            if self._catches_stop_iteration():
                call = f"{self.runtime}.result(({call}))"
        if not self.returns and not self.loop.orelse:
            lines.append(call)
        else:
            ended = _fresh("ended", names_in(self._scope_body).all)
            lines.append(f"{ended} = {call}")
            if self.returns:
                value = ended if self.inside is not None else f"{ended}.value"
                lines += [f"if isinstance({ended}, {self.runtime}.Return):", f"    return {value}"]
            if self.loop.orelse:
                lines.append(f"if {ended} is None:")
        text = "".join(f"{self.indent}{line}{self._suite.newline}" for line in lines)
        if self.loop.orelse:
            start, end = self._suite.else_span
            return [Edit(start, end, text.lstrip(" \t").rstrip("\r\n"))]
        line = self._suite.last_line
        if line >= len(self.module.lines):
            at = len(self.module.text.encode())
            ends = self.module.lines[-1].endswith((b"\n", b"\r"))
            return [Edit(at, at, text if ends else self._suite.newline + text.rstrip("\r\n"))]
        at = self.module.offset(line + 1, 0)
        return [Edit(at, at, text)]

    def _items(self) -> str:
        if isinstance(self.loop, ast.For):
            source = self.module.source(self.loop.iter)
            bare = _is_bare_tuple(self.loop.iter) or isinstance(self.loop.iter, ast.NamedExpr)
            return f"({source})" if bare else source
        if isinstance(self.loop.test, ast.Constant) and self.loop.test.value:
            return f"{self.runtime}.endless()"
        test = self._condition_name if self.tested else f"lambda: {self.module.source(self.loop.test)}"
        return f"{self.runtime}.while_({test})"

    @property
    def _condition_name(self) -> str:
        return _fresh(f"{self.name}_condition", names_in(self._scope_body).all)

    def _condition(self) -> list[str]:
        """A function for a condition that binds names: in a lambda they would be its own."""
        if not self.tested or not isinstance(self.loop, ast.While):
            return []
        words = zip(("global", "nonlocal"), self._declared(self.tested), strict=True)
        claims = [f"    {word} {', '.join(names)}" for word, names in words if names]
        return [f"def {self._condition_name}():", *claims, f"    return ({self.module.source(self.loop.test)})"]

    def _catches_stop_iteration(self) -> bool:
        """Whether a `try` around the loop, in its own function, may catch what no generator lets through."""
        for node in self.function.own:
            if isinstance(node, ast.Try) and any(self.loop is inner for part in node.body for inner in ast.walk(part)):
                for handler in node.handlers:
                    kinds = ast.unparse(handler.type) if handler.type else "Exception"
                    if any(kind in kinds for kind in ("StopIteration", "Exception")):
                        return True
        return False


def _fresh(name: str, used: set[str]) -> str:
    candidate, count = name, 1
    while candidate in used:
        count += 1
        candidate = f"{name}_{count}"
    return candidate


def _is_bare_tuple(node: ast.expr) -> bool:
    """A tuple without parentheses of its own."""
    if not isinstance(node, ast.Tuple) or not node.elts:
        return False
    first = node.elts[0]
    return (node.lineno, node.col_offset) == (first.lineno, first.col_offset) and not (
        isinstance(first, ast.Tuple) and len(node.elts) == 0
    )


def _bound_outside(outlined: Collection[int], body: list[ast.stmt]) -> set[str]:
    """Names that some statements bind in their own scope; what outlined loops bind is no longer bound there."""
    skip: set[int] = set()
    for statement in body:
        for node in ast.walk(statement):
            if id(node) in outlined:
                skip |= {id(part) for part in getattr(node, "body", [])}
                skip |= {id(getattr(node, "target", None)), id(getattr(node, "test", None))}
    names = names_in(body, skip)
    return names.assigned | names.nonlocals
