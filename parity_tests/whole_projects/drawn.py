"""A project that is being drawn: its settings so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import attrs
from hypothesis import strategies as st

T = TypeVar("T")


@attrs.define
class Drawn:
    """`lines` are gin bindings beyond those of `semantics.project.BASE`; whatever is first in a choice adds none."""

    draw: st.DrawFn
    lines: list[str] = attrs.field(factory=list)
    hooks: list[str] = attrs.field(factory=list)
    dataset: str = "Blobs"
    forms: bool = False  #: whether the objective takes batches of any form
    weight: str | None = None  #: the objective's attribute that a schedule may move
    may_drop: bool = True  #: whether windows may be dropped without training for ever
    first: str = "blocks.0.*"  #: the parameters of the first block that has any
    _scopes: int = 0

    def one_of(self, *options: T) -> T:
        """One of them; shrinks to the first."""
        return self.draw(st.sampled_from(options))

    def several(self, options: Sequence[T], most: int) -> list[T]:
        """Up to `most` of them, in any order; shrinks to none."""
        return self.draw(st.lists(st.sampled_from(options), max_size=most))

    def say(self, *lines: str) -> None:
        """Bindings as they are."""
        self.lines += lines

    def setting(self, name: str, *values: Any) -> Any:
        """One of the values, or (first) none, so that the default stays; None then."""
        value = self.one_of(None, *values)
        if value is not None:
            self.say(f"{name} = {value!r}")
        return value

    def scope(self) -> str:
        """A scope that nothing else has."""
        self._scopes += 1
        return f"s{self._scopes}"
