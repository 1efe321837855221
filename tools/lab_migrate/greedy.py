"""A command whose repeatable options may be given once with several values, as a shell's `r*.trace` makes them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from lab_migrate.errors import UsageError

__all__ = ["GreedyCommand", "spread_out"]


class GreedyCommand(TyperCommand):
    """Every option in GREEDY takes all values up to the next option; `--` after --equivalent begins --against."""

    GREEDY = ("--noise", "--equivalent", "--against")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Spread the options out before they are parsed as ever."""
        rest: list[str] = super().parse_args(ctx, spread_out(args, self.GREEDY))
        return rest


def spread_out(args: Sequence[str], greedy: Sequence[str]) -> list[str]:
    """`--noise a b` becomes `--noise a --noise b`; `--equivalent a -- b` becomes `--equivalent a --against b`.

    Raises `UsageError` for such an option without a value.
    """
    made: list[str] = []
    current = ""
    for word, after in itertools.zip_longest(args, args[1:]):
        if word in greedy or (word == "--" and current == "--equivalent"):
            current = word if word in greedy else "--against"
            if after is None or after.startswith("-"):
                raise UsageError(f"{word}: expected one or more traces after it, found {after or 'nothing'}")
        elif word.startswith("-") and word != "-":
            current = ""
            made.append(word)
        elif current:
            made += [current, word]
        else:
            made.append(word)
    return made
