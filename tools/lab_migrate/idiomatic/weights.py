"""Whether a model's forward pass uses each weight once: Lightning's autocast then gives the gradients of torch's own.

`torch.autocast` keeps the low-precision copy of a weight, so a weight that is used twice gets the sum of two gradients
in low precision. Lightning turns that cache off (its issue #21611), and sums in full precision.
"""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Class, Function, dotted
from lab_migrate.idiomatic.made import made_by
from lab_migrate.idiomatic.nest import Nest

#: Layers of torch.nn that use their own weights once, or have none.
_LAYERS = frozenset(
    """
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AvgPool1d AvgPool2d
    BatchNorm1d BatchNorm2d BatchNorm3d Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Dropout
    Dropout1d Dropout2d ELU Embedding Flatten GELU GroupNorm Hardswish Identity InstanceNorm1d InstanceNorm2d LayerNorm
    LeakyReLU Linear LogSoftmax MaxPool1d MaxPool2d Mish PReLU PixelShuffle RMSNorm ReLU ReLU6 SELU SiLU Sigmoid Softmax
    Softplus Tanh Unflatten Upsample ZeroPad2d
""".split()  # noqa: SIM905
)
#: What an attribute that holds no module may be given.
_PLAIN = (ast.Constant, ast.Name, ast.BinOp, ast.Compare, ast.Subscript, ast.UnaryOp)
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")


def used_twice(model: str, nest: Nest, graph: CallGraph) -> str:
    """Why it cannot be told that the model's weights are used once in a forward pass; empty where they are."""
    made = made_by(model, nest.base)
    if made is None:
        return f"where {model} is made cannot be told"
    return _value(made.call, made.owner, graph, ())


def _value(value: ast.expr, owner: Function, graph: CallGraph, seen: tuple[Class, ...]) -> str:
    """What a module is made by."""
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in ("to", "cuda"):
        value = value.func.value
    if isinstance(value, ast.IfExp):
        return _value(value.body, owner, graph, seen) or _value(value.orelse, owner, graph, seen)
    if not isinstance(value, ast.Call):
        return f"what {ast.unparse(value)[:40]} is cannot be told"
    full = _full(owner, value.func)
    last = full.rpartition(".")[2]
    if full.startswith("torch.nn"):
        if last in _LAYERS:
            return ""
        if last in _CONTAINERS:
            parts = value.args[0].elts if value.args and isinstance(value.args[0], ast.List) else value.args
            return next((why for part in parts if (why := _value(part, owner, graph, seen))), "")
        return f"torch.nn.{last} may use a weight twice"
    classes = graph.types(owner, value)
    if len(classes) != 1:
        return f"what {dotted(value.func) or ast.unparse(value)[:40]}() makes cannot be told"
    return _class(classes[0], graph, seen)


def _class(cls: Class, graph: CallGraph, seen: tuple[Class, ...]) -> str:
    forward = cls.methods.get("forward")
    if cls in seen or forward is None or len(cls.bases) != 1 or not cls.bases[0].endswith("Module"):
        return f"{cls.name} is no plain module"
    uses: dict[str, int] = {}
    why = _uses(forward, cls, uses, ())
    if why:
        return why
    for name in uses:
        values = cls.attributes.get(name, [])
        if all(isinstance(value, _PLAIN) for _, value in values) and name not in _run(cls):
            continue
        if len(values) != 1 or uses[name] > 1:
            return f"{cls.name}.forward() may use self.{name} more than once"
        for method, value in values:
            if isinstance(value, ast.Call) and _full(method, value.func) == "torch.nn.Parameter":
                continue
            if why := _value(value, method, graph, (*seen, cls)):
                return why
    return ""


def _run(cls: Class) -> set[str]:
    """Attributes that are called, iterated over, indexed, looked into or multiplied by: no plain numbers."""
    found: set[str] = set()
    for method in cls.methods.values():
        for node in ast.walk(method.node) if method.name != "__init__" else ():
            parts: list[ast.expr] = []
            if isinstance(node, ast.Call):
                given = node.args if dotted(node.func).startswith(("F.", "torch.", "nn.")) else []
                parts = [node.func, *given]
            elif isinstance(node, ast.For):
                parts = [node.iter]
            elif isinstance(node, ast.Subscript | ast.Attribute):
                parts = [node.value]
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
                parts = [node.left, node.right]
            found |= {part.attr for part in parts if isinstance(part, ast.Attribute)}
    return found


def _full(owner: Function, func: ast.expr) -> str:
    """The full name of what is called, by the file's imports."""
    head, _, rest = dotted(func).partition(".")
    full = owner.module.symbols.imports.get(head, "")
    return f"{full}.{rest}" if full and rest else full


def _uses(method: Function, cls: Class, uses: dict[str, int], within: tuple[str, ...]) -> str:
    """Count `self.name` in a method and in those that it calls; why it cannot be counted, where it runs in a loop."""
    this = method.parameters[0] if method.parameters else ""
    inside = _repeated(method)
    for node in ast.walk(method.node):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name) or node.value.id != this:
            continue
        own = cls.methods.get(node.attr)
        if own is None:
            uses[node.attr] = uses.get(node.attr, 0) + (2 if id(node) in inside else 1)
            continue
        if id(node) in inside or node.attr in within:
            return f"{cls.name}.{node.attr}() may run more than once in a forward pass"
        if why := _uses(own, cls, uses, (*within, node.attr)):
            return why
    if any(isinstance(node, ast.Name) and node.id == this and id(node) not in _receivers(method)
           for node in ast.walk(method.node)):  # fmt: skip
        return f"{cls.name}.{method.name}() hands itself on"
    if isinstance(method.node, ast.FunctionDef) and _calls_loop_variable_twice(method.node):
        return f"a layer in a loop of {cls.name}.{method.name}() may run more than once"
    return ""


def _repeated(method: Function) -> set[int]:
    """Nodes that may run more than once a call: in a loop, less what it iterates over, or in an inner function."""
    found: set[int] = set()
    for node in ast.walk(method.node):
        parts: list[ast.AST] = []
        if isinstance(node, ast.For):
            parts = [*node.body, *node.orelse]
        elif isinstance(
            node, ast.While | ast.Lambda | ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp
        ) or (isinstance(node, ast.FunctionDef) and node is not method.node):
            parts = [node]
        found |= {id(inner) for part in parts for inner in ast.walk(part)}
    return found


def _receivers(method: Function) -> set[int]:
    return {id(node.value) for node in ast.walk(method.node) if isinstance(node, ast.Attribute)}


def _calls_loop_variable_twice(function: ast.FunctionDef) -> bool:
    for loop in ast.walk(function):
        if isinstance(loop, ast.For):
            names = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
            calls = [
                node.func.id
                for statement in loop.body
                for node in ast.walk(statement)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
            ]
            nested = any(isinstance(node, ast.For | ast.While) for part in loop.body for node in ast.walk(part))
            if len(calls) != len(set(calls)) or (calls and nested):
                return True
    return False
