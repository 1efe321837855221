"""What a checkpoint says of where to go on, while a resumed training is on the way there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs
import torch

from lab_adapters.outlined.stale import Stale, Watched

if TYPE_CHECKING:
    from lab_adapters.outlined.places import Place, Places

__all__ = ["OUTLINED_KEY", "Resume"]

#: The key of a Lightning checkpoint under which everything but the models lies.
OUTLINED_KEY = "outlined"


@attrs.define
class Resume:
    """What a checkpoint says, and how to put it back once the innermost loop is where it was.

    Code between a loop that a resumed training has behind it and the one that it goes on in runs once more; it finds
    the models and counters as the checkpoint has them, not as they were made: it may save them.
    """

    places: list[dict[str, Any]]
    restore: Callable[[], list[str]]
    #: Makes what the training had made by then, and an earlier time held: this run has it not.
    make: Callable[[Mapping[str, Any]], None]
    restore_object: Callable[[Any], None]
    carried: dict[str, Any] = attrs.field(factory=dict)
    #: What the innermost loop's body had answered, or how the outermost had ended.
    ended: Any = None
    #: What a training changes: the models' tensors, and those that its loops carry at these paths.
    tensors: Callable[[Collection[str]], Watched] = lambda carried: {}
    stale: Stale = attrs.field(factory=Stale)
    #: Those of them that had another value then than they had when the code that runs now began.
    changed: Watched = attrs.field(factory=dict)
    #: Whether the code that runs now finds everything as it was then.
    fresh: bool = True
    _early: bool = False

    def put_back(self, places: Places, states: dict[str, Any] | None, where: str, trained: bool = False) -> None:
        """Make things as they were when this code began; what is not kept of then is watched for."""
        self.stale.rest()
        if states is not None:
            places.put_back(states)
        # Before anything was trained, all is as it was.
        self.fresh = (states is not None and "kept" in states) or not (trained or places.has_trained)
        # What this code makes itself is as it was then.
        self.changed = {} if self.fresh else self._changed()
        self.stale.watch(self.changed, where)

    def put_back_items(self, places: Places, states: dict[str, Any], place: Place) -> None:
        """The same for what a loop iterates over: code before it in the same body may have made it."""
        self.stale.rest()
        places.put_back(states)
        if not place.depth and place.ordinal:
            self.changed = self._changed()
        self.stale.watch(self.changed, f"the iterable of the loop that runs {place.name}")

    def watch_items(self, place: Place) -> None:
        """After its first item, which came before any iteration, an iterable reads models that go on changing."""
        self.stale.rest()
        where = f"the iterable of the loop that runs {place.name}"
        self.stale.watch({**self.changed, **self.tensors(())}, where)

    def go_past(self, places: Places, states: dict[str, Any] | None) -> None:
        """A loop, or a call, that the resumed training has behind it: make things as they were after it."""
        self.stale.rest()
        if states is None or "kept" not in states:
            self.restore_early()
        self.put_back(places, states, "code between two loops", trained=True)

    def _changed(self) -> Watched:
        """Without the data of data sets that this run has made as the checkpoint has them, as for each fold."""
        watched = self.tensors(self.carried)
        if self._early:
            return watched
        return {key: (one, path) for key, (one, path) in watched.items() if not _is_made(one, path, self.carried)}

    def restore_early(self) -> None:
        """Put back, once, whatever is there already."""
        if not self._early:
            self._early = True
            with contextlib.suppress(KeyError):
                self.restore()


def _is_made(tensor: torch.Tensor, path: str, carried: Mapping[str, Any]) -> bool:
    """Whether it is a data set's, and a checkpoint has the same there."""
    if "dataset" not in path.split("."):
        return False
    numbered = {packed.get("number"): packed["value"] for packed in _tensors_in(list(carried.values()))}
    saved = [*_tensors_in(carried.get(path)), *_tensors_in(carried.get(path), "again")]
    values = [numbered.get(one["value"]) if one["kind"] == "again" else one["value"] for one in saved]
    same = [one for one in values if one is not None and one.dtype == tensor.dtype]
    return any(torch.equal(one, tensor.detach().cpu()) for one in same)


def _tensors_in(packed: Any, kind: str = "tensor") -> Iterator[dict[str, Any]]:
    """All of a kind that packed values hold."""
    if isinstance(packed, dict):
        if packed.get("kind") == kind:
            yield packed
        packed = [packed.get("value"), packed.get("attributes")]
    if isinstance(packed, list):
        for one in packed:
            yield from _tensors_in(one, kind)
