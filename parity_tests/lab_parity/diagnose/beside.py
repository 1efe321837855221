"""Modules that are called beside what a step trains (see record/modes.py), in another mode than on the other side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab_parity.diagnose.scene import Scene
from lab_parity.record.capture_file import ModuleFacts

__all__ = ["called_otherwise"]


def called_otherwise(scene: Scene) -> Iterator[tuple[ModuleFacts, bool]]:
    """Each such module, with its mode in the migrated run: in no call there is it in the mode that the legacy run has.

    One side may have it in a holder, or train through it: then its path ends alike, and its class is the same.
    """
    if scene.legacy.now is None or scene.migrated.now is None:
        return
    captured = scene.legacy.now, scene.migrated.now
    sides = [[facts for facts in step.modules if facts.called or facts.beside] for step in captured]
    met: set[tuple[str, str]] = set()
    for mine, other in (sides, sides[::-1]):
        for facts in mine:
            if not facts.beside or (facts.name, facts.kind) in met:
                continue
            partners = _partners(facts, mine, other)
            met |= {(one.name, one.kind) for one in (facts, *partners)}
            own = {one.training for one in mine if one.beside and (one.name, one.kind) == (facts.name, facts.kind)}
            theirs = {one.training for one in partners}
            if theirs and not own & theirs:
                (mode,) = theirs if other is sides[1] else own
                yield facts, mode


def _partners(facts: ModuleFacts, own: Sequence[ModuleFacts], others: Sequence[ModuleFacts]) -> list[ModuleFacts]:
    """What is called by that name beside the other side's training, or else may be the same module; all or none."""
    trained = {one.name for one in own if one.called}
    same = [one for one in others if (one.name, one.kind) == (facts.name, facts.kind)]
    beside = [one for one in same if one.beside]
    if beside or (same and facts.name not in trained):
        return beside or same
    alike = [
        one for one in others
        if one.kind == facts.kind and one.name not in trained and _ends_alike(one.name, facts.name)
    ]  # fmt: skip
    return alike if len({one.name for one in alike}) == 1 else []


def _ends_alike(a: str, b: str) -> bool:
    return a == b or a.endswith(f".{b}") or b.endswith(f".{a}") or not a or not b
