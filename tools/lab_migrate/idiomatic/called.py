"""What the parameters of a function mean where it is called."""

from __future__ import annotations

import ast

from lab_migrate.analysis.calls import Call
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.findings import shown
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.refused import no_nest

#: Decorators that a function's code does without in a hook: training has gradients there, a validation none.
_OF_TRAINING = frozenset(["staticmethod", "torch.enable_grad"])
_OF_VALIDATION = frozenset(["staticmethod", "torch.no_grad", "torch.inference_mode"])


def frame_of(call: Call, base: Frame, validates: bool = False) -> Frame:
    """The frame of a call's function. Raises `NotIdiomaticError` where an argument cannot be told, or it is wrapped."""
    node = call.node
    assert isinstance(node, ast.Call)
    function = call.targets[0]
    _refuse_decorators(function, _OF_VALIDATION if validates else _OF_TRAINING)
    parameters = list(function.parameters)
    arguments: dict[str, ast.expr] = {}
    if function.cls is not None and not function.is_static and isinstance(node.func, ast.Attribute):
        arguments[parameters.pop(0)] = node.func.value
    if any(isinstance(arg, ast.Starred) for arg in node.args) or any(word.arg is None for word in node.keywords):
        raise no_nest(base.function, node, "its arguments are passed with a star")
    if not isinstance(function.node, ast.FunctionDef) or function.node.args.vararg or function.node.args.kwarg:
        raise no_nest(function, function.node, "it takes any arguments")
    arguments |= dict(zip(parameters, node.args, strict=False))
    arguments |= {word.arg: word.value for word in node.keywords if word.arg}
    positional = [arg.arg for arg in [*function.node.args.posonlyargs, *function.node.args.args]]
    defaults = dict(zip(reversed(positional), reversed(function.node.args.defaults), strict=False))
    named = zip(function.node.args.kwonlyargs, function.node.args.kw_defaults, strict=True)
    defaults |= {arg.arg: value for arg, value in named if value is not None}
    for name, value in defaults.items():
        if name not in arguments:
            if not isinstance(value, ast.Constant):
                raise no_nest(function, function.node, f"the default of {name} is no constant")
            arguments[name] = value
    frame = Frame(function, base, arguments)
    reassigned = sorted(
        {node.id for node in function.own if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        & set(arguments)
    )
    if reassigned:
        raise no_nest(function, function.node, f"it gives its parameter {reassigned[0]} another value")
    _refuse_namesakes(function, frame, base)
    return frame


def _refuse_namesakes(function: Function, frame: Frame, base: Frame) -> None:
    """In a hook a name means one thing: a global one of the function's must be no local one where it is called."""
    if base.is_script or function.parent is base.function:
        return
    names = names_in(function.body)
    both = sorted(((names.read | names.captured | names.globals_) - frame.bound - set(frame.arguments)) & base.bound)
    if both:
        raise no_nest(
            function, function.node, f"{both[0]} is a global name there, and one of {base.function.qualified}'s own"
        )


def returns_early(function: Function) -> bool:
    """Whether a function may return before its last statement."""
    returns = [node for node in function.own if isinstance(node, ast.Return)]
    return any(node is not function.body[-1] for node in returns)


def _refuse_decorators(function: Function, known: frozenset[str]) -> None:
    """Code that moves into hooks is not called as a function, so that what a decorator does around it would be lost."""
    imports = function.module.symbols.imports
    for decorator in getattr(function.node, "decorator_list", []):
        head, dot, rest = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator).partition(".")
        if f"{imports.get(head, head)}{dot}{rest}" not in known:
            raise no_nest(function, decorator, f"{function.qualified} is wrapped by @{shown(decorator)}")


def refuse_other_mentions(call: Call) -> None:
    """A function whose code moves into hooks is gone: `train.steps += 1` would have nothing to count in."""
    assert isinstance(call.node, ast.Call)
    function = call.targets[0]
    if function.cls is not None:
        return
    for node in ast.walk(function.module.tree):
        if isinstance(node, ast.Name) and node.id == function.name and node is not call.node.func:
            raise no_nest(function, node, f"{function.qualified} is mentioned elsewhere than where it is called")
