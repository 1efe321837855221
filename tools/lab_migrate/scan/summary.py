"""An inventory as a person reads it: the same sections for a terminal and for Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from lab_migrate.scan.inventory import Assumption, Evidence, Inventory, Loop, RoleUse

__all__ = ["Section", "sections"]

#: Roles in the order in which a person asks for them.
_ORDER = (
    "trainer", "model", "block", "objective", "dataset", "loader", "sampler", "optimizer", "schedule", "scaler",
    "ema", "hook", "checkpoint", "tracker", "config", "distributed", "seed",
)  # fmt: skip
_SHOWN = 3


@attrs.frozen
class Section:
    """A heading, a table under it (its columns may be nameless), and what to say after it."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def sections(inventory: Inventory) -> list[Section]:
    """What there is to say, in order; empty sections are left out."""
    made = [
        _entries(inventory),
        _loops(inventory),
        _roles(inventory.roles),
        _assumptions(inventory.assumptions),
        _hand(inventory),
        _skipped(inventory),
        _effort(inventory),
    ]
    return [section for section in made if section.rows or section.notes]


def _entries(inventory: Inventory) -> Section:
    training = [entry for entry in inventory.entries if entry.loops]
    others = len(inventory.entries) - len(training)
    rows = tuple((f"{entry.path}:{entry.line}", entry.how, "trains by " + _some(entry.loops)) for entry in training)
    return Section("Entry points", ("", "", ""), rows, _rest(others, "other script", "reach no training loop"))


def _loops(inventory: Inventory) -> Section:
    rows = tuple((loop.place, loop.function, loop.shape, _said(loop)) for loop in inventory.loops)
    notes = () if rows else ("No training loop was found: no loop repeats a backward pass and an optimizer step.",)
    return Section("Training loops", ("", "in", "shape", ""), rows, notes)


def _said(loop: Loop) -> str:
    away = [call for call in loop.calls if call.note]
    if not away:
        return loop.kind
    return "; ".join([loop.kind, *(f"{call.text} at {call.place}" for call in _unique(away)[:2])])


def _roles(roles: Sequence[RoleUse]) -> Section:
    rows = []
    for role in sorted(
        {use.role for use in roles}, key=lambda role: (_ORDER.index(role) if role in _ORDER else 99, role)
    ):
        uses = [use for use in roles if use.role == role]
        classes = [use for use in uses if use.how == "class"]
        rows.append((role, _named(classes), _named([use for use in uses if use.how != "class"])))
    return Section("Roles", ("", "defined", "built or used"), tuple(rows))


def _named(uses: Sequence[RoleUse]) -> str:
    """The names, the most frequent first, with the place of each one's first use."""
    counted = Counter(use.name for use in uses)
    said = []
    for name, count in counted.most_common(_SHOWN):
        first = next(use for use in uses if use.name == name)
        short = name if len(name) <= 40 else f"…{name[-39:]}"
        note = f" ({first.note})" if first.note and not first.note.startswith(("torch.", "lightning.")) else ""
        said.append(f"{short}{f' ×{count}' if count > 1 else ''} {first.path}:{first.line}{note}")
    rest = len(counted) - len(said)
    return "\n".join([*said, *([f"and {rest} more"] if rest else [])])


def _assumptions(assumptions: Sequence[Assumption]) -> Section:
    ordered = sorted(assumptions, key=lambda found: (not found.loops, found.name))
    rows = tuple((found.name, _shown(found.evidence), found.faithful) for found in ordered)
    return Section("What the code takes for granted", ("", "where", "when converted"), rows)


def _shown(evidence: Sequence[Evidence]) -> str:
    shown = _spread(evidence, 2)
    said = [f"{item.place}  {item.text}" for item in shown]
    rest = len(evidence) - len(shown)
    return "\n".join([*said, *([f"and {rest} more"] if rest else [])])


def _hand(inventory: Inventory) -> Section:
    rows = [
        (found.name, _some([item.place for item in found.evidence]), found.hand)
        for found in inventory.assumptions
        if found.hand
    ]
    rows += [(finding.code, finding.place, f"{finding.message}; {finding.next_step}") for finding in inventory.findings]
    return Section("What needs a hand", ("", "where", "what to do"), tuple(rows))


def _skipped(inventory: Inventory) -> Section:
    counted = Counter(item.kind for item in inventory.skipped)
    rows = []
    for kind, count in sorted(counted.items()):
        items = [item for item in inventory.skipped if item.kind == kind]
        rows.append((f"{count} × {kind}", _some([item.path for item in items]), items[0].reason))
    return Section("Not read", ("", "", ""), tuple(rows))


def _effort(inventory: Inventory) -> Section:
    notes = [f"{inventory.effort.size}: {'; '.join(inventory.effort.reasons)}"]
    entry = next((entry for entry in inventory.entries if entry.loops), None)
    if entry is not None:
        notes.append(f"Next: lab-migrate convert {inventory.root} --entry {entry.path}")
    return Section("Effort", notes=tuple(notes))


def _some(items: Iterable[str]) -> str:
    listed = list(dict.fromkeys(items))
    rest = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _spread(evidence: Sequence[Evidence], number: int) -> list[Evidence]:
    """One line of each file first."""
    firsts = list({item.path: item for item in reversed(evidence)}.values())[::-1]
    return (firsts + [item for item in evidence if item not in firsts])[:number]


def _unique(calls: Sequence[Evidence]) -> list[Evidence]:
    return list({call.place: call for call in calls}.values())


def _rest(count: int, noun: str, what: str) -> tuple[str, ...]:
    return (f"{count} {noun}{'' if count == 1 else 's'} {what}.",) if count else ()
