"""What calls that have begun were given: a list that a function of the program's fills for the code around it."""

from __future__ import annotations

from typing import Any

import attrs

from lab_adapters.outlined.forms import PLAIN
from lab_adapters.outlined.iterators import Replayed, is_raw

__all__ = ["Arguments"]


@attrs.frozen(eq=False)
class Arguments:
    """By names of their own; a loop's body may have no other name for them.

    Iterators are told of where the function has them.
    """

    names: dict[str, Any]

    @classmethod
    def of(cls, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """Those that something may be put into."""
        given = {**{str(at): value for at, value in enumerate(args, 1)}, **kwargs}
        name = getattr(function, "__name__", type(function).__name__)
        return cls(
            {
                f"argument {at} of {name}": value
                for at, value in given.items()
                if not isinstance(value, (*PLAIN, Replayed)) and not is_raw(value)
            }
        )
