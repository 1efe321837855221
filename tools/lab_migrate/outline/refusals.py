"""What cannot be outlined: asked before anything is written, of every rule that refuses."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from lab_migrate.analysis.symbols import Function
from lab_migrate.convert.rule import Refusal, Rule


def refusals(
    function: Function, loop: ast.For | ast.While | ast.AsyncFor, rules: Sequence[Rule]
) -> list[tuple[str, Refusal]]:
    """Every reason, with its rule's code, why a loop of this function cannot be a function of its own."""
    return [(rule.code, refusal) for rule in rules if rule.refuse for refusal in rule.refuse(function, loop)]
