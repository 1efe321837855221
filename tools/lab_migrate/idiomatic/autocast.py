"""`torch.autocast` around statements, and which statements do not mind one."""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.idiomatic.frame import Frame

_AUTOCASTS = ("torch.autocast", "torch.amp.autocast", "torch.cuda.amp.autocast", "torch.amp.autocast_mode.autocast")
_DTYPES = {"bfloat16": "bf16-mixed", "float16": "16-mixed", "half": "16-mixed"}
#: Calls that autocast does not touch, whatever they are given.
_UNTOUCHED = frozenset(
    """
    add_scalar append cpu cuda debug detach eq extend float format get_last_lr info int isinstance item len log numpy
    perf_counter print range round set_description set_postfix size str time to tolist update view write zip
""".split()  # noqa: SIM905
)


@attrs.frozen(eq=False)
class Autocast:
    """`with autocast(…):` as a statement; `dtype` is Lightning's name, empty where it cannot be told.

    `device` is None where the call says CUDA by its name.
    """

    node: ast.With
    dtype: str
    device: ast.expr | None
    enabled: ast.expr | None


def autocasts(body: list[ast.stmt], frame: Frame) -> list[Autocast]:
    """Those of some statements."""
    return [found for node in body if isinstance(node, ast.With) and (found := _autocast(node, frame)) is not None]


def is_autocast(node: ast.With, frame: Frame) -> bool:
    """Whether a `with` is one."""
    calls = [item.context_expr for item in node.items]
    return any(isinstance(call, ast.Call) and full_name(call.func, frame) in _AUTOCASTS for call in calls)


def _autocast(node: ast.With, frame: Frame) -> Autocast | None:
    if not is_autocast(node, frame):
        return None
    call = node.items[0].context_expr
    assert isinstance(call, ast.Call)
    full = full_name(call.func, frame)
    names = ["enabled", "dtype"] if full == "torch.cuda.amp.autocast" else ["device_type", "dtype", "enabled"]
    given = dict(zip(names, call.args, strict=False)) | {word.arg: word.value for word in call.keywords if word.arg}
    device = given.get("device_type")
    dtype = _DTYPES.get(dotted(given["dtype"]).rpartition(".")[2], "") if "dtype" in given else ""
    says = device is None or (isinstance(device, ast.Constant) and device.value == "cuda")
    if "dtype" not in given:
        on_cpu = isinstance(device, ast.Constant) and device.value == "cpu"
        dtype = "16-mixed" if says else "bf16-mixed" if on_cpu else ""
    if len(node.items) != 1 or node.items[0].optional_vars is not None or set(given) - {"device_type", *names}:
        dtype = ""
    enabled = given.get("enabled")
    if isinstance(enabled, ast.Constant) and enabled.value is True:
        enabled = None
    return Autocast(node, dtype, None if says else device, enabled)


def is_untouched(node: ast.AST) -> bool:
    """Whether a statement computes the same under an autocast."""
    for one in own_nodes([node]):  # type: ignore[list-item]
        if isinstance(one, ast.Call) and dotted(one.func).rpartition(".")[2] not in _UNTOUCHED:
            last = one.func.attr if isinstance(one.func, ast.Attribute) else ""
            if last not in _UNTOUCHED and not _counts(one):
                return False
        if isinstance(one, ast.BinOp) and isinstance(one.op, ast.MatMult):
            return False
    return True


def _counts(call: ast.Call) -> bool:
    """`(a == b).sum()`, `a.eq(b).sum()`, `a.argmax(1)`: whole numbers."""
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr in ("argmax", "max", "topk"):
        return True
    inner = call.func.value
    compares = isinstance(inner, ast.Compare) or (
        isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr == "eq"
    )
    return call.func.attr == "sum" and compares


def full_name(func: ast.expr, frame: Frame) -> str:
    """The full name of what is called, by the file's imports."""
    head, _, rest = dotted(func).partition(".")
    return ".".join(filter(None, [frame.module.symbols.imports.get(head, head), rest]))
