"""Draws from the generators, as a trace keeps them, and the difference of two steps' draws in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

__all__ = ["Drawn", "drawn_differently", "drawn_until"]

_PLACES = 3


class Drawn(NamedTuple):
    """Draws of one kind at one place: how many calls, and how many 32-bit words altogether (None: unknown).

    `micro` counts the backward passes of the step that had ended. `line` and `module` are empty where nobody saw it.
    """

    micro: int
    generator: str
    what: str
    line: str
    module: str
    calls: int
    words: int | None

    @classmethod
    def from_json(cls, plain: Sequence[Any]) -> Drawn:
        """The draws that were written as a list. Raises TypeError or ValueError for anything else."""
        micro, generator, what, line, module, calls, words = plain
        count = None if words is None else int(words)
        return cls(int(micro), str(generator), str(what), str(line), str(module), int(calls), count)


def drawn_until(before: Iterable[Drawn], now: Iterable[Drawn], micro: int | None) -> list[Drawn]:
    """The draws of a step up to a micro-step (None: all), behind those of the step before.

    What the step before drew after the last look at a generator shows in this one.
    """
    return [*before, *(drawn for drawn in now if micro is None or drawn.micro <= micro)]


def drawn_differently(a: Iterable[Drawn], b: Iterable[Drawn], generator: str) -> list[str]:
    """What one side drew and the other did not, a sentence each, in the order of the draws; empty where all agree.

    Draws are matched by what drew, since lines and names of modules may differ between the two programs. A line that
    only one side has comes first: one that both have may draw more often because of other numbers drawn before it.
    """
    mine, other = ([entry for entry in side if entry.generator == generator and entry.line] for side in (a, b))
    shared = {entry.line for entry in mine} & {entry.line for entry in other}
    first: list[str] = []
    said: list[str] = []
    for what in dict.fromkeys(entry.what for entry in (*mine, *other)):
        left, right = ([entry for entry in side if entry.what == what] for side in (mine, other))
        more = _calls(right) - _calls(left)
        if more:
            side, longer, shorter = ("migrated", right, left) if more > 0 else ("legacy", left, right)
            times = "time" if abs(more) == 1 else "times"
            sentence = f"The {side} run called {what} {abs(more)} more {times}, {_where(longer, shorter)}."
            (said if all(entry.line in shared for entry in longer) else first).append(sentence)
        elif _words(left) != _words(right):
            said.append(
                f"{what} drew {_words(right)} numbers in the migrated run instead of {_words(left)}, "
                f"{_where(right, left)}."
            )
    return [*first, *said]


def _calls(entries: Sequence[Drawn]) -> int:
    return sum(entry.calls for entry in entries)


def _words(entries: Sequence[Drawn]) -> int | str:
    counts = [entry.words for entry in entries]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else "many"


def _where(longer: Sequence[Drawn], shorter: Sequence[Drawn]) -> str:
    """The places that only the longer side has, or has oftener; where none stands out, all of them."""
    known: dict[str, int] = {}
    for entry in shorter:
        known[entry.line] = known.get(entry.line, 0) + entry.calls
    extra = []
    for entry in longer:
        there = known.get(entry.line, 0)
        known[entry.line] = max(there - entry.calls, 0)
        if entry.calls > there:
            extra.append(entry)
    places = list(dict.fromkeys(_place(entry) for entry in extra or longer))
    some = " or ".join(places[:_PLACES])
    return f"at {some}" + (f" or {len(places) - _PLACES} other places" if len(places) > _PLACES else "")


def _place(entry: Drawn) -> str:
    return f"{entry.line} (module {entry.module})" if entry.module else entry.line
