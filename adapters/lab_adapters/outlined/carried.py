"""What a loop carries from one iteration to the next besides models and optimizers: counters, meters, histories.

Found in the loop's own names and, through them, in the attributes of the program's own objects, a home-grown
optimizer's momentum among them. Only what has changed since the loop began is kept: a setting that a resumed run
changes on purpose stays changed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import sys
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import attrs
from torch import Tensor
from torch.nn import Module

from lab_adapters.outlined.addresses import addresses_of
from lab_adapters.outlined.forms import PLAIN
from lab_adapters.outlined.iterators import Replayed, is_raw, outer_first
from lab_adapters.outlined.known import Known
from lab_adapters.outlined.marks import mark, of_container, of_object
from lab_adapters.outlined.names import names_of
from lab_adapters.outlined.packing import MISSING, Packing, where
from lab_adapters.outlined.slot import Slot, put
from lab_adapters.outlined.slots import Walk, slots
from lab_adapters.outlined.stale import tensors_in
from lab_adapters.outlined.standing import standing, tensor_at
from lab_adapters.outlined.structures import homes_of, packed_structure, structure_of
from lab_adapters.outlined.unpacking import Unpacking

__all__ = ["Carried", "Taken", "unbound"]

#: Of a place that several tensors share, at most so many times their own bytes are kept.
_SHARED = 4


@attrs.frozen(eq=False)
class Taken:
    """What `Carried.state` has taken: path -> value.

    `structures` are the models' parts that have other tensors or children by then, `told` tells tensors, by identity,
    to a run that goes on; `walk` is what was met on the way.
    """

    values: dict[str, Any]
    structures: dict[str, Any]
    told: dict[int, dict[str, Any]]
    walk: Walk


class Carried:
    """The changing values of some functions' names."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        #: Of names that a loop around has bound before the loop inside began: how many loops are around that one.
        self._bound: dict[str, int] = {}
        #: Names that were new when a loop began that a resumed run may pass over.
        self.late: set[str] = set()
        #: Which containers the names held when the innermost loop began, by identity.
        self._held: dict[str, int] = {}
        self._known = Known()
        #: Tensors that were made with what holds them, by their numbers in the checkpoint, until it is put back.
        self.made_late: dict[int, Tensor] = {}
        #: Which tensors and children the models' parts had when the training began, by the parts' paths.
        self._structures: dict[str, Any] = {}

    def remember(self, bodies: list[Any], depth: int = 0, trained: bool = False) -> None:
        """Take what names that are new hold now as what they held before.

        They are the names of a loop inside `depth` others, which begins. Where these have `trained` already, what is
        new is kept: a resumed run, which passes iterations over, may not have it.
        """
        walk = Walk(self._known)
        self._held = {}
        for slot in list(slots(bodies, walk)):
            self._held[slot.path] = id(slot.get())
            if is_raw(slot.get()):
                with contextlib.suppress(AttributeError, TypeError):  # where no other can be put
                    slot.put(Replayed(slot.get(), replaced=slot.path in self._before))
            if slot.path not in self._before and trained:
                self.late.add(slot.path)
            elif slot.path not in self._before:
                self._before[slot.path] = mark(slot.get())
                if depth:
                    self._bound[slot.path] = depth
        if self._known.note(walk.owners):
            self._structures = self._structures_of(walk)

    def iterate(self, depth: int) -> None:
        """An iteration of a loop inside `depth` others begins: what its first one bound, a resumed run may not have."""
        for path in [path for path, loops in self._bound.items() if loops > depth]:
            del self._before[path], self._bound[path]
            self.late.add(path)

    def state(
        self,
        bodies: list[Any],
        tensors: Mapping[str, Tensor] | None = None,
        loaders: Mapping[str, Any] | None = None,
        also: Collection[str] = (),
    ) -> Taken:
        """All that has changed and can be saved without pickling code.

        `tensors` are the models', by name: in the program's own containers they stay the models'. `loaders` are its
        DataLoaders, of which a loop may have made an iterator. `also` are paths that are kept though they are again as
        they were, since something else was put there on the way.
        """
        walk = Walk(self._known)
        found = [(slot, slot.get()) for slot in slots(bodies, walk)]
        changed = [
            (slot.path, value, before)
            for slot, value in found
            if (before := self._before.get(slot.path)) is None or slot.path in also or before != mark(value)
        ]
        models = tensors or {}
        there_before = standing(found, self._before)
        packing = Packing(
            {id(tensor): name for name, tensor in models.items()},
            {id(loader): path for path, loader in (loaders or {}).items()},
            {id(owner): path for path, owner in reversed(walk.owners.items())},
            {lies: name for name, tensor in models.items() if (lies := where(tensor.detach()))},
            _shared(tensors_in([value for _, value, _ in changed])),
            self.was_there,
            functools.partial(walk.containers.path_of, has_changed={path for path, _, _ in changed}.__contains__),
            by_parts=True,
            homes={id(tensor): home for home, tensor in homes_of(self._parts_of(walk)).items()},
            standing=there_before,
            lies_at=_lies_at(models.values(), found, walk.owners.values()),
        )
        state: dict[str, Any] = {}
        # What an object holds comes before the containers that hold the object: it has a place of its own.
        for path, value, before in reversed(changed):
            if value is MISSING:
                if before is not None and not _was_missing(before):
                    state[path] = {"kind": "deleted", "value": None}
                continue
            packed = packing.pack(value, before)
            if isinstance(packed, dict) and self._held.get(path, id(value)) != id(value):
                packed["bound"] = True
            # Of what has no plain form, only what was there before the loop is worth a word.
            then = mark(value) if packing.left and path in self.late else before
            if not packing.left or of_container(then) or (of_object(then) and packed["kind"] == "object"):
                state[path] = packed
            else:
                packing.forget()
        there = {slot.path for slot, _ in found}
        for path, before in self._before.items():
            # What the training has deleted of an object that is there.
            above = path.rpartition(".")[0]
            same = self._known.path_of(walk.owners.get(above)) == above if above else True
            if path in there or not same or _was_missing(before):
                continue
            slot = unbound(path, bodies, walk.owners)
            if slot is not None and slot.get() is MISSING:
                state[path] = {"kind": "deleted", "value": None}
        structures = {
            path: packed
            for path, one in self._structures_of(walk).items()
            if path in self._structures and self._structures[path] != one
            if (packed := packed_structure(walk.owners[path], packing)) is not None
        }
        numbers = {identity: {"number": number} for identity, number in packing.numbers().items()}
        return Taken(state, structures, {**numbers, **there_before}, walk)

    def _structures_of(self, walk: Walk) -> dict[str, Any]:
        """Path -> structure of the models' parts that were there."""
        return {path: structure_of(one, self._known.path_of) for path, one in self._parts_of(walk).items()}

    def _parts_of(self, walk: Walk) -> dict[str, Module]:
        return {path: one for path, one in walk.owners.items() if isinstance(one, Module) and self.was_there(one)}

    def was_there(self, value: Any) -> bool:
        """Whether a run that goes on has an object, too."""
        return self._known.path_of(value) is not None

    def places_of(self, bodies: list[Any], state: Mapping[str, Any]) -> tuple[dict[str, Slot], Walk]:
        """Path -> slot of all that there is, by the paths that are known, for a state; and what was met on the way."""
        return _places_of(bodies, state, self._known)

    def has_changed(self, path: str, value: Any) -> bool:
        """Whether a value is another one than its name held when the loop began, or its name is new."""
        before = self._before.get(path)
        return before is None or before != mark(value)

    def restore(
        self,
        bodies: list[Any],
        state: dict[str, Any],
        tensors: Mapping[str, Tensor] | None = None,
        loaders: Mapping[str, Any] | None = None,
        functions: Collection[str] = (),
        given: Mapping[int, Tensor] | None = None,
    ) -> list[str]:
        """Put it back; containers, objects, and tensors that were there before the loop keep their identity.

        Returns the paths at which there is nothing to put it. `functions` are the paths of those that led to it: what
        one leads to that is not there yet, the loop binds anew. `given` are tensors that were made before.
        """
        nowhere: dict[str, Any] = {}
        there, walk = self.places_of(bodies, state)
        owners = walk.owners
        unpacking = Unpacking(
            tensors or {},
            loaders or {},
            owners,
            walk.containers.there,
            given=given or {},
            standing=functools.partial(tensor_at, dict(there)),
            filled=walk.containers.unchanged(state.__contains__),
        )
        # Iterators first: passing over items changes the datasets and generators that they draw from.
        held = {path: slot.get() for path, slot in there.items() if _is_iterator(state.get(path))}
        order = outer_first({path: one for path, one in held.items() if isinstance(one, Replayed)})
        others = [path for path in state if path not in order]
        for path in [*order, *sorted(others, key=lambda path: not _is_iterator(state[path]))]:
            slot = there.get(path) or unbound(path, bodies, owners)
            value = unpacking.unpack(state[path], slot.get() if slot is not None else None, path)
            if not put(slot, value):
                nowhere[path] = value
        made = [f"{path}{mark}" for path in (*unpacking.built, *unpacking.warned) for mark in ".["]
        bound = [f"{path}." for path in functions if path not in owners]
        left = {path: value for path, value in nowhere.items() if not path.startswith((*made, *bound))}
        if not left:
            return []
        # What was put on the way may have places of its own: an attribute of a dictionary, say.
        there, walk = self.places_of(bodies, {})
        return [path for path in left if not put(there.get(path) or unbound(path, bodies, walk.owners), left[path])]

    def restore_below(self, bodies: list[Any], state: dict[str, Any], owner: Any) -> None:
        """Put back only the plain values of one object and of what it holds."""
        there, walk = self.places_of(bodies, state)
        owners = walk.owners
        above = next((path for path, one in owners.items() if one is owner), None)
        unpacking = Unpacking()
        for path, packed in state.items():
            slot = there.get(path)
            plain = isinstance(packed, PLAIN) or packed["kind"] in ("list", "deque", "numpy scalar")
            if slot is not None and plain and above is not None and path.startswith((f"{above}.", f"{above}[")):
                slot.put(unpacking.unpack(packed, slot.get(), path))


def _lies_at(
    models: Iterable[Tensor], found: Iterable[tuple[Slot, Any]], owners: Iterable[Any]
) -> Callable[[int], tuple[str, Any] | None]:
    """Looks for what lies at an address among the models' tensors, the program's own, and its objects."""

    @functools.cache
    def known() -> dict[int, tuple[str, Any]]:
        return addresses_of([*models, *tensors_in([value for _, value in found]), *owners])

    return lambda address: known().get(address)


def _places_of(bodies: list[Any], state: Mapping[str, Any], known: Known) -> tuple[dict[str, Slot], Walk]:
    """Path -> slot of all that there is; entries that a defaultdict had by then are made first."""
    walk = Walk(known)
    there = {slot.path: slot for slot in slots(bodies, walk)}
    made = False
    for path in state:
        head, bracket, rest = path.partition("[")
        holder = there[head].get() if bracket and path not in there and head in there else None
        if isinstance(holder, defaultdict) and holder.default_factory is not None:
            key = _key(rest)
            if key is not MISSING and key not in holder:
                made = holder[key] is not None
    return _places_of(bodies, {}, known) if made else (there, walk)


def unbound(name: str, bodies: list[Any], owners: Mapping[str, Any]) -> Slot | None:
    """The slot of a global name or an attribute that the loop assigns, and has not yet in this run."""
    above, _, attribute = name.rpartition(".")
    if above in owners and attribute.isidentifier():
        owner = owners[above]
        plain = hasattr(owner, "__dict__") and not isinstance(owner, type)
        return Slot(name, vars(owner) if plain else owner, attribute)
    module, colon, attribute = name.partition(":")
    if colon and module in sys.modules and attribute.isidentifier():
        return Slot(name, vars(sys.modules[module]), attribute)
    for body in bodies:
        function = getattr(body, "__func__", body)
        if isinstance(function, types.FunctionType) and name in names_of(function.__code__):
            return Slot(name, function.__globals__, name)
    return None


def _was_missing(before: Any) -> bool:
    return bool(before == mark(MISSING))


def _key(rest: str) -> Any:
    """The key of a path that goes on with `'key'].attribute`."""
    for end in (at for at, letter in enumerate(rest) if letter == "]"):
        with contextlib.suppress(ValueError, SyntaxError):
            return ast.literal_eval(rest[:end])
    return MISSING


def _shared(tensors: Iterable[Tensor]) -> frozenset[int]:
    """Where more than one of them lie, and little else."""
    different = {id(tensor): tensor for tensor in tensors}.values()
    lying = [(lies, tensor) for tensor in different if (lies := where(tensor))]
    used: Counter[int] = Counter()
    for lies, tensor in lying:
        used[lies] += tensor.nbytes
    counts = Counter(lies for lies, _ in lying)
    sizes = {lies: tensor.untyped_storage().nbytes() for lies, tensor in lying}
    return frozenset(lies for lies, count in counts.items() if count > 1 and sizes[lies] <= _SHARED * used[lies])


def _is_iterator(packed: Any) -> bool:
    return isinstance(packed, dict) and packed["kind"] == "iterator"
