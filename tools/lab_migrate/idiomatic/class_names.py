"""What the LightningModule is called."""

from __future__ import annotations

import ast
import itertools

from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.autocast import full_name
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.roles import Roles

#: What is put around a model is not what it is called after.
_WRAPPERS = frozenset({"DataParallel", "DistributedDataParallel", "compile", "convert_sync_batchnorm", "script"})

#: Functions whose names do not tell one training from another.
_SAYS_NOTHING = frozenset({"<module>", "__call__", "fit", "forward", "main", "run", "train"})


def class_name(nest: Nest, roles: Roles) -> tuple[str, str]:
    """`LitNet` for a model made by `Net(…)`, else `LitModel`, and that maker's name, which may be empty.

    Where the file has that name, it is called after the function that trains, or numbered.
    """
    made = [
        maker
        for node in nest.base.module.symbols.top.own + nest.base.function.own
        if isinstance(node, ast.Assign)
        and any(dotted(target) == roles.models[0] for target in node.targets)
        and isinstance(node.value, ast.Call)
        and (maker := _maker(node.value, roles.models[0], nest)) != roles.models[0]
    ]
    name = made[0] if len(set(made)) == 1 and made[0][:1].isupper() and len(roles.models) == 1 else ""
    taken = {node.id for node in ast.walk(nest.base.module.tree) if isinstance(node, ast.Name)}
    taken |= {cls.name for cls in nest.base.module.symbols.classes}
    first = f"Lit{name or 'Model'}"
    function = nest.base.function.name
    named = [] if function in _SAYS_NOTHING else [f"Lit{_camel(function)}"]
    numbered = (f"{first}{number}" for number in itertools.count(2))
    return next(one for one in itertools.chain([first], named, numbered) if one not in taken), name


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _maker(value: ast.expr, model: str, nest: Nest) -> str:
    """`Net(…).to(device)` and `DataParallel(Net(…))` are made by `Net`; `model.cuda()` is by `model` itself."""
    while isinstance(value, ast.Call):
        if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Call):
            value = value.func.value
        elif full_name(value.func, nest.base).rpartition(".")[2] in _WRAPPERS and value.args:
            value = value.args[0]
        elif isinstance(value.func, ast.Attribute) and dotted(value.func.value) == model:
            value = value.func.value
        else:
            return dotted(value.func).rpartition(".")[2]
    return model if dotted(value) == model else ""
