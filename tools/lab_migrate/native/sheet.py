"""What is known of a training while its files are written."""

from __future__ import annotations

from typing import Any

import attrs

from lab_bridge.config.schema import Schema
from lab_migrate.native.draws import Draws
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.lookahead import Ahead
from lab_migrate.native.sam import Sharpness
from lab_migrate.native.tuned import Tuned
from lab_migrate.native.windows import Windows

__all__ = ["STANDARD", "Sheet", "class_name"]

#: Imports that a file may need; the formatter leaves out those that nothing uses.
STANDARD = (
    "from __future__ import annotations", "from collections import defaultdict",
    "from collections.abc import Callable, Iterator, Mapping", "from fnmatch import fnmatchcase",
    "from typing import Any", "import math", "import attrs", "import lightning as L", "import torch",
    "from torch import Tensor, nn", "from torch.nn import functional as F",
)  # fmt: skip


@attrs.define
class Sheet:
    """`trainer` is Lab's config as objects of `schema`; `draws` tell of the project's classes; `linked` are parts of
    Lab's that the project's files import; `windows` say how a step is taken by hand, None where Lightning accumulates;
    `made_early` is whether the objective is made before the seed is set; `given` are the data sets of Lab's that hooks
    look at; `own` collects what each template in use is told beside what all are."""

    package: str
    name: str
    title: str
    trainer: Any
    schema: Schema
    draws: Draws
    optimizers: tuple[Tuned, ...]
    ahead: Ahead | None = None
    sharpness: Sharpness | None = None
    linked: tuple[str, ...] = ()
    windows: Windows | None = None
    made_early: bool = False
    given: list[str] = attrs.field(factory=list)
    own: dict[str, dict[str, Any]] = attrs.field(factory=dict)

    @property
    def modules(self) -> set[str]:
        """The project's own top-level modules, as import blocks are sorted by."""
        targets = [builder.target for builder in self.schema.builders.values()]
        return {target.split(".")[0] for target in targets} - {"legacy_lab"} | {self.package}

    @property
    def evaluates(self) -> bool:
        """Whether anything is evaluated."""
        return bool(self.trainer.eval_every)

    def spelled(self) -> Expressions:
        """A fresh speller of this schema's values."""
        return Expressions(self.schema)


def class_name(stem: str) -> str:
    """What the module is called after `Lit`, and the datamodule before `Data`."""
    return "".join(part.capitalize() for part in stem.split("_"))
