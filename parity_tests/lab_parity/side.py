"""One side of a comparison: what its observations are called, whatever stands before the names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab_parity.canonical import BY_PARAMETER, canonical_keys, prefix_of, relative
from lab_parity.digest import NO_GRADIENT
from lab_parity.keys import Key
from lab_parity.trace import Step

__all__ = ["Side", "idle_parameters"]


class Side:
    """One side of a comparison: its canonical names, and the texts behind the digests of the step seen last."""

    def __init__(self) -> None:
        self._prefixes: dict[str, str] = {}
        self._at_first: dict[str, set[str]] = {}
        self._dropped: dict[str, str] = {}
        self._within: dict[str, tuple[str, ...]] = {}
        self._layouts: dict[tuple[str, str], list[Key]] = {}
        self._renamed: dict[str, dict[str, str]] = {}
        self.texts: Mapping[str, str] = {}
        self.outside: set[str] = set()

    def prefix(self, optimizer: str) -> str:
        """What an optimizer's canonical names leave out; known once a step of it has been seen."""
        return self._prefixes.get(optimizer, "")

    def keys(self, step: Step) -> list[Key]:
        """The step's keys under canonical names, in row order."""
        self.texts = step.texts
        if step.optimizer not in self._prefixes:
            self._prefixes[step.optimizer] = prefix_of(step.keys)
            self._at_first[step.optimizer] = _parameters(step)
        known = self._layouts.get((step.optimizer, step.layout))
        if known is None:
            prefix = self._widened(step)
            known = canonical_keys(step.keys, prefix)
            self.outside |= {
                key.name
                for key, raw in zip(known, step.keys, strict=True)
                if key.phase == "buffer" and not raw.name.startswith(prefix)
            }
            renamed = self._renamed.get(step.optimizer, {})
            if renamed:
                roots = _roots(renamed)
                known = [key._replace(name=_renamed(key, renamed, roots)) for key in known]
            known_roots = self._within.get(step.optimizer)
            if known_roots is not None:
                self.outside |= {
                    key.name for key in known if key.phase == "buffer" and not key.name.startswith(known_roots)
                }
            self._layouts[step.optimizer, step.layout] = known
        return known

    def name(self, optimizer: str, name: str) -> str:
        """The canonical name of an optimizer's parameter, or of a buffer beside it; tied weights have several."""
        prefix = self.prefix(optimizer)
        short = "|".join(sorted(relative(part, prefix) for part in name.split("|")))
        renamed = self._renamed.get(optimizer, {})
        return _renamed(Key("buffer", -1, short, ""), renamed, _roots(renamed)) if renamed else short

    def module(self, optimizer: str, name: str) -> str:
        """The canonical name of a module; of one around what the prefix leads to, how far it is up."""
        prefix = self.prefix(optimizer)
        if f"{name}." == prefix:
            return ""
        if prefix and (not name or prefix.startswith(f"{name}.")):
            return "/".join([".."] * (prefix.count(".") - name.count(".") - bool(name)))
        if not self._renamed.get(optimizer):
            return relative(f"{name}.", prefix).removesuffix(".")
        return self.name(optimizer, f"{name}.").removesuffix(".")

    def rename(self, step: Step, names: Mapping[str, str]) -> None:
        """From now on an optimizer's parameters have other names; `step` is its first one."""
        self._renamed[step.optimizer] = dict(names)
        self._forget(step.optimizer)

    def lies_within(self, step: Step, names: Mapping[str, str]) -> None:
        """The optimizer's models are those that other names have been found for; what lies beside them is outside.

        Models that lie beside each other on the other side have nobody that holds more than them.
        """
        roots = set(_roots(names).values())
        if "" not in roots:
            self._within[step.optimizer] = tuple(f"{root}." for root in roots)
            self._forget(step.optimizer)

    def prefixes(self, step: Step) -> list[str]:
        """What an optimizer's names may leave out, the longest first; `step` is its first one."""
        idle = {name for name, _ in idle_parameters(step, step.keys)}
        parts = prefix_of(key for key in step.keys if key.name not in idle).split(".")[:-1]
        return ["".join(f"{part}." for part in parts[:end]) for end in range(len(parts), -1, -1)]

    def leave_out(self, step: Step, prefix: str) -> None:
        """From now on an optimizer's names leave `prefix` out; `step` is its first one."""
        self._prefixes[step.optimizer] = prefix
        self._forget(step.optimizer)

    def _widened(self, step: Step) -> str:
        """The optimizer's prefix, shorter where parameters have been added that it does not stand before.

        A head may be trained alone at first, and what it stands on later: the names are then those in the whole.
        """
        prefix = self._prefixes[step.optimizer]
        added = _parameters(step) - self._at_first[step.optimizer]
        if added and step.optimizer not in self._renamed:
            keys = [Key("config", -1, name, "") for name in (f"{prefix}x", *added)]
            wider = prefix_of(keys)
            self._dropped.setdefault(step.optimizer, prefix.removeprefix(wider))
            self._prefixes[step.optimizer] = prefix = wider
        return prefix

    def follow(self, other: Side, step: Step) -> bool:
        """Where the other side's prefix has become shorter, so does this one's, if it ends alike; whether it has."""
        dropped, prefix = other._dropped.get(step.optimizer), self.prefix(step.optimizer)
        if not dropped or step.optimizer in self._dropped or not prefix.endswith(dropped):
            return False
        self._dropped[step.optimizer] = dropped
        self.leave_out(step, prefix.removesuffix(dropped))
        return True

    def _forget(self, optimizer: str) -> None:
        self._layouts = {key: known for key, known in self._layouts.items() if key[0] != optimizer}


def _renamed(key: Key, names: Mapping[str, str], roots: Mapping[str, str]) -> str:
    if key.phase not in BY_PARAMETER:
        return key.name
    if key.name in names:
        return names[key.name]
    name, at, number = key.name.rpartition("@")
    if at and name in names:
        return f"{names[name]}@{number}"  # in the second average, or a later one
    # A buffer lies beside parameters, in a module whose path is known from them.
    folder, _, leaf = key.name.rpartition(".")
    for mine, other in names.items():
        if mine.rpartition(".")[0] == folder:
            return f"{other.rpartition('.')[0]}.{leaf}".removeprefix(".")
    # A module may have nothing but buffers: then the model that it lies in tells.
    for end in range(folder.count(".") + 1, -1, -1):
        root = ".".join(folder.split(".")[:end])
        if root in roots:
            return f"{roots[root]}.{key.name.removeprefix(root).removeprefix('.')}".removeprefix(".")
    return key.name


def _roots(names: Mapping[str, str]) -> dict[str, str]:
    """The paths of models on the one side and on the other, which their parameters' names begin with."""
    found: dict[str, set[str]] = {}
    for mine, other in names.items():
        left, right = mine.split("."), other.split(".")
        while left and right and left[-1] == right[-1]:
            left.pop()
            right.pop()
        found.setdefault(".".join(left), set()).add(".".join(right))
    return {root: others.pop() for root, others in found.items() if len(others) == 1}


def _parameters(step: Step) -> set[str]:
    return {key.name for key in step.keys if key.phase == "param"}


def idle_parameters(step: Step, keys: Sequence[Key]) -> list[tuple[str, int]]:
    """The parameters that have no gradient in a step, with their rows."""
    return [
        (key.name, place)
        for place, key in enumerate(keys)
        if key.phase == "grad" and step.digests[place].tobytes() == NO_GRADIENT
    ]
