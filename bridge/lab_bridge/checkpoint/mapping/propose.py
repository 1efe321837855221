"""A draft of a mapping from two checkpoints: names that moved where shapes agree. A person reads it, then confirms it.

Nothing is decided by shape alone where several weights have the same one: those need the same numbers and the same
last word in their names (`layers.3.fc.weight`, `blocks.3.mlp.weight`), and each other only. The rest is listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

import attrs

from lab_bridge.checkpoint.contents import Contents
from lab_bridge.checkpoint.mapping.names import NamePattern
from lab_bridge.checkpoint.stored import StoredTensor

__all__ = ["Draft", "propose"]

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


@attrs.frozen
class Proposed:
    """One operation of a draft, and by what it was found."""

    word: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    because: str


@attrs.frozen
class Draft:
    """What was found, what could be several things (source name -> candidates), and what nothing fills."""

    operations: tuple[Proposed, ...]
    ambiguous: dict[str, tuple[str, ...]]
    unused: tuple[str, ...]
    unfilled: tuple[str, ...]
    kept: int

    @property
    def complete(self) -> bool:
        """Whether every weight of both sides has its counterpart."""
        return not (self.ambiguous or self.unused or self.unfilled)

    def toml(self) -> str:
        """The file to read and confirm."""
        lines = [f"# {self.kept} names are the same on both sides and need no line.", "confirmed = false"]
        for one in self.operations:
            lines += ["", f"# {one.because}", f"[[{one.word}]]"]
            lines.append(f"from = {_names(one.source, one.word == 'merge')}")
            lines.append(f"to = {_names(one.target, one.word == 'split')}")
        for name, candidates in self.ambiguous.items():
            lines += ["", f"# {name} could be any of:", *(f"#   {candidate}" for candidate in candidates)]
            lines += ["# [[rename]]", f'# from = "{name}"', '# to = "?"']
        for name in self.unused:
            lines += ["", "# nothing on the other side fits", "# [[drop]]", f'# from = "{name}"', '# reason = "?"']
        lines += ["", *(f"# nothing fills {name}" for name in self.unfilled)] if self.unfilled else []
        return "\n".join(lines) + "\n"


def propose(source: Contents, like: Contents) -> Draft:
    """Find a counterpart on the other side for every weight of `source`."""
    legacy, other = source.weights(), like.weights()
    same = {name for name, tensor in legacy.items() if name in other and _kind(other[name]) == _kind(tensor)}
    left = {name: tensor for name, tensor in legacy.items() if name not in same}
    open_ = {name: tensor for name, tensor in other.items() if name not in same}
    found: list[Proposed] = []
    pairs = _pairs(left, open_)
    renames = _folded(pairs, list(legacy), list(other))
    found += renames
    for name, (target, _) in pairs.items():
        del left[name], open_[target]
    for finder in (_ties, _turned, _cut, _joined):
        for one in list(finder(left, open_, legacy, other)):
            found.append(one)
            for name in one.source:
                left.pop(name, None)
            for name in one.target:
                open_.pop(name, None)
    ambiguous = {
        name: candidates
        for name, tensor in left.items()
        if (candidates := tuple(target for target, there in open_.items() if _kind(there) == _kind(tensor)))
    }
    named = {candidate for candidates in ambiguous.values() for candidate in candidates}
    return Draft(
        tuple(found),
        ambiguous,
        tuple(name for name in left if name not in ambiguous),
        tuple(name for name in open_ if name not in named),
        len(same),
    )


Weights = Mapping[str, StoredTensor]


def _kind(tensor: StoredTensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.shape


def _pairs(left: Weights, open_: Weights) -> dict[str, tuple[str, str]]:
    """Source name -> (target name, because)."""
    pairs: dict[str, tuple[str, str]] = {}

    def match(key: Callable[[str, StoredTensor], Hashable], because: str) -> None:
        taken = {target for target, _ in pairs.values()}
        by_key: dict[Hashable, tuple[list[str], list[str]]] = {}
        for side, weights in enumerate((left, open_)):
            for name, tensor in weights.items():
                if name not in (pairs, taken)[side]:
                    by_key.setdefault(key(name, tensor), ([], []))[side].append(name)
        for ours, theirs in by_key.values():
            if len(ours) == len(theirs) == 1:
                pairs[ours[0]] = (theirs[0], because)

    def prefix_apart(name: str, tensor: StoredTensor) -> Hashable:
        return name.partition(".")[2], _kind(tensor)

    if left and open_:
        match(lambda name, tensor: (_words(name), _kind(tensor)), "the same but for one prefix")
        match(prefix_apart, "the same but for the first word")
        match(lambda name, tensor: (_numbers(name), _last(name, 2), _kind(tensor)), "the same numbers and last words")
        match(lambda name, tensor: (_numbers(name), _last(name, 1), _kind(tensor)), "the same numbers and last word")
        match(lambda name, tensor: _kind(tensor), "the only one of its shape")
    return pairs


def _words(name: str) -> Hashable:
    """Without the wrappers that people put around a model."""
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in ("module", "model", "net", "network", "_orig_mod", "backbone"):
        parts = parts[1:]
    return tuple(parts)


def _last(name: str, count: int) -> tuple[str, ...]:
    return tuple(name.split(".")[-count:])


def _numbers(name: str) -> tuple[str, ...]:
    return tuple(_NUMBER.findall(name))


def _folded(pairs: Mapping[str, tuple[str, str]], legacy: Sequence[str], other: Sequence[str]) -> list[Proposed]:
    """Renames with wildcards in place of what both names have in common."""
    made: list[Proposed] = []
    left = list(pairs)
    # The shortest patterns first; longer ones take what those would not leave to others.
    for spared in range(max((name.count(".") + 2 for name in left), default=0)):
        groups: dict[tuple[str, str], list[str]] = {}
        for name in left:
            groups.setdefault(_heads(name, pairs[name][0], spared), []).append(name)
        for (head, there), names in groups.items():
            if _takes_only(head, there, names, pairs, legacy, other):
                made.append(Proposed("rename", (head,), (there,), pairs[names[0]][1]))
                left = [name for name in left if name not in names]
    return made + [Proposed("rename", (name,), (pairs[name][0],), pairs[name][1]) for name in left]


def _heads(name: str, target: str, spared: int) -> tuple[str, str]:
    """Both names with `**` for all but the first `spared` of the words that they end with alike."""
    ours, theirs = name.split("."), target.split(".")
    shared = 0
    while shared < min(len(ours), len(theirs)) and ours[-1 - shared] == theirs[-1 - shared]:
        shared += 1
    shared = max(shared - spared, 0)
    tail = ".**" if shared else ""
    head, there = ".".join(ours[: len(ours) - shared]), ".".join(theirs[: len(theirs) - shared])
    if _numbers(head) == _numbers(there):
        head, there = _NUMBER.sub("*", head), _NUMBER.sub("*", there)
    return (head + tail).lstrip("."), (there + tail).lstrip(".")


def _takes_only(
    head: str, there: str, names: Sequence[str], pairs: Mapping[str, tuple[str, str]], legacy: Iterable[str],
    other: Iterable[str],
) -> bool:  # fmt: skip
    """Whether a pattern takes just these names, to just where they go."""
    ours, theirs = NamePattern(head), NamePattern(there)
    if ours.wildcards != theirs.wildcards:
        return False
    matched = {name: parts for name in legacy if (parts := ours.match(name)) is not None}
    return set(matched) == set(names) and all(theirs.fill(matched[name]) == pairs[name][0] for name in names)


def _ties(left: Weights, open_: Weights, legacy: Weights, other: Weights) -> Iterable[Proposed]:
    """A name that the other side has for a tensor under two names, of which this side has one; and the other way."""
    for few, many, word_order in ((legacy, other, 1), (other, legacy, -1)):
        by_place: dict[object, list[str]] = {}
        for name, tensor in many.items():
            by_place.setdefault(tensor.place, []).append(name)
        missing = open_ if word_order == 1 else left
        for names in by_place.values():
            known = [name for name in names if name in few]
            gone = [name for name in names if name in missing]
            if len(known) == 1 and gone:
                one, several = (known[0],), (known[0], *gone)
                ours, theirs = (one, several) if word_order == 1 else (several, one)
                yield Proposed("tie", ours, theirs, "one tied tensor, which one side lists once")


def _turned(left: Weights, open_: Weights, legacy: Weights, other: Weights) -> Iterable[Proposed]:
    """The only one of the reversed shape; a square matrix never shows that it was transposed."""
    for name, tensor in left.items():
        if len(tensor.shape) != 2 or tensor.shape[0] == tensor.shape[1]:
            continue
        reversed_ = tensor.dtype, tensor.shape[::-1]
        turned = [target for target, there in open_.items() if _kind(there) == reversed_]
        rivals = [rival for rival, there in left.items() if _kind(there) == _kind(tensor)]
        if len(turned) == 1 and len(rivals) == 1:
            yield Proposed("transpose", (name,), (turned[0],), "the only one of the reversed shape")


def _cut(left: Weights, open_: Weights, legacy: Weights, other: Weights) -> Iterable[Proposed]:
    for one, several in _parts(left, open_):
        yield Proposed("split", (one,), several, "the parts along the first axis add up; check their order")


def _joined(left: Weights, open_: Weights, legacy: Weights, other: Weights) -> Iterable[Proposed]:
    for one, several in _parts(open_, left):
        yield Proposed("merge", several, (one,), "the parts along the first axis add up; check their order")


def _parts(whole: Weights, parts: Weights) -> Iterable[tuple[str, tuple[str, ...]]]:
    """A tensor, and two or three equal ones with the same numbers and last word that it is as long as together."""
    for name, tensor in whole.items():
        if not tensor.shape:
            continue
        key = _numbers(name), _last(name, 1)
        found = [
            part
            for part, there in parts.items()
            if (there.dtype, there.shape[1:]) == (tensor.dtype, tensor.shape[1:]) and there.shape
            and (_numbers(part), _last(part, 1)) == key and there.shape[0] < tensor.shape[0]
        ]  # fmt: skip
        equal = len({parts[part].shape for part in found}) == 1
        if len(found) in (2, 3) and equal and sum(parts[part].shape[0] for part in found) == tensor.shape[0]:
            yield name, tuple(found)


def _names(names: Sequence[str], listed: bool) -> str:
    return json.dumps(list(names)) if listed or len(names) > 1 else json.dumps(names[0])
