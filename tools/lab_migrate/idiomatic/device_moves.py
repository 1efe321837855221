"""Moves of models and losses to the device, which Lightning does, and how a statement is taken out."""

from __future__ import annotations

import ast

from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.sources import Module
from lab_migrate.analysis.symbols import dotted
from lab_migrate.convert.rule import Edit
from lab_migrate.idiomatic.accelerator import cuda_conditions
from lab_migrate.idiomatic.elsewhere import runs_after, runs_before
from lab_migrate.idiomatic.made import made_by
from lab_migrate.idiomatic.moves import is_device
from lab_migrate.idiomatic.write import Writer


def device_moves(writer: Writer) -> list[Edit]:
    """`Net().to(device)` becomes `Net()`, and `model.to(device)` goes, where nothing runs the model before."""
    module, base = writer.base.module, writer.base
    edits: list[Edit] = []
    gone: set[int] = set()
    # Where no condition tells the device, the models' own does: they are moved as before.
    kept = writer.roles.models if cuda_conditions(writer.nest, writer.roles) is None else []
    for name in [*writer.roles.models, *_losses(writer)]:
        if name in kept:
            continue
        for node in base.function.own:
            if isinstance(node, ast.Expr | ast.Assign) and runs_before(name, writer.nest, node.end_lineno or 0):
                continue
            if isinstance(node, ast.Expr) and _is_move(node.value, writer) and _receiver(node.value) == name:
                gone.add(id(node))
            elif isinstance(node, ast.Assign) and len(node.targets) == 1 and dotted(node.targets[0]) == name:
                value = node.value
                if not _is_move(value, writer):
                    continue
                assert isinstance(value, ast.Call)
                assert isinstance(value.func, ast.Attribute)
                if _receiver(value) == name:
                    gone.add(id(node))
                else:
                    edits.append(Edit(module.end(value.func.value), module.end(value), ""))
    return [*edits, *_gone(module, base.function.body, gone)]


def removed(module: Module, node: ast.stmt, until: ast.stmt | None = None) -> Edit:
    """A statement's lines, with the comments that are about it alone and one of two blank lines around."""
    first, last = node.lineno, (until or node).end_lineno or node.lineno
    if last >= len(module.lines) or not module.lines[last].strip():
        while first >= 2 and module.lines[first - 2].lstrip().startswith(b"#"):
            first -= 1
    end = module.offset(last, 0) + len(module.lines[last - 1])
    above = first >= 2 and not module.lines[first - 2].strip()
    below = last < len(module.lines) and not module.lines[last].strip()
    if above and below:
        end += len(module.lines[last])
    return Edit(module.offset(first, 0), end, "")


def _gone(module: Module, suite: list[ast.stmt], gone: set[int]) -> list[Edit]:
    """Statements that go, at any depth; an `if` that loses all that it guards goes with them."""
    edits: list[Edit] = []
    for node in suite:
        if id(node) in gone:
            edits.append(removed(module, node))
            continue
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(node, name, None) or []
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) or not inner:
                continue
            if all(id(one) in gone for one in inner):
                if isinstance(node, ast.If) and not node.orelse:
                    edits.append(removed(module, node))
                    break
                edits.append(Edit(module.start(inner[0]), module.end(inner[-1]), "pass"))
            else:
                edits += _gone(module, inner, gone)
    return edits


def _receiver(value: ast.expr) -> str:
    assert isinstance(value, ast.Call)
    assert isinstance(value.func, ast.Attribute)
    return dotted(value.func.value)


def _is_move(value: ast.expr, writer: Writer) -> bool:
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute) or value.keywords:
        return False
    if value.func.attr == "cuda":
        return True
    if value.func.attr != "to" or len(value.args) != 1:
        return False
    return is_device(value.args[0], writer.base.canonical(value.args[0]), writer.roles)


def _losses(writer: Writer) -> list[str]:
    """What the LightningModule is given that is a module of PyTorch's own, which Lightning moves, too; in a script,
    losses of PyTorch's own that have no tensors, so that nothing is left to move."""
    found = []
    read = names_in([writer.nest.epochs]).read if writer.base.is_script else set()
    for name in [*writer.names.captured, *sorted(read - set(writer.names.captured))]:
        made = made_by(name, writer.base)
        call: ast.expr | None = made.call if made is not None and made.owner is writer.base.function else None
        while (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Call)
        ):
            call = call.func.value
        head, _, rest = dotted(call.func).partition(".") if isinstance(call, ast.Call) else ("", "", "")
        imported = writer.base.module.symbols.imports.get(head, head)
        full = f"{imported}.{rest}"
        if name in writer.names.captured:
            found += [name] if full.startswith("torch.nn.") and not runs_after(name, writer.nest) else []
        elif isinstance(call, ast.Call) and full.startswith("torch.nn.") and _has_no_tensors(name, call, writer):
            found.append(name)
    return found


def _has_no_tensors(name: str, loss: ast.Call, writer: Writer) -> bool:
    """Whether a loss of PyTorch's own has neither weights nor parameters, so that moving it does nothing."""
    maker = dotted(loss.func)
    values = [*loss.args, *(word.value for word in loss.keywords)]
    changed = any(
        isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and dotted(node.value) == name
        for node in ast.walk(writer.base.module.tree)
    )
    plain = maker.endswith("Loss") and not maker.endswith("WithLoss")
    return plain and not changed and all(isinstance(value, ast.Constant) for value in values)
