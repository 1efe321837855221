"""Builder dicts, in the spellings that frameworks have for them, as calls of builders.

{"type": "Adam", "args": {"lr": 0.001}}      type and args (also name, class; params, kwargs)
dict(type="ResNet", depth=50)                type among the arguments
{target: ldm.models.Unet, params: {…}}       an import path
{_target_: torch.optim.Adam, lr: 0.001}      Hydra's
{class_path: …, init_args: {…}}              LightningCLI's
generator_type: HiFiGAN, generator_params:   side by side
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from lab_bridge.config.nodes import UNRESOLVED, Call, Entries, Items, Leaf, Node
from lab_bridge.config.problems import Problem, Severity
from lab_bridge.config.sources.tags import Meant, Tags

__all__ = ["with_calls"]

_TAGS = ("type", "name", "class", "class_name", "cls", "target")
_ARGUMENTS = ("args", "params", "kwargs", "init_args", "arguments")
_HYDRA = frozenset({"_target_", "_partial_", "_recursive_", "_convert_"})


def with_calls(root: Node, tags: Tags, problems: list[Problem]) -> tuple[Node, dict[str, Meant]]:
    """The tree with every builder dict as a call by import path, and what those paths mean.

    A tag that nothing is known for is an error where it can only be a builder, or is near a known one; else the dict
    stays a plain mapping, and a finding says so.
    """
    reading = _Reading(tags, problems)
    return reading.node(root, ""), reading.meant


class _Reading:
    def __init__(self, tags: Tags, problems: list[Problem]) -> None:
        self._tags, self._problems = tags, problems
        self.meant: dict[str, Meant] = {}

    def node(self, node: Node, path: str) -> Node:
        match node:
            case Items(items):
                made = tuple(self.node(item, f"{path}[{index}]") for index, item in enumerate(items))
                return attrs.evolve(node, items=made)
            case Call(name, arguments) if node.deferred and not arguments:
                message = f"{name} itself is given: written as its import path"
                self._problems.append(Problem(node.place, path.lstrip("."), "path", message, "", Severity.FINDING))
                return Leaf(name, place=node.place)
            case Call(name, arguments):
                meant = self._path(name, node, path)
                inner = {key: self.node(value, f"{path}.{key}") for key, value in arguments.items()}
                return attrs.evolve(node, name=meant or name, arguments=inner)
            case Entries():
                return self._entries(node, path)
        return node

    def _entries(self, node: Entries, path: str) -> Node:
        entries = node.entries
        for key, arguments_key in (("_target_", ""), ("class_path", "init_args")):
            tag = _text(entries.get(key))
            if tag is not None:
                given = _without(entries, _HYDRA) if not arguments_key else _given(entries, arguments_key)
                deferred = isinstance(entries.get("_partial_"), Leaf) and entries["_partial_"].value is True  # type: ignore[union-attr]
                return self._call(node, tag, given, key, path, sure=True, deferred=deferred or None)
        for key in _TAGS:
            tag = _text(entries.get(key))
            inside = next((k for k in _ARGUMENTS if isinstance(entries.get(k), Entries)), None)
            if tag is None or (inside is None and key not in ("type", "target")):
                continue
            if key == "target" and "." not in tag:
                continue
            if inside is None:
                if key == "target" and len(entries) > 1:
                    continue
                return self._call(node, tag, _without(entries, {key}), key, path, sure=False)
            more = {k: value for k, value in entries.items() if k not in (key, inside)}
            if not more:
                return self._call(node, tag, _given(entries, inside), key, path, sure=True)
            if key == "name":
                continue
            call = self._call(node, tag, _given(entries, inside), key, path, sure=True)
            rest = {k: self.node(value, f"{path}.{k}") for k, value in more.items()}
            return attrs.evolve(node, entries={**rest, key: call})
        return attrs.evolve(node, entries=self._beside(entries, path))

    def _beside(self, entries: Mapping[object, Node], path: str) -> dict[object, Node]:
        """`x_type` and `x_params`, side by side, as `x`."""
        made: dict[object, Node] = {}
        for key, value in entries.items():
            stem = key.removesuffix("_type") if isinstance(key, str) and key.endswith("_type") else None
            given = entries.get(f"{stem}_params", entries.get(f"{stem}_args")) if stem else None
            tag = _text(value)
            if stem and tag is not None and isinstance(given, Entries) and stem not in entries and self._tags.find(tag):
                made[stem] = self._call(
                    attrs.evolve(given, place=value.place), tag, given.entries, str(key), f"{path}.{stem}", sure=True
                )
            elif isinstance(key, str) and (stem := _stem(key)) is not None and stem in made:
                continue
            else:
                made[key] = self.node(value, f"{path}.{key}")
        # parameters that stand above their type
        return {
            key: value
            for key, value in made.items()
            if not (isinstance(key, str) and (stem := _stem(key)) is not None and isinstance(made.get(stem), Call)
                    and f"{stem}_type" in entries)
        }  # fmt: skip

    def _call(
        self,
        node: Entries,
        tag: str,
        given: Mapping[object, Node],
        key: str,
        path: str,
        sure: bool,
        deferred: bool | None = None,
    ) -> Node:
        inner = {str(name): self.node(value, f"{path}.{name}") for name, value in given.items()}
        place = node.entries[key].place if key in node.entries else node.place
        found = self._tags.find(tag)
        if len(found) == 1:
            self.meant[found[0].path] = found[0]
            return Call(found[0].path, inner, place=place, deferred=deferred)
        if len(found) > 1 and (sure or tag[:1].isupper()):
            listed = ", ".join(meant.path for meant in found)
            self._problems.append(
                Problem(place, path.lstrip("."), "unknown", f"expected one builder {tag!r}, found {listed}",
                        "write its import path, or declare it with --schema")
            )  # fmt: skip
            return Leaf(UNRESOLVED, place=place)
        hint = self._tags.hint(tag) if not found else ""
        if sure or hint or tag[:1].isupper() or "." in tag:
            self._problems.append(
                Problem(place, path.lstrip("."), "unknown", f"expected a builder, found {tag!r}, which is in no source",
                        hint or "name the folder of its sources with --project, or declare it with --schema")
            )  # fmt: skip
            return Leaf(UNRESOLVED, place=place)
        self._problems.append(
            Problem(place, path.lstrip("."), "plain", f"{key} {tag!r} names no builder here: kept as text", "",
                    Severity.FINDING)
        )  # fmt: skip
        return attrs.evolve(node, entries={k: self.node(value, f"{path}.{k}") for k, value in node.entries.items()})

    def _path(self, name: str, node: Call, path: str) -> str | None:
        """A call in a Python config, by the path at which its builder is defined."""
        found = self._tags.find(name) if "." in name else []
        if found:
            self.meant[found[0].path] = found[0]
            return found[0].path
        return None


def _text(node: Node | None) -> str | None:
    if isinstance(node, Leaf) and isinstance(node.value, str):
        return node.value
    return node.name if isinstance(node, Call) and node.deferred and not node.arguments else None


def _stem(key: str) -> str | None:
    return next((key.removesuffix(end) for end in ("_params", "_args") if key.endswith(end)), None)


def _without(entries: Mapping[object, Node], keys: frozenset[str] | set[str]) -> dict[object, Node]:
    return {key: value for key, value in entries.items() if key not in keys}


def _given(entries: Mapping[object, Node], key: str) -> dict[object, Node]:
    given = dict(inner.entries) if isinstance(inner := entries.get(key), Entries) else {}
    more = entries.get("dict_kwargs")
    return given | (dict(more.entries) if key == "init_args" and isinstance(more, Entries) else {})
