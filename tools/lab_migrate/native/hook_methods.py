"""What a method of a hook asks of Lab's trainer, told from its source; what cannot be told is refused."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence, Set

import attrs

from lab_bridge.config.places import Place
from lab_bridge.config.schema import Builder
from lab_migrate.native.hook_helpers import Helper, called_here, parameter_for
from lab_migrate.native.own_generators import draws_of, own_generators
from lab_migrate.native.rates import reads_rates, set_here, sets_rates
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.saved import MAY_SAVE, saves

__all__ = ["METHODS", "Form", "Method", "calls_above", "may_draw", "refused", "require_told"]


@attrs.frozen
class Form:
    """Lightning's method in the place of a hook's; `within` tells a batch inside of a step of COUNT batches.

    `metrics` is the module's attribute for what Lab gave the hook.
    """

    name: str
    within: str = ""
    metrics: str = ""


METHODS = {
    "before_train": Form("on_train_start"),
    "before_step": Form("on_train_batch_start", "batch_idx % COUNT"),
    "after_step": Form("on_train_batch_end", "(batch_idx + 1) % COUNT", "metrics"),
    "after_eval": Form("on_validation_end", metrics="evaluated"),
    "after_train": Form("on_train_end"),
}
ASKED = {"optimizer", "step", "steps", "model", "objective", "log", "ema", "run_dir", "device", "seed", "save"}
MAY_STOP = {"before_step", "after_step", "after_eval"}
#: Gradients are zeroed at another time; what else needs autograd would find other ones.
GRADIENTS = {"grad", "backward", "requires_grad", "requires_grad_", "autograd"}
COPIES = ("copy.deepcopy", "deepcopy")
#: Names of Lightning's in a callback's methods; a method may give the latter values of its own.
TAKEN = {"pl_module", "outputs", "batch", "batch_idx"}
ARGUMENTS = {"outputs", "batch", "batch_idx"}
CALLBACKS = ("on_", "setup", "teardown", "state_dict", "load_state_dict", "state_key")
#: Calls that draw no random numbers.
DRAWLESS = {
    "abs", "bool", "dict", "enumerate", "float", "getattr", "hasattr", "int", "isinstance", "len", "list", "max", "min",
    "print", "range", "reversed", "round", "set", "setattr", "sorted", "str", "super", "tuple", "type", "zip",
}  # fmt: skip
DRAWLESS_METHODS = {
    "abs", "abs_", "add", "add_", "addcdiv_", "addcmul_", "all", "amax", "amin", "any", "append", "arange", "argmax",
    "argmin", "argsort", "bool", "buffers", "cat", "ceil", "children", "chunk", "clamp", "clamp_", "clone",
    "contiguous", "copy_", "cos", "count_nonzero", "cpu", "cumsum", "detach", "diagonal", "diff", "dim", "div", "div_",
    "double", "endswith", "eq", "eval", "exp", "exp_", "expand", "fill_", "flatten", "flip", "float", "floor", "format",
    "full", "gather", "ge", "get", "get_submodule", "gt", "half", "index_select", "int", "is_floating_point",
    "isfinite", "isinf", "isnan", "item", "items", "join", "keys", "le", "lerp", "lerp_", "linspace", "log", "long",
    "lt", "masked_fill", "masked_fill_", "max", "mean", "median", "min", "modules", "mul", "mul_", "named_buffers",
    "named_children", "named_modules", "named_parameters", "narrow", "ne", "neg", "no_grad", "norm", "numel", "numpy",
    "ones", "ones_like", "parameters", "permute", "pow", "pow_", "prod", "relative_to", "repeat", "reshape", "roll",
    "rsqrt", "scatter_", "sigmoid", "sign", "sin", "size", "sort", "split", "sqrt", "sqrt_", "square", "squeeze",
    "stack", "startswith", "std", "sub", "sub_", "sum", "tanh", "tensor", "to", "tolist", "train", "transpose", "trunc",
    "unbind", "unsqueeze", "values", "var", "view", "where", "zero_", "zeros", "zeros_like",
}  # fmt: skip


@attrs.frozen
class Method:
    """The name that a method gives Lab's trainer, the names of what it takes of the module, and whether it logs.

    `has_model` is whether it asks for the model, behind an evaluation; `has_norm`, for the norm of a step's gradients;
    `has_groups`, for the optimizer's groups themselves, whose rates the hook sets. `saves_evaluated` is whether it
    writes a checkpoint behind an evaluation.
    """

    trainer: str = ""
    named: Mapping[str, str] = attrs.field(factory=dict)
    logs: bool = False
    has_model: bool = False
    has_norm: bool = False
    has_groups: bool = False
    saves_evaluated: bool = False

    @property
    def asks(self) -> Sequence[str]:
        """What of the module it takes."""
        more = [*(["model"] if self.has_model else []), *(["norm"] if self.has_norm else [])]
        more += ["groups"] if self.has_groups else []
        more += ["checkpoint"] if self.saves_evaluated else []
        return (*self.named.values(), *more)


def refused(builder: Builder, line: int, what: str) -> NotNativeError:
    """Why a hook has no native form, and where that stands."""
    return NotNativeError(
        "LM405", f"the hook {builder.name} {what}, which has no form as a callback yet",
        "write it as a lightning.Callback after the conversion, and drop it from the config before",
        Place(builder.place.file, line),
    )  # fmt: skip


def require_told(
    builder: Builder,
    name: str,
    node: ast.FunctionDef,
    methods: Mapping[str, ast.FunctionDef],
    is_drawless: Callable[[ast.Call, str], bool],
    helpers: Mapping[str, Helper],
) -> Method:
    """Read a method. Raises `NotNativeError` at what Lightning has no counterpart for.

    `helpers` are methods that the trainer is handed to; `is_drawless` tells of calls, in a method of that name, of what
    the hook is given that they draw nothing.
    """
    if name in ("after_batch", "after_save"):
        raise refused(builder, node.lineno, f"has {name}")
    if name.startswith(CALLBACKS):
        raise refused(builder, node.lineno, f"has {name}, which Lightning would call")
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and inner.attr in GRADIENTS and not _is_of_copy(inner):
            raise refused(builder, inner.lineno, f"asks for {inner.attr} ({ast.unparse(inner)})")
        if _stores_on_self(inner) and inner.attr.startswith(CALLBACKS):  # type: ignore[attr-defined]
            raise refused(builder, node.lineno, f"has {ast.unparse(inner)}, a name of Lightning's")
        called = _called_on_self(inner)
        if called in METHODS:
            raise refused(builder, node.lineno, f"calls its own {called}")
    if name in ("before_step", "__init__", "__post_init__"):
        early = "before a step's first batch, which Lightning has fetched by then"
        _require_drawless(builder, node, methods, early if name == "before_step" else "when it is made", is_drawless)
    if name in METHODS:
        return _told(builder, name, node, methods, helpers)
    given = next((one for key, one in helpers.items() if methods[key] is node), None)
    return Method() if given is None else _told_helper(builder, node, given, methods, helpers)


def calls_above(call: ast.AST, name: str, arguments: Sequence[str]) -> bool:
    """`super().after_step(trainer, metrics)` in a method of that name, with what this was given."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super"), args=[]), attr=attr), keywords=[]):
            return attr == name and [ast.unparse(one) for one in call.args] == list(arguments)
    return False


def _is_of_copy(node: ast.Attribute) -> bool:
    """`copy.deepcopy(model).requires_grad_`: what is done to a copy, or behind `eval()` and `train()` of one."""
    made = node.value
    while isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute) and made.func.attr in ("eval", "train"):
        made = made.func.value
    return node.attr == "requires_grad_" and isinstance(made, ast.Call) and ast.unparse(made.func) in COPIES


def _told_helper(
    builder: Builder,
    node: ast.FunctionDef,
    given: Helper,
    methods: Mapping[str, ast.FunctionDef],
    helpers: Mapping[str, Helper],
) -> Method:
    """A method of the hook's own, by the rules of all from which it is reached."""
    parents, asked = _parents(node), set[str]()
    for inner in (part for statement in node.body for part in ast.walk(statement)):
        if isinstance(inner, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            raise refused(builder, inner.lineno, f"defines a function in {node.name}")
        if not isinstance(inner, ast.Name):
            continue
        if inner.id == "pl_module" or (inner.id == "trainer" and given.trainer != "trainer"):
            raise refused(builder, inner.lineno, f"uses the name {inner.id} in {node.name}")
        if inner.id == given.trainer:
            found = {_asked(builder, within, inner, parents, methods, helpers) for within in sorted(given.within)}
            if "optimizer" in found and "before_step" in given.within:
                raise refused(builder, inner.lineno, f"asks for the optimizer in {node.name}, before a step as well")
            asked |= found
    return _method(given.trainer, {}, asked, "after_eval" in given.within)


def _told(
    builder: Builder,
    name: str,
    node: ast.FunctionDef,
    methods: Mapping[str, ast.FunctionDef],
    helpers: Mapping[str, Helper],
) -> Method:
    arguments = [one.arg for one in node.args.args]
    plain = ast.arguments([], node.args.args, None, [], [], None, [])
    if ast.unparse(plain) != ast.unparse(node.args) or len(arguments) != (3 if METHODS[name].metrics else 2):
        raise refused(builder, node.lineno, f"has {name} with other arguments than Lab gives it")
    if any(ast.unparse(one) != "torch.no_grad()" for one in node.decorator_list):
        raise refused(builder, node.lineno, f"has a decorator on {name}")
    trainer, parents = arguments[1], _parents(node)
    taken, inner_names = TAKEN - (ARGUMENTS & _set_in(node)), set(_of_comprehensions(node))
    asked: set[str] = set()
    used = False
    above = [one for one in ast.walk(node) if calls_above(one, name, arguments[1:])]
    passed = {id(part) for one in above for part in ast.walk(one)}
    for inner in (part for statement in node.body for part in ast.walk(statement)):
        if isinstance(inner, ast.Return) and inner.value is not None:
            raise refused(builder, inner.lineno, f"returns something from {name}")
        if isinstance(inner, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Yield):
            raise refused(builder, inner.lineno, f"defines a function in {name}")
        if not isinstance(inner, ast.Name) or (inner.id in ARGUMENTS and inner in inner_names) or id(inner) in passed:
            continue
        if inner.id in taken or inner.id == "super" or (inner.id == "trainer" and trainer != "trainer"):
            raise refused(builder, inner.lineno, f"uses the name {inner.id} in {name}")
        if inner.id == trainer:
            asked.add(_asked(builder, name, inner, parents, methods, helpers))
        if len(arguments) == 3 and inner.id == arguments[2]:
            _require_read(builder, inner, parents, methods, frozenset({name}))
            used = True
    named = {arguments[2]: METHODS[name].metrics} if used else {}
    return _method(trainer, named, asked, name == "after_eval")


def _method(trainer: str, named: Mapping[str, str], asked: Set[str], evaluated: bool) -> Method:
    """By what of the trainer is `asked` in it; `evaluated` is whether it is called behind an evaluation."""
    return Method(
        trainer,
        named,
        logs="log" in asked,
        has_model=evaluated and "model" in asked,
        has_norm="norm" in asked,
        has_groups="groups" in asked,
        saves_evaluated=evaluated and "save" in asked,
    )


def _asked(
    builder: Builder,
    name: str,
    node: ast.Name,
    parents: Mapping[ast.AST, ast.AST],
    methods: Mapping[str, ast.FunctionDef],
    helpers: Mapping[str, Helper],
) -> str:
    """What of the trainer is asked here. Raises for what has no counterpart."""
    asked = parents[node]
    statement = parents.get(asked)
    call = statement if isinstance(asked, ast.keyword) else asked
    if isinstance(call, ast.Call) and called_here(call.func) in {key.rpartition(".")[2] for key in helpers}:
        return "handed on"
    if not isinstance(asked, ast.Attribute):
        raise refused(builder, node.lineno, f"hands Lab's trainer on: {ast.unparse(asked)}")
    said = f"asks Lab's trainer for {asked.attr}: {ast.unparse(statement or asked)}"
    if asked.attr not in ASKED:
        raise refused(builder, node.lineno, said)
    if asked.attr == "optimizer" and name == "after_step" and ast.unparse(statement or asked).endswith(".last_norm"):
        return "norm"
    if asked.attr == "optimizer" and sets_rates(methods.values()) and reads_rates(asked, parents, sets=True):
        return "groups"
    if asked.attr == "optimizer":
        changed = set_here(asked, parents)
        if changed is not None:
            text = f"changes Lab's optimizer, where Lightning's schedule has its own settings: {ast.unparse(changed)}"
            raise refused(builder, changed.lineno, text)
        if name not in ("before_step", "after_step") or not reads_rates(asked, parents):
            raise refused(builder, node.lineno, said)
    elif asked.attr == "save":
        if name not in MAY_SAVE or not saves(asked, parents):
            raise refused(builder, node.lineno, f"{said}, in {name}")
    elif asked.attr == "log":
        if not isinstance(statement, ast.Call) or statement.func is not asked or statement.keywords:
            raise refused(builder, node.lineno, said)
    elif not isinstance(asked.ctx, ast.Load):
        stops = isinstance(statement, ast.Assign) and ast.unparse(statement.value) == f"{node.id}.step"
        if asked.attr != "steps" or not stops or name not in MAY_STOP:
            raise refused(builder, node.lineno, f"changes Lab's trainer: {ast.unparse(statement or asked)}")
    return asked.attr


def _require_read(
    builder: Builder,
    node: ast.Name,
    parents: Mapping[ast.AST, ast.AST],
    methods: Mapping[str, ast.FunctionDef],
    seen: frozenset[str],
) -> None:
    """Metrics are looked at, not changed: Lab logs afterwards what a hook puts there.

    Methods of the hook's own that they are handed to are read, too.
    """
    use, around = parents[node], None
    if isinstance(use, ast.keyword):
        use = parents[use]
    around = parents.get(use)
    match use:
        case ast.Subscript(ctx=ast.Load()) | ast.Compare() | ast.Attribute(attr="get" | "items" | "keys" | "values"):
            return
        case ast.Call(func=ast.Name(id="dict" | "len" | "list" | "sorted")) | ast.Call(func=ast.Attribute(attr="log")):
            return
        case ast.Call(func=ast.Attribute() as called) if _called_on_self(called) not in {"", *seen}:
            own = _called_on_self(called)
            found = [one for key, one in methods.items() if key == own or key.endswith(f".{own}")]
            names = [parameter_for(node, use, one) for one in found]
            if found and all(names):
                for one, name in zip(found, names, strict=True):
                    inner = _parents(one)
                    for part in (part for part in ast.walk(one) if isinstance(part, ast.Name) and part.id == name):
                        _require_read(builder, part, inner, methods, seen | {own})
                return
    raise refused(builder, node.lineno, f"does more with its metrics than look at them: {ast.unparse(around or use)}")


def _require_drawless(
    builder: Builder,
    node: ast.FunctionDef,
    methods: Mapping[str, ast.FunctionDef],
    when: str,
    is_drawless: Callable[[ast.Call, str], bool],
) -> None:
    generators = own_generators(node) | _generators_of_itself(methods)
    for inner in ast.walk(node):
        if not isinstance(inner, ast.Call):
            continue
        if calls_above(inner, node.name, [one.arg for one in node.args.args[1:]]):
            continue  # which is read as well
        own = _called_on_self(inner.func)
        if own in methods and methods[own] is not node:
            _require_drawless(builder, methods[own], methods, when, is_drawless)
            continue
        if may_draw(inner) and not draws_of(inner, generators) and not is_drawless(inner, node.name):
            raise refused(builder, inner.lineno, f"calls {ast.unparse(inner.func)} {when}: it may draw")


def _generators_of_itself(methods: Mapping[str, ast.FunctionDef]) -> set[str]:
    """Attributes that are never anything but a generator of the hook's own."""
    return {name for name in own_generators(ast.Module([*methods.values()], [])) if name.startswith("self.")}


def may_draw(call: ast.Call) -> bool:
    """Whether a call is none of those that are known to draw no random numbers."""
    match call.func:
        case ast.Name(id=name):
            return name not in DRAWLESS and not name.endswith("Error")
        case ast.Attribute(attr="__init__", value=ast.Call(func=ast.Name(id="super"))):
            return False
        case ast.Attribute(attr=name):
            return name not in DRAWLESS_METHODS
    return True


def _stores_on_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"


def _set_in(node: ast.FunctionDef) -> set[str]:
    """Names that are a method's own from its first line on, since it gives them values."""
    inner = {part for one in ast.walk(node) if isinstance(one, ast.comprehension) for part in ast.walk(one.target)}
    found = (part for part in ast.walk(node) if isinstance(part, ast.Name) and part not in inner)
    return {part.id for part in found if isinstance(part.ctx, ast.Store)}


def _of_comprehensions(node: ast.FunctionDef) -> Iterator[ast.Name]:
    """Names that comprehensions give values of their own; what their first loop goes over is outside of them."""
    for whole in ast.walk(node):
        if not isinstance(whole, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            continue
        targets = {part.id for one in whole.generators for part in ast.walk(one.target) if isinstance(part, ast.Name)}
        outside = set(ast.walk(whole.generators[0].iter))
        for part in ast.walk(whole):
            if isinstance(part, ast.Name) and part.id in targets and part not in outside:
                yield part


def _called_on_self(node: ast.AST) -> str:
    """`name` of `self.name`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return ""


def _parents(node: ast.AST) -> Mapping[ast.AST, ast.AST]:
    return dict(_pairs(node))


def _pairs(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    for parent in ast.walk(node):
        for child in ast.iter_child_nodes(parent):
            yield child, parent
