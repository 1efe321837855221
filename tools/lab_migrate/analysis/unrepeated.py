"""Where a project takes gradients though none of its loops is a training loop: what to say in place of "nothing".

A step that a generator expression, `map` or a library repeats is repeated by no `for` or `while` statement; and a step
in the manner of JAX, whose parameters are values, has no optimizer and changes nothing in place.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

import attrs

from lab_migrate.analysis.by_hand import gradients_given
from lab_migrate.analysis.calls import Call, CallGraph
from lab_migrate.analysis.common_methods import COMMON
from lab_migrate.analysis.events import BACKWARD, STEP, events_of
from lab_migrate.analysis.followed import followed
from lab_migrate.analysis.sources import Project
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.analysis.test_files import is_test

__all__ = ["Unrepeated", "unrepeated_steps", "unseen_update"]

_TRANSFORMS = frozenset(
    f"{package}.{name}" for package in ("torch.func", "functorch") for name in ("grad", "grad_and_value", "vjp")
)


@attrs.frozen(order=True)
class Unrepeated:
    """A place that takes gradients, what it is, and what to do so that it can be converted."""

    path: str
    line: int
    said: str
    next_step: str

    @property
    def place(self) -> str:
        """`path:line`."""
        return f"{self.path}:{self.line}"


def unrepeated_steps(
    project: Project, graph: CallGraph | None = None, files: Collection[str] | None = None
) -> list[Unrepeated]:
    """Of a project, or of some of its files, in which no training loop was found; tests are none of it."""
    graph = graph or CallGraph(project)
    functions = [
        function
        for function in project.functions
        if not is_test(function.path, function.module) and (files is None or function.path in files)
    ]
    steps = any(event.kind == STEP for function in functions for event in events_of(function))
    found = [*_backward_passes(functions, graph)] or [*_given(functions)] if steps else []
    return sorted(found or _transforms(functions))


def unseen_update(project: Project, graph: CallGraph, files: Collection[str]) -> Unrepeated | None:
    """The backward pass that these files repeat, where nothing in them steps: the code, or a library, updates."""
    functions = [function for function in project.functions if function.path in files]
    if any(event.kind == STEP for function in functions for event in events_of(function)):
        return None
    for function in functions:
        event = next((event for event in events_of(function) if event.kind == BACKWARD), None)
        if event is not None and _is_repeated(function, graph):
            return Unrepeated(
                function.path,
                event.line,
                "a backward pass is repeated, and no optimizer's step: what sets the parameters otherwise (the code "
                "itself, scipy) is not followed, and gradients of inputs train nothing",
                "keep this program as it is, or let an optimizer of torch's step a module's parameters",
            )
    return None


def _is_repeated(function: Function, graph: CallGraph) -> bool:
    """Whether a loop calls it, or what calls or holds it, however far up."""

    def above(one: Function) -> list[Function]:
        holder = [one.parent] if one.parent is not None else []
        return [*holder, *(call.caller for call in graph.callers_of(one))]

    return any(_is_in_a_loop(call) for one in followed(function, above) for call in graph.callers_of(one))


def _is_in_a_loop(call: Call) -> bool:
    loops = (node for node in call.caller.own if isinstance(node, ast.For | ast.While))
    return any(call.node is node for loop in loops for node in ast.walk(loop))


def _backward_passes(functions: list[Function], graph: CallGraph) -> Iterator[Unrepeated]:
    for function in functions:
        event = next((event for event in events_of(function) if event.kind == BACKWARD), None)
        if event is None:
            continue
        said = "a backward pass that no `for` or `while` of the project repeats together with an optimizer's step"
        if function.parent is None:
            yield Unrepeated(
                function.path, event.line, said, "repeat the step by a `for` or `while` statement, and convert again"
            )
            continue
        where = _where_used(function, functions, graph)
        unknown = "cannot be found by its name" if function.name in COMMON else "is called by nobody"
        then = f"; {function.qualified} {f'is used at {where}' if where else unknown}"
        yield Unrepeated(
            function.path,
            event.line,
            said + then,
            f"call {function.qualified} in a `for` or `while` statement{f' at {where}' if where else ''}, "
            "and convert again",
        )


def _given(functions: list[Function]) -> Iterator[Unrepeated]:
    """Gradients that one function gives the parameters, and another's optimizer steps by."""
    for function in functions:
        given = next(gradients_given(function.own), None)
        if given is not None:
            yield Unrepeated(
                function.path,
                given.lineno,
                f"parameters are given their gradients here ({ast.unparse(given)}), and no backward pass is run: steps "
                "by such gradients are followed only where torch.autograd.grad takes them in the step's own function",
                "keep this program as it is, or take and give the gradients where the optimizer steps",
            )


def _where_used(function: Function, functions: list[Function], graph: CallGraph) -> str:
    """The first place that calls it, or names it to hand it over."""
    calls = graph.callers_of(function)
    if calls:
        return f"{calls[0].caller.path}:{calls[0].line}"
    if function.name in COMMON:
        # `log.update(…)`, `tensor.item()`: of such a name any place may be another object's.
        return ""
    for other in functions:
        for node in other.own:
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if name == function.name and isinstance(getattr(node, "ctx", None), ast.Load):
                return f"{other.path}:{getattr(node, 'lineno', other.line)}"
    return ""


def _transforms(functions: list[Function]) -> Iterator[Unrepeated]:
    for function in functions:
        for node in function.own:
            if not isinstance(node, ast.Call):
                continue
            head, _, rest = dotted(node.func).partition(".")
            full = function.module.symbols.imports.get(head, head) + (f".{rest}" if rest else "")
            if full in _TRANSFORMS:
                yield Unrepeated(
                    function.path,
                    node.lineno,
                    f"gradients by {full}: parameters that are values, which no optimizer steps and no code changes in "
                    "place, are not followed",
                    "keep this training as it is, or let an optimizer of torch's step a module's parameters",
                )
                break
