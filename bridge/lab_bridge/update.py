"""How the drop-in runs the update of Lab's own optimizers."""

from __future__ import annotations

import hashlib
import inspect
import logging
from typing import Any

from lab_adapters.foreach import by_foreach, is_worth_it
from lab_adapters.foreach_rules import Rule, adam_eps_under_root, sgd_lr_in_momentum
from legacy_lab.optim.adam import Adam
from legacy_lab.optim.sgd import SGD

__all__ = ["UPDATES", "choose_update", "rule_of"]

log = logging.getLogger(__name__)

#: "foreach": bitwise the loop, through torch's foreach operations where there is a rule and many small parameters;
#: "loop": Lab's own code; "fused": foreach for small parameters and a compiled kernel for large ones, which is not
#: bitwise the loop.
UPDATES = ("foreach", "loop", "fused")

#: Class -> its rule, and the fingerprint of the `update` that the rule was written after.
_RULES: dict[type, tuple[Rule, str]] = {
    Adam: (adam_eps_under_root, "ff7530abb2de4a3f5e8bb76d17a68417"),
    SGD: (sgd_lr_in_momentum, "cd09874edd4c4f6668b0028d82a43b8d"),
}


def choose_update(optimizer: Any, how: str) -> None:
    """Let an optimizer update in one of `UPDATES`. Where its loop stays all the same, a log line says why.

    Raises `ValueError` for any other `how`.
    """
    if how not in UPDATES:
        raise ValueError(f"Trainer.update: expected one of {', '.join(UPDATES)}, found {how!r}")
    if how == "loop":
        return
    rule = rule_of(type(optimizer))
    if rule is None:
        log.info("%s updates by its own code: no rule is known for it", type(optimizer).__qualname__)
    elif how == "fused":
        by_foreach(optimizer, rule, fused=True)
    elif not is_worth_it(optimizer, rule):
        log.info("%s updates by its own code: it has too few small parameters", type(optimizer).__qualname__)
    else:
        by_foreach(optimizer, rule)


def rule_of(cls: type) -> Rule | None:
    """The rule for a class whose `update` is, to the letter, one that a rule was written after; else None."""
    found = inspect.unwrap(getattr(cls, "update", object))
    for known, (rule, fingerprint) in _RULES.items():
        if found is inspect.unwrap(known.__dict__["update"]) and fingerprint_of(found) == fingerprint:
            return rule
    return None


def fingerprint_of(function: Any) -> str:
    """Hash of a function's source; of nothing where there is none."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return "no source"
    return hashlib.sha256(source.encode()).hexdigest()[:32]
