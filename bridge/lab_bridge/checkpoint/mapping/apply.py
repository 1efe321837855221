"""A mapping applied to a checkpoint's contents: weights, averages, gradients, optimizer state and parameter groups."""

from __future__ import annotations

from collections.abc import Mapping as Table
from collections.abc import Sequence

import attrs

from lab_bridge.checkpoint.contents import Contents, section
from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.mapping.claims import Claim, claims
from lab_bridge.checkpoint.mapping.declared import Mapping
from lab_bridge.checkpoint.stored import StoredTensor, hold
from lab_bridge.checkpoint.tree import Leaf, Step, TreePath, same_leaf, show

__all__ = ["Mapped", "Order", "apply"]

#: Where versions of modules that have no namesake on the other side wait for the way back.
_ASIDE: TreePath = (Step("carried"), Step("mapping"))
_NAME_LISTS = ("params", "param_names")


@attrs.frozen
class Order:
    """In which order the other side has its weights, and the parameters of each group of each optimizer."""

    weights: Sequence[str]
    groups: Table[tuple[object, object], Sequence[str]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, contents: Contents) -> Order:
        """As a checkpoint has them."""
        groups: dict[tuple[object, object], list[str]] = {}
        for where, leaf in contents.entries.items():
            if _list_of_names(where) == "params" and len(where) == 6:
                groups.setdefault((where[1].key, where[3].key), []).append(leaf)
        return cls(list(contents.weights()), groups)


@attrs.frozen
class Mapped:
    """The contents under their new names; for each address of the source where its bytes went, and why what is gone is.

    `moves` has an empty tuple for what was left out, and `reasons` says why.
    """

    contents: Contents
    moves: dict[TreePath, tuple[TreePath, ...]]
    reasons: dict[TreePath, str]


def apply(mapping: Mapping, contents: Contents, order: Order | None = None) -> Mapped:
    """Apply every operation at once. `order` is how the other side counts, where that is known.

    Raises `CheckpointError` that names everything that does not fit: shapes, missing or doubled names, state of a
    parameter that cannot be split or merged, names that the other side does not have.
    """
    made = _Applying(contents, claims(mapping, list(contents.weights())), order)
    made.run()
    if made.problems:
        raise CheckpointError("\n".join(f"mapping: {problem}" for problem in dict.fromkeys(made.problems)))
    entries = made.entries
    if order is not None:
        entries = _ordered(entries, order)
    return Mapped(attrs.evolve(contents, entries=entries, paths={}, implied={}), made.moves, made.reasons)


class _Applying:
    def __init__(self, contents: Contents, every: list[Claim], order: Order | None) -> None:
        self.contents, self.claims, self.order = contents, every, order
        self.claim_of = {name: claim for claim in every for name in claim.sources}
        self.entries: dict[TreePath, Leaf] = {}
        self.moves: dict[TreePath, tuple[TreePath, ...]] = {}
        self.reasons: dict[TreePath, str] = {}
        self.problems: list[str] = []
        self._done: dict[object, Sequence[Leaf]] = {}

    def run(self) -> None:
        weights = self.contents.weights()
        known = {name for claim in self.claims for name in claim.targets}
        if self.order is not None:
            self.problems += [
                f"{name}: expected it to be filled, found no source" for name in self.order.weights if name not in known
            ]
            self.problems += [
                f"{name}: expected by the other side, found no such weight there"
                for name in sorted(known - {*self.order.weights})
            ]
        groups: dict[tuple[TreePath, TreePath], dict[str, tuple[TreePath, Leaf]]] = {}
        lists: dict[TreePath, list[str]] = {}
        for where, leaf in self.contents.entries.items():
            at = _name_at(where)
            if at is not None:
                name = where[at].key
                if name in self.claim_of:
                    groups.setdefault((where[:at], where[at + 1 :]), {})[str(name)] = (where, leaf)
                elif isinstance(name, int) and any(not _is_identity(claim) for claim in self.claims):
                    self._numbered(where)
                else:
                    self._keep(where, leaf)
            elif _list_of_names(where) and len(where) == 6 and isinstance(leaf, str):
                lists.setdefault(where[:5], []).append(leaf)
            elif where[:2] == _ASIDE and _is_module(str(where[3].key), known):
                self._move(where, where[2:], leaf)
            elif section(where) == "versions" and not _is_module(str(where[1].key), known):
                self._move(where, (*_ASIDE, *where), leaf)
            else:
                self._keep(where, leaf)
        for (before, after), held in groups.items():
            for claim in self.claims:
                self._one(claim, before, after, held, weights)
        for place, names in lists.items():
            self._list(place, names)

    # ---- one operation on one kind of thing: the weights, a slot of the optimizer, the averages

    def _one(
        self, claim: Claim, before: TreePath, after: TreePath, held: dict[str, tuple[TreePath, Leaf]],
        weights: dict[str, StoredTensor],
    ) -> None:  # fmt: skip
        there = [held[name] for name in claim.sources if name in held]
        if not there:
            return
        if not claim.targets:
            for where, _ in there:
                self.moves[where], self.reasons[where] = (), claim.operation.reason
            return
        word, what = claim.operation.word, show((*before, Step(claim.sources[0]), *after))
        targets = claim.targets
        is_tie = word == "tie"
        if section(before) == "optimizer" and is_tie:
            # torch counts a tied parameter once, under its first name.
            there, targets = there[:1], targets[:1]
        elif len(there) < len(claim.sources):
            missing = [name for name in claim.sources if name not in held]
            self.problems.append(f"{what}: expected the same of {', '.join(missing)}, to {word} them, found none")
            return
        leaves = [leaf for _, leaf in there]
        # A preconditioner of a square weight has its shape by chance; elsewhere its kind does not.
        of_weight = [
            isinstance(leaf, StoredTensor) and leaf.shape == weights[name].shape for name, (_, leaf) in held.items()
        ]
        try:
            if is_tie and section(before) == "optimizer":
                made: Sequence[Leaf] = leaves
            elif all(of_weight):
                # Once for tied tensors, which stay one.
                key = claim.operation, tuple(leaf.place for leaf in leaves)
                made = self._done.setdefault(key, claim.operation.forward(leaves))
            else:
                made = self._beside(claim, leaves)
        except ValueError as error:
            self.problems.append(f"{what}: {word}: {error}")
            return
        places = [(*before, Step(target), *after) for target in targets]
        for place, leaf in zip(places, made, strict=True):
            self.entries[place] = leaf
        self.moves |= {where: tuple(places) for where, _ in there}

    @staticmethod
    def _beside(claim: Claim, leaves: Sequence[Leaf]) -> Sequence[Leaf]:
        """State without the shape of its parameter: a counter is one for all parts; anything else does not split."""
        first = leaves[0]
        if len(claim.sources) == len(claim.targets) == 1 and claim.operation.word in ("rename", "tie"):
            return leaves
        if isinstance(first, StoredTensor) and first.count > 1:
            raise ValueError(
                f"expected state of the parameter's own shape, or a counter, found one of shape {first.shape}; "
                "leave the optimizer out with --only weights"
            )
        if not all(same_leaf(first, other) for other in leaves):
            raise ValueError("expected the same counter for all parts, found different ones")
        if not isinstance(first, StoredTensor):
            return [first] * len(claim.targets)
        # One of its own for each: torch counts in place.
        return [hold(first.load()) for _ in claim.targets]

    # ---- the lists of parameters in an optimizer's groups

    def _list(self, place: TreePath, names: list[str]) -> None:
        made: list[str] = []
        for name in names:
            claim = self.claim_of.get(name)
            if claim is None:
                made.append(name)
            elif name == next(one for one in claim.sources if one in names):
                made += claim.targets[:1] if claim.operation.word == "tie" else claim.targets
            if claim is not None and claim.operation.word == "merge" and not {*claim.sources} <= {*names}:
                every = ", ".join(claim.sources)
                self.problems.append(f"{show(place)}: expected {every} in one group, to merge them, found several")
        if self.order is not None:
            listed = self.order.groups.get((place[1].key, place[3].key)) or self.order.weights
            rank = {name: at for at, name in enumerate(listed)}
            made.sort(key=lambda name: rank.get(name, len(rank)))
        for at, name in enumerate(made):
            self.entries[(*place, Step(at, "list"))] = name
        if not made:
            self.entries[place] = []
        for at in range(len(names)):
            where = (*place, Step(at, "list"))
            self.moves[where] = (where,) if at < len(made) else (place,)

    def _numbered(self, where: TreePath) -> None:
        self.problems.append(
            f"{show(where[:2])}: expected the names of its parameters, found numbers; what is renamed or cut cannot be "
            "followed. Leave the optimizer out with --only weights"
        )

    def _keep(self, where: TreePath, leaf: Leaf) -> None:
        self._move(where, where, leaf)

    def _move(self, where: TreePath, to: TreePath, leaf: Leaf) -> None:
        self.entries[to] = leaf
        self.moves[where] = (to,)


def _name_at(where: TreePath) -> int | None:
    """Where in an address a parameter's name or number stands."""
    if section(where) == "weights" and len(where) == 2:
        return 1
    if section(where) == "ema" and len(where) == 3 and where[1].key == "average":
        return 2
    if section(where) == "optimizer" and len(where) > 3 and where[2].key in ("state", "gradients"):
        return 3
    return None


def _list_of_names(where: TreePath) -> str:
    if section(where) == "optimizer" and len(where) >= 5 and where[2].key == "param_groups":
        return str(where[4].key) if where[4].key in _NAME_LISTS else ""
    return ""


def _is_identity(claim: Claim) -> bool:
    return claim.sources == claim.targets and claim.operation.word == "rename"


def _is_module(name: str, weights: set[str]) -> bool:
    return not name or any(weight.startswith(f"{name}.") for weight in weights)


def _ordered(entries: dict[TreePath, Leaf], order: Order) -> dict[TreePath, Leaf]:
    """The weights as the other side lists them."""
    rank = {name: at for at, name in enumerate(order.weights)}
    last = len(rank)
    weights = [where for where in entries if section(where) == "weights"]
    sorted_weights = sorted(weights, key=lambda where: rank.get(str(where[1].key), last))
    rest = {where: leaf for where, leaf in entries.items() if section(where) != "weights"}
    return {where: entries[where] for where in sorted_weights} | rest
