"""How far what a loop's items come from has come: how many batches its generators took, where they are in their lists.

    def accumulated(loader):
        for batch in loader:
            batches.append(batch)
            if len(batches) == self.count_at(self.optimizer.step_number):      # as the loop's body left it
                yield batches

Passed over without the loop's body, such a generator comes to another place, and what it gives from there on is of
another training. What it took tells.
"""

from __future__ import annotations

import gc
import types
from collections.abc import Iterable, Iterator
from typing import Any

from torch.utils.data.dataloader import _BaseDataLoaderIter

from lab_adapters.outlined.frames import THROUGH

__all__ = ["positions_of", "require_same"]

_LISTS, _RANGE = tuple(type(iter(made)) for made in ([0], (0,))), type(iter(range(0)))


def positions_of(generators: Iterable[types.GeneratorType[Any, Any, Any]]) -> list[list[str]]:
    """Of each of these generators, in order: of what kinds the iterators are that it loops over, and where they are."""
    return [sorted(filter(None, map(_position, _iterators(one)))) for one in generators]


def require_same(then: list[list[str]], generators: list[types.GeneratorType[Any, Any, Any]], name: str) -> None:
    """Raises `ValueError` where what the items of the loop that runs `name` come from is elsewhere than it was then."""
    for one, expected, found in zip(generators, then, positions_of(generators), strict=False):
        if expected != found:
            raise ValueError(
                f"resume: the items of the loop that runs {name} could not be passed over as they were taken: expected "
                f"{one.__qualname__} ({one.gi_code.co_filename}:{one.gi_code.co_firstlineno}) at "
                f"{', '.join(expected) or 'its end'}, found it at {', '.join(found) or 'its end'}, as where it reads "
                "what the loop's body changes (a count of steps) to tell how much an item takes; do that in the loop's "
                "body, or resume from a checkpoint before that changed"
            )


def _iterators(one: Any) -> Iterator[Any]:
    """What a generator loops over now, through what Python makes iterators of others with."""
    for inner in gc.get_referents(one):
        if type(inner) in THROUGH or (type(one) in THROUGH and type(inner) is tuple):
            yield from _iterators(inner) if type(inner) in THROUGH else inner
        else:
            yield inner


def _position(iterator: Any) -> str | None:
    # What counts a DataLoader's items has that iterator as its `raw`.
    raw: Any = getattr(iterator, "raw", iterator) if isinstance(iterator, _BaseDataLoaderIter) else iterator
    if isinstance(raw, _BaseDataLoaderIter):
        return f"batch {raw._num_yielded} of a DataLoader"
    if type(raw) is _RANGE:
        made: Any = raw.__reduce__()
        left, index = made[1][0], made[2] if len(made) > 2 else 0
        return f"{left.start + left.step * (index or 0)} of a range"
    if type(raw) in _LISTS:
        made = raw.__reduce__()
        return f"item {made[2]} of a list" if len(made) > 2 else "the end of a list"
    return None
