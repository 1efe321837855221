"""What others hang into training: hook and callback classes, and torch's own hooks"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lab_migrate.scan.inventory import RoleUse
from lab_migrate.scan.syntax import FUNCTIONS, SourceFile

_MOMENT = re.compile(
    r"_?(on|before|after)_(train|fit|epoch|batch|step|iter|run|backward|val|validation|train_batch)\w*"
)
_TORCH = (
    "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_backward_hook", "register_post_accumulate_grad_hook", "register_step_post_hook",
    "register_step_pre_hook",
)  # fmt: skip


def find(file: SourceFile) -> Iterator[RoleUse]:
    """Classes with two methods named after moments of training; registrations with torch."""
    for cls in file.every(ast.ClassDef):
        assert isinstance(cls, ast.ClassDef)
        moments = [item.name for item in cls.body if isinstance(item, FUNCTIONS) and _MOMENT.fullmatch(item.name)]
        named = re.search(r"(Hook|Callback|CallbackBase|HookBase)$", cls.name)
        if (named and moments) or (
            len(moments) >= 2 and not re.search("Trainer|Runner|Engine|Module|Learner", cls.name)
        ):
            yield RoleUse("hook", file.path, cls.lineno, cls.name, (), "class", ", ".join(moments[:3]))
    for call in file.calls(*_TORCH):
        yield RoleUse("hook", file.path, call.lineno, ast.unparse(call.func)[-60:], (), "used", "torch's own")
