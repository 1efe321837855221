"""A star import hides where Trainer comes from

`from legacy_lab import *` may bring Trainer in, and may bring names that the project uses besides; which, cannot be
told without running it. Nothing is changed: name what you import, then convert again.
"""

from __future__ import annotations

from lab_migrate.convert.lab_names import trainer_names
from lab_migrate.convert.rule import Proposal, Source
from lab_migrate.findings import Status

CODE = "LM102"
LEVELS = {"L1", "L2"}


def propose(source: Source) -> Proposal:
    """Report each star import of Lab."""
    if "legacy_lab" not in source.text:
        return Proposal()
    return Proposal(
        findings=tuple(
            source.finding(
                star, CODE, Status.MANUAL, "a star import of legacy_lab may bring Trainer in",
                "name the imported names, e.g. `from legacy_lab import Trainer, load_config`, and convert again",
            )
            for star in trainer_names(source.module).stars
        )
    )  # fmt: skip
