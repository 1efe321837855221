"""What a checkpoint that is loaded with `weights_only=True` holds: numbers, texts, tensors, and containers of such.

What numpy computes is a number of numpy's own, which it does not hold; `float()` of it does.
"""

from __future__ import annotations

import ast
import enum

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.mentions import targets_of
from lab_migrate.idiomatic.nest import Nest

__all__ = ["Kind", "Values", "arguments_of", "worst"]


class Kind(enum.Enum):
    """What an expression gives."""

    PLAIN = "plain"  #: what a checkpoint holds
    NUMBER = "number"  #: a number of numpy's
    MODULE = "module"  #: what a checkpoint holds by its `state_dict`
    UNKNOWN = "unknown"


_ANYTHING = {"float", "int", "len", "str", "bool", "repr", "round", "format", "range"}
_OF_ARGUMENTS = {"min", "max", "sum", "abs", "sorted", "list", "tuple", "dict", "set", "zip", "enumerate"}
#: Methods that give plain values, and those of tensors (and of plain values) that give such again.
_GIVES = {
    "clone",
    "detach",
    "item",
    "tolist",
    "get_last_lr",
    "state_dict",
    "format",
    "join",
    "size",
    "numel",
    "time",
    "perf_counter",
}
_AGAIN = set(
    """abs argmax argmin cpu cuda double eq exp float int log long max mean min norm pow sqrt square
    squeeze std sum t to topk unsqueeze view var get""".split()  # noqa: SIM905
)
_ENTRIES = {"append", "appendleft", "add", "extend", "insert", "update"}
#: Packages whose functions give numbers of numpy's.
_NUMPYS = ("numpy.", "sklearn.metrics.", "scipy.stats.")
_OF_NUMPY = ("mean", "average", "sum", "median", "std", "min", "max", "score", "auc", "error", "loss", "r", "corrcoef")

#: Where torch's classes are that are no tensors.
_OBJECTS = ("torch.amp.", "torch.cuda.", "torch.nn.", "torch.optim.", "torch.utils.", "torch.Generator")
_CONTAINERS = (
    ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp, ast.Starred,
)  # fmt: skip

Assigned = list[tuple[ast.expr, Frame] | None]


@attrs.define(eq=False)
class Values:
    """The values that names of a nest are given, and of which kind they are."""

    nest: Nest
    graph: CallGraph
    _assigned: dict[str, Assigned] = attrs.field(factory=dict)
    _filled: dict[str, Assigned] = attrs.field(factory=dict)
    _numbers: set[str] = attrs.field(factory=set)
    #: What is being looked up: a name that is given a value made from its own is what the others are.
    _active: set[str] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        nest = self.nest
        for item in nest.items:
            if item.result is not None and item.base is not None:
                self._target(item.result, item.value, item.base, item.frame)
            else:
                self._read(own_nodes([item.node]), item.frame)
        for loop in nest.loops:
            self._read(own_nodes(loop.body), loop.frame)
            for name in targets_of(loop.frame, loop.target):
                self._assigned.setdefault(name, []).append(None)
            self._numbers |= {loop.frame.canonical(loop.index)} if loop.index else set()
        self._numbers |= {nest.base.canonical(nest.epoch)}
        inside = {id(node) for node in ast.walk(nest.epochs)}
        self._read([node for node in nest.base.function.own if id(node) not in inside], nest.base)

    def assigned(self, name: str) -> Kind:
        """Of what kind is all that a name is given."""
        return self._all(name, self._assigned.get(name, [None]))

    def entries(self, name: str) -> Kind:
        """Of what kind is all that is put into a container."""
        return self._all(f"{name}[]", self._filled.get(name, []))

    def kind(self, node: ast.expr | None, frame: Frame) -> Kind:
        """Of what kind an expression is."""
        if isinstance(node, ast.Constant | ast.JoinedStr):
            return Kind.PLAIN
        if isinstance(node, ast.Name | ast.Attribute):
            return self._name(node, frame)
        if isinstance(node, ast.Call):
            return self._call(node, frame)
        if isinstance(node, ast.Subscript):
            return Kind.PLAIN if "param_groups" in ast.unparse(node.value) else self.kind(node.value, frame)
        inner = worst([self.kind(one, frame) for one in _parts(node)]) if node is not None else Kind.UNKNOWN
        if isinstance(node, ast.Compare):
            return Kind.NUMBER if inner is Kind.NUMBER else Kind.PLAIN
        return Kind.UNKNOWN if inner is Kind.NUMBER and isinstance(node, _CONTAINERS) else inner

    def _name(self, node: ast.Name | ast.Attribute, frame: Frame) -> Kind:
        head, _, rest = dotted(node).partition(".")
        if head in frame.arguments and frame.base is not None and isinstance(node, ast.Name):
            return self.kind(frame.arguments[head], frame.base)
        canonical, full = frame.canonical(node), self._full(node, frame)
        if canonical in self._numbers or full in ("math.inf", "numpy.inf", "numpy.Inf", "torch.inf", "sys.maxsize"):
            return Kind.PLAIN
        if isinstance(node, ast.Attribute) and node.attr in ("data", "T"):
            return self.kind(node.value, frame)
        if isinstance(node, ast.Attribute) and "args" in dotted(node):
            return Kind.PLAIN
        function = frame.function
        is_nests = any(function is one.function for one in self.nest.frames)
        values = list(self._assigned.get(canonical, [])) if is_nests else []
        if function.cls is not None and rest and [head] == function.parameters[:1]:
            made = [pair for one in self.graph.lineage(function.cls) for pair in one.attributes.get(rest, [])]
            values += [(value, frame if method is function else self.called(method)) for method, value in made]
        elif not values and isinstance(node, ast.Name):
            owners = [function, frame.module.symbols.top]
            values = [(value, frame) for owner in owners for value in owner.assigned.get(node.id, [])]
        return self._all(canonical if is_nests else f"{function.qualified}:{canonical}", values or [None])

    def called(self, method: Function) -> Frame:
        """The frame of a method; of one that makes an object, in the one place that does, with what it is given."""
        calls = [call for call in self.graph.callers_of(method) if call.direct] if method.name == "__init__" else []
        if len(calls) != 1 or not isinstance(calls[0].node, ast.Call):
            return Frame(method)
        return Frame(method, Frame(calls[0].caller), arguments_of(method, calls[0].node))

    def _call(self, node: ast.Call, frame: Frame) -> Kind:
        func = node.func
        name, full = dotted(func), self._full(func, frame)
        last = func.attr if isinstance(func, ast.Attribute) else name
        if full.startswith(_OBJECTS) and last[:1].isupper():
            return Kind.UNKNOWN
        if name in _ANYTHING or last in _GIVES or full.startswith(("time.", "torch.", "math.")):
            return Kind.PLAIN
        if full.startswith(_NUMPYS):
            return Kind.NUMBER if full.endswith(_OF_NUMPY) else Kind.UNKNOWN
        if name in _OF_ARGUMENTS:
            return worst([self.kind(one, frame) for one in [*node.args, *(word.value for word in node.keywords)]])
        if full == "copy.deepcopy" and node.args:
            return self.kind(node.args[0], frame)
        if isinstance(func, ast.Attribute) and last in _AGAIN:
            return self.kind(func.value, frame)
        targets = self.graph.targets(frame.function, func)
        returned: Assigned = [
            (one.value, Frame(target)) if one.value is not None else None
            for target in targets
            for one in target.own
            if isinstance(one, ast.Return)
        ]
        if not returned or any(target.name == "__init__" for target in targets):
            return Kind.UNKNOWN
        return self._all(f"{targets[0].qualified}()", returned)

    def _all(self, name: str, values: Assigned) -> Kind:
        if name in self._active:
            return Kind.PLAIN
        self._active.add(name)
        found = worst([Kind.UNKNOWN if one is None else self.kind(*one) for one in values])
        self._active.discard(name)
        return found

    def _read(self, nodes: list[ast.AST], frame: Frame) -> None:
        for node in nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._target(target, node.value, frame, frame)
            elif isinstance(node, ast.AugAssign | ast.AnnAssign) and node.value is not None:
                self._target(node.target, node.value, frame, frame)
            elif isinstance(node, ast.For):
                counts = isinstance(node.iter, ast.Call) and dotted(node.iter.func) == "range"
                self._target(node.target, ast.Constant(0) if counts else None, frame, frame)
            elif isinstance(node, ast.withitem) and node.optional_vars is not None:
                self._target(node.optional_vars, None, frame, frame)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ENTRIES:
                filled = self._filled.setdefault(frame.canonical(_root(node.func.value)), [])
                filled += [(one, frame) for one in [*node.args, *(word.value for word in node.keywords)]]

    def _target(self, target: ast.expr, value: ast.expr | None, frame: Frame, theirs: Frame) -> None:
        """`theirs` is the frame that the value is of."""
        if isinstance(target, ast.Tuple | ast.List):
            several = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
            parts = value.elts if several and isinstance(value, ast.Tuple | ast.List) else [value] * len(target.elts)
            for one, part in zip(target.elts, parts, strict=True):
                self._target(one, part, frame, theirs)
        elif isinstance(target, ast.Subscript):
            entry = (value, theirs) if value is not None else None
            self._filled.setdefault(frame.canonical(_root(target)), []).append(entry)
        elif name := frame.canonical(target):
            self._assigned.setdefault(name, []).append((value, theirs) if value is not None else None)

    def _full(self, node: ast.expr, frame: Frame) -> str:
        head, dot, rest = dotted(node).partition(".")
        return f"{frame.module.symbols.imports.get(head, head)}{dot}{rest}"


def arguments_of(method: Function, call: ast.Call) -> dict[str, ast.expr]:
    """What a call gives a function's parameters; constants that are their defaults where it gives none."""
    is_bound = method.cls is not None and not method.is_static
    names = method.parameters[1:] if is_bound else method.parameters
    given = dict(zip(names, call.args, strict=False)) | {word.arg: word.value for word in call.keywords if word.arg}
    if isinstance(method.node, ast.FunctionDef):
        positional = [arg.arg for arg in [*method.node.args.posonlyargs, *method.node.args.args]]
        defaults = zip(reversed(positional), reversed(method.node.args.defaults), strict=False)
        given = {name: value for name, value in defaults if isinstance(value, ast.Constant)} | given
    return {name: value for name, value in given.items() if not isinstance(value, ast.Starred)}


def _parts(node: ast.expr) -> list[ast.expr | None]:
    """What an expression is made of; nothing known for one that is none of these."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [*node.elts] or [ast.Constant(0)]
    if isinstance(node, ast.Dict):
        return [*node.keys, *node.values] or [ast.Constant(0)]
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.BoolOp):
        return [*node.values]
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
        return [node.elt]
    if isinstance(node, ast.DictComp):
        return [node.value]
    if isinstance(node, ast.Starred):
        return [node.value]
    return [None]


def worst(kinds: list[Kind]) -> Kind:
    """The kind of what is made of several."""
    return Kind.UNKNOWN if Kind.UNKNOWN in kinds else Kind.NUMBER if Kind.NUMBER in kinds else Kind.PLAIN


def _root(node: ast.expr) -> ast.expr:
    """`history` of `history["loss"][0]`."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node
